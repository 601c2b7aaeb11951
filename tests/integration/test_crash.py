"""Whatever was acknowledged survives ``kill -9`` at every single write, and no document is ever half there."""

import os
from pathlib import Path

import apsw
import pytest

from rag.config import load
from rag.store import Store
from rag.store.records import StoredDocument
from rag.types import Chunk
from rag.workspace import Workspace
from tests.fakes import HashEmbedder
from tests.killing import children

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def write_documents(folder: Path, version: int) -> dict[str, str]:
    folder.mkdir()
    texts = {
        f"{name}.md": f"# {name}\n\n" + f"Version {version} of {name} says that the code is {name}{version}. " * 30
        for name in ("alpha", "beta")
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return texts


def kill_at_every_write(base: Path, *arguments: str) -> list[Path]:
    """Run the killer until a child survives, and return the data directories of all of them."""
    base.mkdir()
    killed = children("killer.py", base, str(base), *arguments)
    assert len(killed) > 30
    return killed


def check_file(data: Path) -> None:
    Store(data).close()
    connection = apsw.Connection(str(data / "homeground.sqlite"))
    assert connection.pragma("integrity_check") == "ok"
    assert connection.pragma("foreign_key_check") is None
    connection.close()


def check_chunks(workspace: Workspace, row: StoredDocument, embedder: HashEmbedder) -> list[Chunk]:
    """Return a document's chunks, of which each has its vector."""
    chunks, vectors = workspace.store.passages.of_document(row.id)
    assert (vectors == embedder.embed([chunk.searched_text(row.title) for chunk in chunks])).all()
    return chunks


def check_indexes(workspace: Workspace, embedder: HashEmbedder) -> None:
    """Check that both indexes hold all rows, and no others."""
    base = workspace.collection("c")
    now = base._index.current()
    rows = workspace.store.passages.roster(base._info.id).chunks
    if len(rows):
        assert sorted(now.nearest(embedder.embed_query("code"), len(rows), None)[0]) == sorted(rows)
        assert sorted(now.matching("code", len(rows), None)[0]) == sorted(rows)


def check(data: Path, acknowledged: list[str], old: dict[str, str], new: dict[str, str]) -> None:
    check_file(data)
    with Workspace(load(data_dir=data, environment={}), embedder=HashEmbedder()) as workspace:
        if not workspace.collections():
            assert not acknowledged
            return
        base = workspace.collection("c")
        stored = {row.source: row for row in base.documents()}
        assert stored.keys() >= {*acknowledged, *old}
        for source, row in stored.items():
            text = base.document(row.id).text
            assert text in ({new[source]} if source in acknowledged else {new[source], old.get(source)})
            chunks = check_chunks(workspace, row, HashEmbedder())
            assert {chunk.text for chunk in chunks} == {text[chunk.start : chunk.end] for chunk in chunks}
            covered = {position for chunk in chunks for position in range(chunk.start, chunk.end)}
            assert all(position in covered for position, letter in enumerate(text) if not letter.isspace())
        check_indexes(workspace, HashEmbedder())


@pytest.mark.parametrize("replacing", [False, True], ids=["first", "replacing"])
def test_ingest_killed_at_every_write_loses_nothing_acknowledged(tmp_path: Path, replacing: bool) -> None:
    old = write_documents(tmp_path / "old", 1) if replacing else {}
    new = write_documents(tmp_path / "new", 2)
    folders = [tmp_path / "new", *([tmp_path / "old"] if replacing else [])]
    for data in kill_at_every_write(tmp_path / "data", *map(str, folders)):
        record = data.with_suffix(".acknowledged")
        check(data, record.read_text().split() if record.exists() else [], old, new)


def test_reembed_killed_at_every_write_leaves_one_whole_collection_and_goes_on(tmp_path: Path) -> None:
    texts = write_documents(tmp_path / "documents", 1)
    met = set()
    for data in kill_at_every_write(tmp_path / "data", "--reembed", str(tmp_path / "documents")):
        check_file(data)
        with Workspace(load(data_dir=data, environment={}), embedder=HashEmbedder(96)) as workspace:
            (info,) = workspace.collections()
            met.add(info.embedder.dim)
            stored = workspace.store.documents.documents(info.id)
            assert {row.source for row in stored} == texts.keys()
            for row in stored:
                check_chunks(workspace, row, HashEmbedder(info.embedder.dim))
            workspace.reembed("c")
            for row in workspace.collection("c").documents():
                check_chunks(workspace, row, HashEmbedder(96))
            check_indexes(workspace, HashEmbedder(96))
    assert met == {64, 96}
