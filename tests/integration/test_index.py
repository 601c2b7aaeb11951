"""The indexes find what the store holds, nothing else, and are rebuilt whenever they are in doubt."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tantivy

from rag.index import CollectionIndex
from rag.index.allowed import Allowed
from rag.index.files import IndexFiles
from rag.index.lexical import LexicalIndex, words
from rag.index.snapshot import Snapshot
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Ids, Prepared
from rag.types import Chunk, Document, Scored
from tests.fakes import HashEmbedder

EMBEDDER = HashEmbedder()
TEXTS = {
    "badge.md": "Employees reset their badge at the front desk.",
    "leave.md": "Annual leave is twenty-five days a year.",
    "fire.md": "In case of fire leave the building by the stairs.",
    "parking.md": "Visitors park behind the building; no badge is needed.",
}


class Shelf:
    """A store with one collection, and what it takes to index it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = Store(directory)
        identity = EmbedderIdentity(EMBEDDER.name, EMBEDDER.weights_hash, EMBEDDER.dim)
        self.info: CollectionInfo = self.store.documents.create_collection("c", identity)
        self.files = IndexFiles(directory / "indexes")

    def put(self, source: str, text: str) -> int:
        document = Document(source, text, "")
        vectors = EMBEDDER.embed([text])
        (row,) = self.store.documents.put(self.info.id, [Prepared(document, [Chunk(0, len(text), text)], vectors)], "")
        return row

    def index(self) -> CollectionIndex:
        return CollectionIndex(self.store, self.info, self.files)

    def sources_now(self, rows: Ids) -> list[str]:
        hits = self.store.passages.hits([Scored(row, 0, 0, 0) for row in rows.tolist()], "c")
        return [hit.source for hit in hits]

    def sources(self, rows: Ids) -> list[str]:
        roster = self.store.passages.roster(self.info.id)
        names = {document.id: document.source for document in self.store.documents.documents(self.info.id)}
        owner = dict(zip(roster.chunks.tolist(), roster.documents.tolist(), strict=True))
        return [names[owner[row]] for row in rows.tolist()]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    for source, text in TEXTS.items():
        made.put(source, text)
    yield made
    made.store.close()


Search = Callable[[CollectionIndex, str, Ids | None], Ids]


def _nearest(now: Snapshot, question: str, documents: Ids | None) -> Ids:
    return now.nearest(EMBEDDER.embed_query(question), 3, now.allowed(documents))[0]


def _matching(now: Snapshot, question: str, documents: Ids | None) -> Ids:
    return now.matching(question, 3, now.allowed(documents))[0]


def nearest(index: CollectionIndex, question: str, documents: Ids | None = None) -> Ids:
    return _nearest(index.current(), question, documents)


def matching(index: CollectionIndex, question: str, documents: Ids | None = None) -> Ids:
    return _matching(index.current(), question, documents)


both = pytest.mark.parametrize("search", [nearest, matching])


@both
def test_index_finds_the_passage_first(shelf: Shelf, search: Search) -> None:
    assert shelf.sources(search(shelf.index(), "employees reset their badge", None))[0] == "badge.md"


@both
def test_index_finds_what_was_stored_after_it_was_opened(shelf: Shelf, search: Search) -> None:
    index = shelf.index()
    shelf.put("new.md", "The canteen serves soup on Fridays.")
    assert shelf.sources(search(index, "soup on Fridays", None))[0] == "new.md"


@both
def test_index_forgets_what_was_deleted(shelf: Shelf, search: Search) -> None:
    index = shelf.index()
    row = shelf.put("gone.md", "The canteen serves soup on Fridays.")
    assert "gone.md" in shelf.sources(search(index, "soup on Fridays", None))
    shelf.store.documents.delete_documents(shelf.info.id, [row])
    assert "gone.md" not in shelf.sources(search(index, "soup on Fridays", None))
    assert "gone.md" not in shelf.sources(search(shelf.index(), "soup on Fridays", None))


@both
def test_index_finds_only_permitted_documents(shelf: Shelf, search: Search) -> None:
    index = shelf.index()
    permitted = np.array([row.id for row in shelf.store.documents.documents(shelf.info.id) if row.source != "badge.md"])
    found = shelf.sources(search(index, "badge at the building", permitted))
    assert found
    assert "badge.md" not in found
    assert len(search(index, "badge", np.empty(0, np.int64))) == 0


