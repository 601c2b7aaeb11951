"""Another embedder for a collection: it serves and changes until the new vectors are complete, and has them at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.base import InputError, StoreError
from rag.config import Settings, load
from rag.gate import Gate
from rag.knowledge_base import KnowledgeBase
from rag.report import Report
from rag.types import Document
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

OLD, NEW = HashEmbedder(64), HashEmbedder(96)
COUNT = 40


def text(number: int) -> str:
    return f"Rule {number} says that the code word is word{number}. " * 60


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load(data_dir=tmp_path / "data", environment={})
    with Workspace(made, embedder=OLD) as workspace:
        base = workspace.collection("rules", create=True)
        base.add_documents(
            Document(f"{number:02}.md", text(number), f"Rule {number}", sha256=str(number)) for number in range(COUNT)
        )
        workspace.store.documents.set_collection_settings(base._info.id, {"retrieval": {"dense_weight": 0.5}})
    return made


class BothEmbedders(Workspace):
    """Has the old embedder, too, as a machine has on which both are installed."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, embedder=NEW)
        self.models._embedders[OLD.weights_hash] = OLD


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with BothEmbedders(settings) as opened:
        yield opened


def check_is_whole(workspace: Workspace, embedder: HashEmbedder) -> KnowledgeBase:
    """Check that the collection was made by one embedder throughout, and that all of it is in its indexes."""
    (info,) = workspace.collections()
    assert (info.name, info.embedder.weights_hash) == ("rules", embedder.weights_hash)
    base = workspace.collection("rules")
    rows = base.documents(limit=500)
    for row in rows:
        chunks, vectors = workspace.store.passages.of_document(row.id)
        assert np.allclose(vectors, embedder.embed([chunk.searched_text(row.title) for chunk in chunks]), atol=1e-6)
    now = base._index.current()
    everything = workspace.store.passages.roster(info.id).chunks
    found, _ = now.nearest(embedder.embed_query("rule"), len(everything), None)
    assert sorted(found) == sorted(everything)
    matching, _ = now.matching("code word", len(everything), None)
    assert sorted(matching) == sorted(everything)
    return base


def test_reembed_gives_a_collection_the_configured_embedder(workspace: Workspace) -> None:
    before = {row.source: (row.sha256, row.added, row.characters) for row in workspace.collection("rules").documents()}
    (old,) = workspace.collections()
    report = workspace.reembed("rules")
    assert (len(report.documents), report.unchanged, report.done, report.found) == (COUNT, 0, COUNT, COUNT)
    base = check_is_whole(workspace, NEW)
    assert {row.source: (row.sha256, row.added, row.characters) for row in base.documents()} == before
    assert base.settings.retrieval.dense_weight == 0.5
    assert not workspace.store.documents.exists(old.id)
    directories = {path.name.split("-")[1] for path in (workspace.settings.data_dir / "indexes").iterdir()}
    assert directories == {str(base._info.id)}


def test_reembedded_collection_is_there_the_next_time(workspace: Workspace, settings: Settings) -> None:
    workspace.reembed("rules")
    workspace.close()
    with Workspace(settings, embedder=NEW) as again:
        check_is_whole(again, NEW)
        assert again.reembed("rules").unchanged == COUNT


def test_reembed_lets_the_collection_serve_and_change_meanwhile(workspace: Workspace) -> None:
    opened = workspace.collection("rules")
    rows = {row.source: row.id for row in opened.documents()}
    asked: list[str] = []

    def use(report: Report) -> None:
        if not asked:
            opened.add_documents([Document("03.md", text(103), "Rule 103"), Document("new.md", text(104), "Rule 104")])
            opened.remove(rows["05.md"])
        (info,) = workspace.collections()
        assert info.embedder.weights_hash == OLD.weights_hash
        asked.append(opened.search("code word word7", 1)[0].source)

    report = workspace.reembed("rules", on_progress=use)
    assert asked.count("07.md") == len(asked) > COUNT
    assert report.done == report.found
    base = check_is_whole(workspace, NEW)
    now = {row.source: base.document(row.id).text for row in base.documents()}
    assert now["03.md"] == text(103)
    assert now["new.md"] == text(104)
    assert "05.md" not in now
    assert len(now) == COUNT


