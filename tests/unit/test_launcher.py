"""Lanes of runs: one after another, cancelled before and while they run, never twice at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.base import InputError
from rag.runs.launcher import INSIDE, PROGRAMS, Launcher, Outcome, Running, Stopped
from rag.store import Store
from tests.serving import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


class Work:
    """Waits until it is let go, or is to stop."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, stopping: threading.Event) -> Outcome:
        self.begun.set()
        while not self.go.wait(0.01):
            if stopping.is_set():
                raise Stopped
        return Outcome("done", {"right": True})


def added(store: Store) -> int:
    return store.runs.add("training", "ann", "letters", "", {}, "queued").id


def test_lane_does_one_run_after_another_and_lanes_go_beside_each_other(store: Store) -> None:
    launcher, works = Launcher(store.runs), [Work(), Work(), Work()]
    launcher.start()
    ids = [added(store) for _ in works]
    for run, work, lane in zip(ids, works, (PROGRAMS, PROGRAMS, INSIDE), strict=True):
        launcher.put(lane, Running(run, "running", work))
    wait_until(lambda: works[0].begun.is_set() and works[2].begun.is_set())
    assert [store.runs.get(run).state for run in ids] == ["running", "queued", "running"]
    for work in works:
        work.go.set()
    wait_until(lambda: all(store.runs.get(run).state == "done" for run in ids))
    assert store.runs.get(ids[1]).result == {"right": True}
    launcher.stop()


def test_run_is_cancelled_while_it_waits_and_while_it_runs_and_put_again(store: Store) -> None:
    launcher, first, second = Launcher(store.runs), Work(), Work()
    launcher.start()
    one, other = added(store), added(store)
    launcher.put(PROGRAMS, Running(one, "running", first))
    launcher.put(PROGRAMS, Running(other, "running", second))
    with pytest.raises(InputError, match="waits or runs already"):
        launcher.put(PROGRAMS, Running(other, "running", second))
    first.begun.wait(10)
    assert launcher.cancel(other)
    assert store.runs.get(other).state == "cancelled"
    assert launcher.cancel(one)
    wait_until(lambda: store.runs.get(one).state == "cancelled")
    wait_until(lambda: not launcher.cancel(one))
    again = Work()
    again.go.set()
    launcher.put(PROGRAMS, Running(one, "running", again))
    wait_until(lambda: store.runs.get(one).state == "done")
    assert not second.begun.is_set()
    launcher.stop()


def test_end_interrupts_what_runs_and_what_waits(store: Store) -> None:
    launcher, work = Launcher(store.runs), Work()
    launcher.start()
    runs = [added(store), added(store)]
    for run in runs:
        launcher.put(PROGRAMS, Running(run, "running", work))
    work.begun.wait(10)
    launcher.stop()
    assert [store.runs.get(run).state for run in runs] == ["interrupted", "interrupted"]


def test_mistake_of_ours_is_no_sentence_for_people(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    words = "a secret of the document"

    def fails(stopping: threading.Event) -> Outcome:
        raise RuntimeError(words)

    launcher, run = Launcher(store.runs), added(store)
    launcher.start()
    launcher.put(INSIDE, Running(run, "running", fails))
    wait_until(lambda: store.runs.get(run).state == "failed")
    launcher.stop()
    assert "its log says where" in store.runs.get(run).failure
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
