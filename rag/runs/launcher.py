"""
Where runs wait and run: one program at a time, and beside it one evaluation, which the server makes itself.

What waits or runs when the server ends is interrupted, and can be gone on with when it is back.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.base import HomegroundError, InputError
from rag.store.runs import Runs

logger = logging.getLogger(__name__)

PROGRAMS, INSIDE = "programs", "inside"
"""The two lanes."""


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """A run ended before its end, because somebody cancelled it or the server stops."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended by itself: in which state, and with what."""

    state: str
    result: Mapping[str, Any]


@dataclass
class Running:
    """
    A run that waits or runs.

    Attributes:
        run_id: its number.
        state: the state that it is in while it runs.
        work: does it.
        stopping: set when it shall end.
        ending: the state that it ends in then.
        begun: whether its turn has come.
    """

    run_id: int
    state: str
    work: Callable[[threading.Event], Outcome]
    stopping: threading.Event = field(default_factory=threading.Event)
    ending: str = "interrupted"
    begun: bool = False


class Launcher:
    """
    The lanes of one server.

    Args:
        runs: where what becomes of runs is written.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._lanes: dict[str, queue.SimpleQueue[Running | None]] = {
            lane: queue.SimpleQueue() for lane in (PROGRAMS, INSIDE)
        }
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"runs-{name}", daemon=True)
            for name, lane in self._lanes.items()
        ]
        self._open: dict[int, Running] = {}
        self._changing = threading.Lock()

    def start(self) -> None:
        """Call what ran when the server ended interrupted, and begin to take runs."""
        self._runs.interrupt_running()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what runs, within the time that programs get to save, and take nothing more."""
        for lane in self._lanes.values():
            lane.put(None)
        with self._changing:
            for running in self._open.values():
                running.stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def put(self, lane: str, running: Running) -> None:
        """
        Let a run wait for its turn.

        Raises:
            InputError: it waits or runs already.
        """
        with self._changing:
            if running.run_id in self._open:
                raise InputError(f"run {running.run_id} waits or runs already.")
            self._open[running.run_id] = running
        self._runs.wait(running.run_id, "checking" if running.state == "checking" else "queued")
        self._lanes[lane].put(running)

    def cancel(self, run_id: int) -> bool:
        """End a run, waiting or running; tell whether there was one."""
        with self._changing:
            running = self._open.get(run_id)
            if running is None:
                return False
            running.ending = "cancelled"
            running.stopping.set()
            if not running.begun:
                del self._open[run_id]
        if not running.begun:
            self._runs.end(run_id, "cancelled")
        return True

    def _work(self, lane: queue.SimpleQueue[Running | None]) -> None:
        while (running := lane.get()) is not None:
            with self._changing:
                if self._open.get(running.run_id) is not running:
                    continue  # cancelled while it waited
                running.begun = True
            self._do(running)
            with self._changing:
                del self._open[running.run_id]

    def _do(self, running: Running) -> None:
        try:
            if running.stopping.is_set():
                raise Stopped
            self._runs.begin(running.run_id, running.state)
            outcome = running.work(running.stopping)
        except Stopped:
            self._runs.end(running.run_id, running.ending)
        except HomegroundError as error:
            self._runs.end(running.run_id, "failed", failure=str(error))
        except Exception as error:
            places = "".join(traceback.format_tb(error.__traceback__))
            logger.error("run %d: unexpected %s at\n%s", running.run_id, type(error).__name__, places)
            self._runs.end(running.run_id, "failed", failure="the server made a mistake; its log says where.")
        else:
            self._runs.end(running.run_id, outcome.state, result=outcome.result)