def test_collection_opened_before_the_switch_goes_on_behind_it(workspace: Workspace) -> None:
    opened = workspace.collection("rules")
    workspace.reembed("rules")
    assert opened.search("code word word7", 1)[0].source == "07.md"
    assert opened.add_documents([Document("late.md", text(200), "Rule 200")]).documents == [("late.md", 3)]
    assert "late.md" in {row.source for row in check_is_whole(workspace, NEW).documents()}


def test_search_finds_the_same_before_during_and_after_the_switch(workspace: Workspace) -> None:
    done = threading.Event()
    found: list[list[str]] = []

    def search() -> None:
        while not done.is_set():
            found.append([hit.source for hit in workspace.collection("rules").search("code word word7", 3)][:1])

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for embedder in (NEW, OLD, NEW):
        workspace.models._embedder = embedder
        workspace.models._embedders[embedder.weights_hash] = embedder
        workspace.reembed("rules")
    done.set()
    for thread in threads:
        thread.join(30)
    assert len(found) > 10
    assert all(sources == ["07.md"] for sources in found)


def test_reembed_goes_on_where_it_was_interrupted(workspace: Workspace, settings: Settings) -> None:
    def interrupt(report: Report) -> None:
        if report.documents:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.reembed("rules", on_progress=interrupt)
    check_is_whole(workspace, OLD)
    workspace.close()
    with BothEmbedders(settings) as again:
        NEW.embedded = 0
        report = again.reembed("rules")
        assert report.unchanged > 0
        assert report.unchanged + len(report.documents) == COUNT
        assert NEW.embedded == report.chunks
        check_is_whole(again, NEW)


def test_reembed_throws_away_what_was_begun_with_a_third_embedder(workspace: Workspace, settings: Settings) -> None:
    workspace.models._embedder = HashEmbedder(32)
    with pytest.raises(KeyboardInterrupt):
        workspace.reembed("rules", on_progress=lambda report: interrupt())
    workspace.models._embedder = NEW
    workspace.reembed("rules")
    check_is_whole(workspace, NEW)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_reembed_back_to_the_own_embedder_drops_what_was_begun(workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        workspace.reembed("rules", on_progress=lambda report: interrupt())
    workspace.models._embedder = OLD
    assert workspace.reembed("rules").unchanged == COUNT
    with workspace.store._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM collections").get == 1


def test_reembed_cuts_again_when_the_chunk_size_changed(workspace: Workspace) -> None:
    workspace.reembed("rules")
    smaller = workspace.settings.model_copy(update={"chunk": workspace.settings.chunk.model_copy(update={"size": 50})})
    workspace.settings = smaller
    report = workspace.reembed("rules")
    assert report.chunks > 10 * COUNT
    check_is_whole(workspace, NEW)


def test_reembed_waits_for_whoever_writes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.reembed.RETRY_S", 0.01)
    complete = threading.Event()

    def note(report: Report) -> None:
        if report.done == report.found:
            complete.set()

    with workspace._writing:
        thread = threading.Thread(target=lambda: workspace.reembed("rules", on_progress=note))
        thread.start()
        assert complete.wait(30)
        thread.join(0.2)
        assert thread.is_alive()
        check_is_whole(workspace, OLD)
    thread.join(30)
    check_is_whole(workspace, NEW)


def test_reembed_of_a_collection_that_is_removed_meanwhile_says_so(workspace: Workspace) -> None:
    def remove(report: Report) -> None:
        if workspace.collections():
            workspace.delete_collection("rules")

    with pytest.raises(StoreError, match="removed while it was written to"):
        workspace.reembed("rules", on_progress=remove)
    with pytest.raises(InputError, match="there is no collection 'rules'"):
        workspace.reembed("rules")


def test_reembed_works_when_the_old_embedder_is_gone(settings: Settings) -> None:
    with Workspace(settings, embedder=NEW) as workspace:
        with pytest.raises(StoreError, match=r"was built with embedder 'hash'.*--reembed --collection rules"):
            workspace.collection("rules")
        workspace.reembed("rules")
        check_is_whole(workspace, NEW)


def test_gate_lets_writers_in_together_and_one_alone() -> None:
    gate = Gate()
    with gate, gate, gate.alone() as alone:
        assert not alone
    entered = threading.Event()
    with gate.alone() as alone:
        assert alone
        thread = threading.Thread(target=lambda: gate.__enter__() or entered.set())
        thread.start()
        assert not entered.wait(0.1)
    thread.join(10)
    assert entered.is_set()
