"""The store keeps what it acknowledged, replaces whole documents, and says plainly when it cannot be used."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest

from models.base import InputError, StoreError
from rag.chunk import split
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Prepared
from rag.types import Document, Filter, Heading, Scored
from tests.fakes import HashEmbedder

EMBEDDER = HashEmbedder()
IDENTITY = EmbedderIdentity(EMBEDDER.name, EMBEDDER.weights_hash, EMBEDDER.dim)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def handbook(store: Store) -> CollectionInfo:
    return store.documents.create_collection("handbook", IDENTITY)


def prepare(source: str, text: str, **fields: object) -> Prepared:
    document = Document(source, text, source, sha256=str(hash(text)), **fields)  # type: ignore[arg-type]
    chunks = split(document, EMBEDDER.token_starts, size=20, limit=256)
    return Prepared(document, chunks, EMBEDDER.embed([chunk.searched_text(source) for chunk in chunks]))


def test_store_writes_through_to_the_disk_and_keeps_references(store: Store) -> None:
    with store._database.transaction() as writer:
        settings = {name: writer.pragma(name) for name in ("synchronous", "foreign_keys", "secure_delete", "mmap_size")}
    assert settings == {"synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "mmap_size": 0}
    with store._database.reading() as reader, pytest.raises(apsw.ReadOnlyError, match="readonly"):
        reader.execute("DELETE FROM documents")


def test_store_returns_a_document_as_it_was_given(store: Store, handbook: CollectionInfo) -> None:
    prepared = prepare(
        "a/b.pdf",
        "# Leave\n\nTwenty days.\n\fNext page.",
        media_type="application/pdf",
        headings=(Heading(0, 1, "Leave"),),
        page_starts=(0, 23),
        metadata={"owner": "Älva", "draft": False, "level": 2},
        modified=12.5,
        origin="/docs/a/b.pdf",
    )
    (row,) = store.documents.put(handbook.id, [prepared], "1:20")
    assert store.documents.read_document(handbook.id, row) == prepared.document


def test_store_keeps_documents_after_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path)
    info = store.documents.create_collection("c", IDENTITY)
    store.documents.put(info.id, [prepare("a.txt", "some text")], "1:20")
    store.close()
    store = Store(tmp_path)
    assert list(store.documents.versions(info.id)) == ["a.txt"]
    store.close()


def test_store_keeps_the_table_header_of_a_chunk(store: Store, handbook: CollectionInfo) -> None:
    prepared = prepare("a.md", "| Part | Room |\n| --- | --- |\n" + "| screw | 3 |\n" * 9)
    store.documents.put(handbook.id, [prepared], "1:20")
    roster = store.passages.roster(handbook.id)
    scored = [Scored(row, 1.0, 1.0, 1.0) for row in roster.chunks.tolist()]
    chunks = [hit.chunk for hit in store.passages.hits(scored, "handbook")]
    assert tuple(chunks) == tuple(prepared.chunks)
    assert chunks[-1].table_header
    (rows,) = store.passages.texts_between(handbook.id, 0, int(roster.chunks[-1]))
    assert [text for _, text in rows] == [chunk.searched_text("a.md") for chunk in chunks]


def test_store_replaces_a_document_with_all_its_chunks(store: Store, handbook: CollectionInfo) -> None:
    long = prepare("a.txt", "Many words. " * 60)
    (first,) = store.documents.put(handbook.id, [long], "1:20")
    (second,) = store.documents.put(handbook.id, [prepare("a.txt", "Few words.")], "1:20")
    info = store.documents.collection("handbook")
    assert (info.documents, info.chunks) == (1, 1)
    assert second != first
    with pytest.raises(InputError, match="no document"):
        store.documents.read_document(handbook.id, first)


def test_store_puts_all_of_a_batch_or_nothing(store: Store, handbook: CollectionInfo) -> None:
    good = prepare("a.txt", "Text of the first.")
    broken = Prepared(good.document, good.chunks, np.empty((0, EMBEDDER.dim), np.float32))
    with pytest.raises(ValueError, match="zip"):
        store.documents.put(handbook.id, [prepare("b.txt", "Text of another."), broken], "1:20")
    assert store.documents.versions(handbook.id) == {}


def test_store_gives_vectors_in_the_order_asked_and_zeros_for_the_gone(store: Store, handbook: CollectionInfo) -> None:
    prepared = prepare("a.txt", "One. Two. Three. " * 20)
    store.documents.put(handbook.id, [prepared], "1:20")
    rows = store.passages.roster(handbook.id).chunks
    asked = np.array([rows[2], 999_999, rows[0]])
    found = store.passages.vectors(asked, EMBEDDER.dim)
    assert np.array_equal(found[0], prepared.vectors[2])
    assert np.array_equal(found[2], prepared.vectors[0])
    assert not found[1].any()


def test_store_leaves_deleted_chunks_out_of_hits(store: Store, handbook: CollectionInfo) -> None:
    first, second = store.documents.put(handbook.id, [prepare("a.txt", "First."), prepare("b.txt", "Second.")], "1:20")
    rows = store.passages.roster(handbook.id).chunks.tolist()
    store.documents.delete_documents(handbook.id, [first])
    hits = store.passages.hits([Scored(row, 1.0, 0.5, 2.0) for row in rows], "handbook")
    assert [(hit.document_id, hit.chunk.text) for hit in hits] == [(second, "Second.")]


def test_store_lists_documents_page_by_page(store: Store, handbook: CollectionInfo) -> None:
    store.documents.put(handbook.id, [prepare(f"{number:02}.txt", "Text.") for number in range(7)], "1:20")
    first = store.documents.documents(handbook.id, limit=5)
    rest = store.documents.documents(handbook.id, limit=5, after=first[-1].source)
    assert [document.source for document in first + rest] == [f"{number:02}.txt" for number in range(7)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Filter(source="people/*"), ["people/leave.md"]),
        (Filter(media_type="application/pdf"), ["safety.pdf"]),
        (Filter(modified_from=150), ["safety.pdf"]),
        (Filter(modified_before=150), ["people/leave.md"]),
        (Filter(metadata={"owner": "HR"}), ["people/leave.md"]),
        (Filter(metadata={'owner\'s "quoted" key': 1}), []),
        (Filter(metadata={"final": True}), ["safety.pdf"]),
        (Filter(source="people/*", modified_from=150), []),
    ],
)
def test_store_matches_filters(store: Store, handbook: CollectionInfo, condition: Filter, expected: list[str]) -> None:
    rows = store.documents.put(
        handbook.id,
        [
            prepare("people/leave.md", "Leave.", modified=100.0, metadata={"owner": "HR"}),
            prepare("safety.pdf", "Fire.", modified=200.0, metadata={"final": True}, media_type="application/pdf"),
        ],
        "1:20",
    )
    names = dict(zip(rows, ["people/leave.md", "safety.pdf"], strict=True))
    assert [names[row] for row in store.documents.matching(handbook.id, condition).tolist()] == expected


def test_store_counts_changes_so_that_indexes_catch_up(store: Store, handbook: CollectionInfo) -> None:
    before = store.documents.changes(handbook.id)
    (row,) = store.documents.put(handbook.id, [prepare("a.txt", "Text.")], "1:20")
    middle = store.documents.changes(handbook.id)
    store.documents.delete_documents(handbook.id, [row])
    assert before < middle < store.documents.changes(handbook.id)


def test_store_names_the_documents_that_each_change_removed(store: Store, handbook: CollectionInfo) -> None:
    first, second = store.documents.put(handbook.id, [prepare("a.txt", "One."), prepare("b.txt", "Two.")], "1:20")
    seen = store.documents.changes(handbook.id)
    assert store.documents.removed(handbook.id, 0) == []
    (third,) = store.documents.put(handbook.id, [prepare("a.txt", "Three.")], "1:20")
    store.documents.delete_documents(handbook.id, [second, 999])
    assert store.documents.removed(handbook.id, seen) == [first, second]
    store.documents.put(handbook.id, [prepare("a.txt", "Four."), prepare("a.txt", "Five.")], "1:20")
    assert third in store.documents.removed(handbook.id, seen + 2)
    assert store.documents.collection("handbook").documents == 1


def test_store_counts_what_is_there_after_each_change(store: Store, handbook: CollectionInfo) -> None:
    def counts() -> tuple[int, int]:
        info = store.documents.collection("handbook")
        return info.documents, info.chunks

    assert counts() == (0, 0)
    long = prepare("a.txt", "Many words. " * 60)
    (row,) = store.documents.put(handbook.id, [long], "1:20")
    assert counts() == (1, len(long.chunks))
    store.documents.put(handbook.id, [prepare("b.txt", "Few words.")], "1:20")
    assert counts() == (2, len(long.chunks) + 1)
    store.documents.delete_documents(handbook.id, [row])
    assert counts() == (1, 1)


def test_store_lists_the_chunks_that_came_later(store: Store, handbook: CollectionInfo) -> None:
    store.documents.put(handbook.id, [prepare("a.txt", "Many words. " * 60)], "1:20")
    before = store.passages.roster(handbook.id)
    (row,) = store.documents.put(handbook.id, [prepare("b.txt", "Few words.")], "1:20")
    later = store.passages.roster(handbook.id, after=int(before.chunks[-1]))
    assert later.documents.tolist() == [row]
    assert store.passages.roster(handbook.id).chunks.tolist() == [*before.chunks, *later.chunks]


def test_store_matches_a_filter_anew_after_each_change(store: Store, handbook: CollectionInfo) -> None:
    condition = Filter(source="people/*")
    (first,) = store.documents.put(handbook.id, [prepare("people/a.txt", "One.")], "1:20")
    assert store.documents.matching(handbook.id, condition).tolist() == [first]
    (second,) = store.documents.put(handbook.id, [prepare("people/b.txt", "Two.")], "1:20")
    assert store.documents.matching(handbook.id, condition).tolist() == [first, second]
    store.documents.delete_documents(handbook.id, [first])
    assert store.documents.matching(handbook.id, condition).tolist() == [second]


def test_store_refuses_a_directory_in_use_and_names_who_uses_it(store: Store) -> None:
    code = f"from pathlib import Path\nfrom rag.store import Store\nStore(Path({str(store.directory)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "is in use by process" in other.stderr
    assert "another --data-dir" in other.stderr


def test_store_refuses_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "homeground.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="is damaged"):
        Store(tmp_path)


def test_store_refuses_a_file_of_a_newer_version(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / "homeground.sqlite"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Store(tmp_path)


def test_store_says_when_a_directory_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be created"):
        Store(tmp_path / "file" / "data")
