"""What the server does beside answering, with two real embedders: old vectors serve until new ones are complete."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from models import store
from models.manifest import write_manifest
from rag.config import Settings, load
from rag.types import Document
from rag.upkeep import Upkeep
from rag.workspace import Workspace
from tests.fakes import ScriptedGenerator, write_tiny_embedder
from tests.serving import wait_until

COUNT = 60


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings that name the new embedder, and a data directory that was filled with the old one."""
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "models"))
    for seed, name in enumerate(("tiny-old", "tiny-new")):
        directory = write_tiny_embedder(tmp_path / "models" / name, seed=seed)
        write_manifest(directory, store.describe(directory, name, "embedder", store.stamp_path(name)))
    with Workspace(load(data_dir=tmp_path / "data", environment={}, embedder="tiny-old")) as workspace:
        base = workspace.collection("rules", create=True)
        base.add_documents(
            Document(f"{number}.md", f"Rule {number}: a badge is reset at the front desk. " * 20, f"Rule {number}")
            for number in range(COUNT)
        )
    return load(data_dir=tmp_path / "data", environment={}, embedder="tiny-new")


def embedder_of(workspace: Workspace) -> str:
    (info,) = workspace.collections()
    return info.embedder.name


def test_collection_is_searched_with_its_own_embedder_until_it_has_the_configured_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag")
    with Workspace(settings, generator=ScriptedGenerator([""])) as workspace:
        before = workspace.collection("rules").search("Where is a badge reset?", 5)
        assert embedder_of(workspace) == "tiny-old"
        upkeep = Upkeep(workspace)
        upkeep.start()
        wait_until(lambda: embedder_of(workspace) == "tiny-new", 60)
        upkeep.stop()
        after = workspace.collection("rules").search("Where is a badge reset?", 5)
        assert {hit.dense for hit in before}.isdisjoint(hit.dense for hit in after)
        assert workspace.collection("rules").documents(limit=1)
    assert "rules is embedded again, with tiny-new in place of tiny-old" in caplog.text


def test_upkeep_ends_at_once_and_goes_on_the_next_time(settings: Settings) -> None:
    with Workspace(settings) as workspace:
        _ = workspace.models.embedder
        upkeep = Upkeep(workspace)
        upkeep.start()
        upkeep.stop()
        assert embedder_of(workspace) == "tiny-old"
        assert len(workspace.collection("rules").documents(limit=500)) == COUNT
        again = Upkeep(workspace)
        again.start()
        wait_until(lambda: embedder_of(workspace) == "tiny-new", 60)
        again.stop()


def test_upkeep_drops_what_was_begun_for_an_embedder_that_is_not_wanted_any_more(settings: Settings) -> None:
    with Workspace(settings) as workspace:
        _ = workspace.models.embedder
        upkeep = Upkeep(workspace)
        upkeep.start()
        upkeep.stop()
    with Workspace(settings.model_copy(update={"embedder": "tiny-old"})) as workspace:
        upkeep = Upkeep(workspace)
        upkeep.start()
        with workspace.store._database.reading() as connection:
            wait_until(lambda: connection.execute("SELECT count(*) FROM collections").get == 1)
        upkeep.stop()
        assert embedder_of(workspace) == "tiny-old"