def test_index_follows_every_change(shelf: Shelf) -> None:
    index = shelf.index()
    rng = np.random.default_rng(0)
    rows: list[int] = []
    for step in range(60):
        match rng.integers(4):
            case 0 if rows:
                shelf.store.documents.delete_documents(shelf.info.id, rows[: rng.integers(1, 4)])
            case 1:
                rows += [shelf.put(f"{rng.integers(5)}.md", f"Replaced at step {step}.") for _ in range(2)]
            case _:
                rows.append(shelf.put(f"new-{step}.md", f"Stored at step {step}."))
        if rng.integers(2):
            continue  # several changes at once
        held, stored = index.current(), shelf.store.passages.roster(shelf.info.id)
        assert held.roster.chunks.tolist() == held.lexical.rows().tolist() == stored.chunks.tolist()
        assert held.roster.documents.tolist() == stored.documents.tolist()


def test_snapshot_never_finds_what_came_later(shelf: Shelf) -> None:
    index = shelf.index()
    before = index.current()
    everything = before.allowed(None)
    shelf.put("new.md", "The canteen serves soup on Fridays.")
    assert shelf.sources(nearest(index, "soup on Fridays"))[0] == "new.md"
    rows, _ = before.nearest(EMBEDDER.embed_query("soup on Fridays"), 10, everything)
    assert sorted(rows.tolist()) == before.roster.chunks.tolist()


def test_index_forgets_at_opening_what_was_deleted_while_it_was_closed(shelf: Shelf) -> None:
    shelf.index().close()
    gone, *_ = [row.id for row in shelf.store.documents.documents(shelf.info.id) if row.source == "badge.md"]
    shelf.store.documents.delete_documents(shelf.info.id, [gone])
    now = shelf.index().current()
    assert now.lexical.rows().tolist() == shelf.store.passages.roster(shelf.info.id).chunks.tolist()
    assert now.lexical_scores("employees reset", np.array([1])).tolist() == [0]


def test_lexical_index_is_built_again_when_much_was_deleted_bit_by_bit(shelf: Shelf) -> None:
    index = shelf.index()
    more = [shelf.put(f"{number}.md", f"Badge number {number} of the badges.") for number in range(8)]
    index.current()
    for row in more:
        shelf.store.documents.delete_documents(shelf.info.id, [row])
        index.current()
    fresh = LexicalIndex(shelf.files.new("lexical", 99))
    fresh.update([list(enumerate((f"\n{text}" for text in TEXTS.values()), start=1))], np.empty(0, np.int64))
    rows, scores = index.current().matching("badge building", 10, None)
    assert (rows.tolist(), scores.tolist()) == tuple(
        array.tolist() for array in fresh.search("badge building", 10, None)
    )


def test_sealing_again_reads_only_new_files(shelf: Shelf) -> None:
    index = shelf.index()
    (directory,) = shelf.files.root.glob("lexical-*")
    segment = next(directory.glob("*.idx"))
    content = segment.read_bytes()
    segment.unlink()  # what is mapped into memory stays as it was
    segment.write_bytes(bytes([content[0] ^ 0xFF]) + content[1:])
    shelf.put("new.md", "The canteen serves soup on Fridays.")
    index.current()
    record = shelf.store.passages.index_record(shelf.info.id, "lexical")
    assert record is not None
    assert record.files[segment.name] == hashlib.sha256(content).hexdigest()
    assert shelf.files.intact(record.directory, record.files) is None
    assert shelf.sources(matching(shelf.index(), "annual leave"))[0] == "leave.md"


