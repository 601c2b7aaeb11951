"""Calls of several threads that are made as one: whoever comes last works for all who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

PATIENCE_S = 0.01
"""
The longest wait for one who is expected, from when nobody works. Between two tokens a thread is busy for less than a
millisecond, when it draws from a large vocabulary for some.
"""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """
    Work that is done for several threads at once, one batch after another.

    Args:
        work: takes what was handed in at about the same time; gives for each its result, or what went wrong with it.
        places: how many threads may hand something in at about the same time; each holds a :meth:`place` meanwhile.
    """

    def __init__(self, work: Callable[[list[Item]], Sequence[Result | Exception]], places: int) -> None:
        self._work, self._places = work, places
        self._changed = threading.Condition()
        self._taken = 0
        self._waiting: list[tuple[Item, Future[Result]]] = []
        self._is_busy = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait for a place and hold it; whoever works waits a moment for everybody who holds one."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken < self._places)
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def do(self, item: Item) -> Result:
        """
        Hand something in, and return its result.

        Raises:
            Exception: what the work gave for it, or raised.
        """
        mine: Future[Result] = Future()
        batch = self._take(item, mine)
        if batch:
            self._work_for(batch)
        return mine.result()

    def _work_for(self, batch: list[tuple[Item, Future[Result]]]) -> None:
        outcomes: Sequence[Result | BaseException]
        try:
            outcomes = self._work([item for item, _ in batch])
        except BaseException as error:  # an interrupt, too: the others would wait for ever
            outcomes = [error] * len(batch)
        with self._changed:
            for (_, its), outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    its.set_exception(outcome)
                else:
                    its.set_result(outcome)
            self._is_busy = False
            self._changed.notify_all()

    def _take(self, item: Item, mine: Future[Result]) -> list[tuple[Item, Future[Result]]]:
        """Wait until somebody else has done it, and return nothing; or return what is to be done, this among it."""
        with self._changed:
            self._waiting.append((item, mine))
            self._changed.notify_all()
            deadline = time.monotonic() + PATIENCE_S
            while not mine.done():
                if self._is_busy:
                    self._changed.wait()
                    deadline = time.monotonic() + PATIENCE_S
                elif len(self._waiting) >= self._taken or time.monotonic() >= deadline:
                    batch, self._waiting, self._is_busy = self._waiting, [], True
                    return batch
                else:
                    self._changed.wait(deadline - time.monotonic())
        return []
