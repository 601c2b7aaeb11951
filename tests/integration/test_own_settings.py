"""A collection's own settings hold over everybody's, in cutting as in searching."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.base import ConfigError
from rag.config import load
from rag.knowledge_base import KnowledgeBase
from rag.types import Document, Heading
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

TEXT = " ".join(f"word{number} goes on." for number in range(100))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(load(data_dir=tmp_path / "data", environment={}), embedder=HashEmbedder()) as opened:
        yield opened


def own(workspace: Workspace, **settings: object) -> KnowledgeBase:
    info = workspace.store.documents.collection("c")
    workspace.store.documents.set_collection_settings(info.id, settings)
    return workspace.collection("c")


def test_collection_without_settings_follows_everybodys(workspace: Workspace) -> None:
    base = workspace.collection("c", create=True)
    assert base.settings == workspace.settings
    assert workspace.store.documents.collection("c").settings == {}


def test_own_settings_win_and_leave_the_others_alone(workspace: Workspace) -> None:
    workspace.collection("c", create=True)
    base = own(workspace, chunk={"size": 50}, retrieval={"dense_weight": 0.5})
    assert (base.settings.chunk.size, base.settings.retrieval.dense_weight) == (50, 0.5)
    assert base.settings.retrieval.candidates == workspace.settings.retrieval.candidates
    assert workspace.collection("other", create=True).settings == workspace.settings
    assert own(workspace).settings == workspace.settings


def test_own_chunk_size_cuts_again_at_the_next_ingest(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    ((_, before),) = workspace.collection("c", create=True).add(tmp_path / "a.txt").documents
    base = own(workspace, chunk={"size": 50})
    report = base.add(tmp_path / "a.txt")
    assert report.unchanged == 0
    assert report.documents[0][1] > before
    assert base.add(tmp_path / "a.txt").unchanged == 1
    assert own(workspace).add(tmp_path / "a.txt").documents == [("a.txt", before)]


def test_documents_with_a_hash_cost_nothing_until_they_or_the_cut_change(workspace: Workspace) -> None:
    base = workspace.collection("c", create=True)
    document = Document("a", TEXT, "A", sha256="1")
    assert base.add_documents([document]).unchanged == 0
    assert base.add_documents([document]).unchanged == 1
    assert base.add_documents([Document("a", TEXT, "A", sha256="2")]).unchanged == 0
    assert own(workspace, chunk={"size": 50}).add_documents([Document("a", TEXT, "A", sha256="2")]).unchanged == 0
    assert base.add_documents([Document("b", TEXT, "B"), Document("b", TEXT, "B")]).unchanged == 0


def test_without_prefix_titles_and_headings_are_not_searched(workspace: Workspace) -> None:
    workspace.collection("c", create=True)
    documents = [
        Document("a", "Plain words stand here.", "Zeppelin", headings=(Heading(0, 1, "Dirigible"),), sha256="1"),
        Document("b", "Other words stand there.", "Balloon", sha256="2"),
    ]
    for prefix in (True, False, True):
        base = own(workspace, chunk={"prefix": prefix})
        assert len(base.add_documents(documents).documents) == 2
        scores = {hit.source: hit.lexical for hit in base.search("zeppelin dirigible")}
        assert (scores["a"] > 0) is prefix
        (found, *_) = base.search("plain words")
        assert (found.title, found.chunk.headings) == ("Zeppelin", ("Dirigible",))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"chunk": {"size": 1}}, "chunk.size: Input should be greater"),
        ({"chunk": {"sise": 100}}, "chunk.sise: unknown setting"),
        ({"answer": {"passages": 3}}, "answer: unknown setting"),
        ({"retrieval": 3}, "retrieval: Input should be a valid dictionary"),
    ],
)
def test_own_settings_that_cannot_be_used_say_how_to_drop_them(
    workspace: Workspace, settings: dict[str, object], reason: str
) -> None:
    workspace.collection("c", create=True)
    with pytest.raises(ConfigError, match="--reset --collection c") as caught:
        own(workspace, **settings)
    assert reason in str(caught.value)


def test_embedding_again_keeps_own_settings_and_cuts_by_them(workspace: Workspace) -> None:
    workspace.collection("c", create=True).add_documents([Document("a", TEXT, "A")])
    before = workspace.store.documents.collection("c").chunks
    own(workspace, chunk={"size": 50})
    workspace.reembed("c")
    info = workspace.store.documents.collection("c")
    assert info.chunks > before
    assert info.settings == {"chunk": {"size": 50}}
