"""A watched folder and its collection stay equal, whatever happens to the folder; the server watches, too."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.base import InputError
from rag.config import load
from rag.knowledge_base import KnowledgeBase
from rag.plan import Touched
from rag.report import Report
from rag.watch import Watch
from rag.workspace import Workspace
from tests.fakes import HashEmbedder
from tests.serving import Live, serving, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "people").mkdir(parents=True)
    (folder / "badges.md").write_text("# Badges\n\nA lost badge costs five pounds.\n")
    (folder / "people" / "leave.md").write_text("# Leave\n\nEverybody has 25 days of leave.\n")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with Workspace(load(data_dir=tmp_path / "data", environment={}), embedder=HashEmbedder()) as workspace:
        yield workspace.collection("handbook", create=True)


class Watching:
    """A watch at work in a thread, and what it reported."""

    def __init__(self, base: KnowledgeBase, *folders: Path) -> None:
        self.base = base
        self.reports: list[Report] = []
        self.looked_at: list[set[str]] = []
        self._stop = threading.Event()
        watch = Watch(folders, self._sync)
        self._thread = threading.Thread(target=watch.run, args=(self.reports.append, self._stop))
        self._thread.start()

    def _sync(self, folders: Sequence[Path], touched: Touched) -> Report:
        looked_at: set[str] = set()

        def note(path: Path) -> bool:
            if touched(path):
                looked_at.add(path.name)
            return touched(path)

        report = self.base.add(*folders, sync=True, touched=note)
        self.looked_at.append(looked_at)
        return report

    def sources(self) -> list[str]:
        return [row.source for row in self.base.documents()]

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


Start = Callable[..., Watching]


@pytest.fixture
def start(base: KnowledgeBase) -> Iterator[Start]:
    begun: list[Watching] = []

    def begin(*folders: Path) -> Watching:
        begun.append(Watching(base, *folders))
        return begun[-1]

    yield begin
    for watching in begun:
        watching.end()


def test_watch_brings_the_whole_folder_in_first(start: Start, folder: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    assert watching.sources() == ["badges.md", "people/leave.md"]


def test_watch_follows_new_changed_moved_and_deleted_files(start: Start, folder: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    (folder / "canteen.md").write_text("# Canteen\n\nIt opens at noon.\n")
    wait_until(lambda: len(watching.reports) > 1)
    assert "canteen.md" in watching.sources()
    assert watching.looked_at[-1] == {"canteen.md"}
    (folder / "canteen.md").write_text("# Canteen\n\nIt opens at eleven.\n")
    wait_until(lambda: "eleven" in watching.base.search("canteen opens", 1)[0].chunk.text)
    (folder / "canteen.md").rename(folder / "people" / "canteen.md")
    wait_until(lambda: watching.sources() == ["badges.md", "people/canteen.md", "people/leave.md"])
    wait_until(lambda: watching.reports[-1].reused == 1)
    (folder / "badges.md").unlink()
    wait_until(lambda: watching.sources() == ["people/canteen.md", "people/leave.md"])


def test_watch_follows_whole_folders(start: Start, folder: Path, tmp_path: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    shutil.copytree(folder / "people", tmp_path / "aside" / "deep")
    (tmp_path / "aside" / "deep" / "new.md").write_text("# New\n\nQuite new.\n")
    (tmp_path / "aside").rename(folder / "moved")
    wait_until(lambda: "moved/deep/new.md" in watching.sources())
    assert "moved/deep/leave.md" in watching.sources()
    shutil.rmtree(folder / "people")
    wait_until(lambda: "people/leave.md" not in watching.sources())


def test_watch_goes_on_after_a_file_that_cannot_be_read(start: Start, folder: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    wait_until(lambda: len(watching.reports) > 1)
    assert [problem.source for problem in watching.reports[-1].errors] == ["broken.pdf"]
    (folder / "fine.md").write_text("# Fine\n\nThis one is.\n")
    wait_until(lambda: len(watching.reports) > 2)
    assert "fine.md" in watching.sources()
    assert watching.reports[-1].errors == []


def test_watch_says_nothing_of_changes_that_change_nothing(start: Start, folder: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    (folder / "badges.md").touch()
    (folder / ".hidden").write_text("x")
    wait_until(lambda: len(watching.looked_at) > 1)
    assert watching.looked_at[-1] == {"badges.md"}
    assert len(watching.reports) == 1


def test_watch_keeps_everything_while_the_folder_is_away(
    start: Start, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    away = folder.rename(tmp_path / "away")
    wait_until(lambda: "is not there, or empty" in caplog.text)
    folder.mkdir()  # what an unmounted disk leaves
    (away / "while-away.md").write_text("# News\n\nWritten meanwhile.\n")
    assert watching.sources() == ["badges.md", "people/leave.md"]
    folder.rmdir()
    away.rename(folder)
    wait_until(lambda: "while-away.md" in watching.sources())
    assert "is back" in caplog.text
    (folder / "later.md").write_text("# Later\n\nWritten later.\n")
    wait_until(lambda: "later.md" in watching.sources())


def test_watch_waits_for_an_empty_folder_it_never_saw_full(
    start: Start, base: KnowledgeBase, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base.add(folder)
    full = folder.rename(tmp_path / "full")
    folder.mkdir()
    watching = start(folder)
    wait_until(lambda: "is not there, or empty" in caplog.text)
    assert watching.sources() == ["badges.md", "people/leave.md"]
    (full / "badges.md").rename(folder / "badges.md")
    wait_until(lambda: watching.sources() == ["badges.md"])


def test_watch_follows_a_folder_that_is_emptied_before_its_eyes(start: Start, folder: Path) -> None:
    watching = start(folder)
    wait_until(lambda: watching.reports)
    (folder / "badges.md").unlink()
    shutil.rmtree(folder / "people")
    wait_until(lambda: watching.sources() == [])


def test_watch_of_two_folders_syncs_the_one_that_is_there(start: Start, folder: Path, tmp_path: Path) -> None:
    watching = start(folder, tmp_path / "second")
    wait_until(lambda: watching.reports)
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "canteen.md").write_text("# Canteen\n\nIt opens at noon.\n")
    (tmp_path / "aside").rename(tmp_path / "second")
    wait_until(lambda: watching.sources() == ["badges.md", "canteen.md", "people/leave.md"])
    shutil.rmtree(tmp_path / "second")
    (folder / "new.md").write_text("# New\n\nNew.\n")
    wait_until(lambda: "new.md" in watching.sources())
    assert "canteen.md" in watching.sources()


def test_watch_tries_again_after_a_failure(
    base: KnowledgeBase, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.watch.RETRY_S", 0.1)
    outcomes: list[Report | InputError] = [InputError("the disk is full."), Report(removed=1)]
    reports: list[Report] = []
    stop = threading.Event()

    def sync(folders: Sequence[Path], touched: Touched) -> Report:
        assert touched(folder / "anything")
        outcome = outcomes.pop(0)
        if isinstance(outcome, InputError):
            raise outcome
        stop.set()
        return outcome

    Watch([folder], sync).run(reports.append, stop)
    assert [report.removed for report in reports] == [1]
    assert "the disk is full. Trying again" in caplog.text


def test_watch_refuses_a_file(folder: Path) -> None:
    with pytest.raises(InputError, match="only folders can be watched"):
        Watch([folder / "badges.md"], lambda folders, touched: Report())


# The server


@contextmanager
def watching_server(tmp_path: Path, folder: Path, **watched: object) -> Iterator[Live]:
    with serving(tmp_path / "data", watch=[{"folder": str(folder), **watched}]) as live:
        yield live


def stored(live: Live, collection: str) -> list[str]:
    response = live.client.get("/api/documents", params={"collection": collection})
    return [row["source"] for row in response.json()["documents"]] if response.status_code == 200 else []


def test_server_keeps_a_collection_equal_to_a_folder(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag")
    with watching_server(tmp_path, folder, collection="watched", exclude=["people/"]) as live:
        wait_until(lambda: stored(live, "watched") == ["badges.md"])
        (folder / "canteen.md").write_text("# Canteen\n\nIt opens at noon.\n")
        wait_until(lambda: stored(live, "watched") == ["badges.md", "canteen.md"])
        (folder / "badges.md").unlink()
        wait_until(lambda: stored(live, "watched") == ["canteen.md"])
        assert stored(live, "handbook") == ["badges.md", "leave.md"]
        answer = live.client.post("/api/search", json={"question": "canteen", "collection": "watched"}).json()
        assert answer["hits"][0]["source"] == "canteen.md"
    assert "watched: 1 documents indexed" in caplog.text


def test_server_takes_uploads_beside_a_watched_folder(tmp_path: Path, folder: Path) -> None:
    with watching_server(tmp_path, folder) as live:
        wait_until(lambda: "people/leave.md" in stored(live, "handbook"))
        files = {"files": ("uploaded.md", b"# Uploaded\n\nOver the wire.\n")}
        assert live.client.post("/api/documents", files=files, data={"collection": "handbook"}).status_code == 200
        (folder / "people" / "leave.md").unlink()
        wait_until(lambda: "people/leave.md" not in stored(live, "handbook"))
        assert {"uploaded.md", "leave.md"} <= set(stored(live, "handbook"))
