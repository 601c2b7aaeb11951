"""A thread that does the same thing every so often, until it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Periodic:
    """
    Work that is repeated.

    Args:
        name: of the thread.
        every_s: seconds between the end of one time and the beginning of the next.
        work: what is done.
    """

    def __init__(self, name: str, every_s: float, work: Callable[[], None]) -> None:
        self._every_s, self._work = every_s, work
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the time at hand."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._every_s):
            self._work()