def test_index_is_opened_from_its_files_without_building(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.index()
    with caplog.at_level(logging.INFO, "rag.index"):
        index = shelf.index()
    assert "lexical index" not in caplog.text
    assert shelf.sources(matching(index, "twenty-five days"))[0] == "leave.md"


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "add"])
def test_index_with_damaged_files_is_built_again(shelf: Shelf, damage: str) -> None:
    shelf.index()
    (directory,) = shelf.files.root.glob("lexical-*")
    victim = max((path for path in directory.iterdir() if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    match damage:
        case "flip":
            content[len(content) // 2] ^= 0xFF
            victim.write_bytes(content)
        case "truncate":
            victim.write_bytes(content[:10])
        case "remove":
            victim.unlink()
        case "add":
            (directory / "foreign").write_bytes(b"x")
    index = shelf.index()
    assert shelf.sources(matching(index, "annual leave"))[0] == "leave.md"


def test_dense_index_file_that_was_changed_is_never_parsed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.index.collection.SAVE_AFTER_ROWS", 1)
    shelf.index().save()
    (directory,) = shelf.files.root.glob("dense-*")
    (directory / "vectors.faiss").write_bytes(b"IxFI" + b"\xff" * 200)
    index = shelf.index()
    assert shelf.sources(nearest(index, "annual leave"))[0] == "leave.md"


def test_lexical_index_of_another_schema_is_built_again(shelf: Shelf) -> None:
    shelf.index()
    record = shelf.store.passages.index_record(shelf.info.id, "lexical")
    assert record is not None
    foreign = shelf.files.new("lexical", shelf.info.id)
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("other")
    writer = tantivy.Index(builder.build(), str(foreign)).writer()
    writer.commit()
    writer.wait_merging_threads()
    changed = replace(record, directory=foreign.name, files=shelf.files.seal(foreign))
    shelf.store.passages.record_index(shelf.info.id, "lexical", changed)
    assert shelf.sources(matching(shelf.index(), "annual leave"))[0] == "leave.md"


def test_searches_beside_writes_are_whole(shelf: Shelf) -> None:
    index = shelf.index()
    for number in range(1_200):
        shelf.put(f"filler-{number}.md", f"Filler {number} about nothing.")
    permitted = shelf.store.passages.roster(shelf.info.id).documents
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(40):
                row = shelf.put(f"late-{number}.md", f"Late text {number} about annual leave.")
                if number % 2:
                    shelf.store.documents.delete_documents(shelf.info.id, [row])
                index.current()
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    searches = 0
    while writer.is_alive() or searches < 20:
        assert shelf.sources_now(matching(index, "annual leave twenty-five", permitted))[0] == "leave.md"
        assert len(nearest(index, "annual leave", permitted)) == 3
        searches += 1
    writer.join()
    assert failures == []


def test_index_files_that_nobody_names_are_removed(shelf: Shelf) -> None:
    shelf.index()
    stray = shelf.files.new("dense", 99)
    shelf.files.keep_only(shelf.store.passages.index_directories())
    assert not stray.exists()
    assert len(list(shelf.files.root.iterdir())) == 1


def test_lexical_scores_equal_those_of_the_search(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.update([[(row, text) for row, text in enumerate(TEXTS.values(), start=1)]], np.empty(0, np.int64))
    rows, scores = index.search("the badge of the building", 10, None)
    assert len(rows) == 3
    assert index.scores("the badge of the building", rows).tolist() == scores.tolist()
    assert index.scores("the badge", np.array([2, 77])).tolist() == [0, 0]


def test_lexical_update_takes_rows_in_and_out_at_once(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.update([[(1, "one"), (2, "two")]], np.empty(0, np.int64))
    index.update([[(3, "three")]], np.array([1, 2]))
    assert index.rows().tolist() == [3]
    assert LexicalIndex(tmp_path).rows().tolist() == [3]


def test_lexical_search_reads_no_query_syntax(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    index.update([[(1, "plain words"), (2, "other things")]], np.empty(0, np.int64))
    for question in ['words AND NOT "', "text:words^9 +-(", "*", "chunk:1", "", "the of and"]:
        rows, _ = index.search(question, 10, None)
        assert set(rows.tolist()) <= {1}


def test_lexical_filter_finds_allowed_rows_deep_in_the_ranking(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path)
    rows = [(row, "badge " * (1 + row % 5) + "filler " * (row % 7)) for row in range(1, 6_001)]
    index.update([rows], np.empty(0, np.int64))
    everything, _ = index.search("badge", 6_000, None)
    allowed = np.zeros(6_001, dtype=np.bool_)
    allowed[np.random.default_rng(0).choice(np.arange(1, 6_001), 2_000, replace=False)] = True
    found, _ = index.search("badge", 50, Allowed(allowed))
    assert found.tolist() == everything[allowed[everything]][:50].tolist()


def test_words_are_stemmed_folded_and_freed_of_stop_words() -> None:
    assert words("The Cafés were resetting badges") == words("café reset badge were")[:1] + words("were reset badge")
