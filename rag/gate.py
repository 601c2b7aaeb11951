"""Who may write at the same time: any number of writers, or one who puts a collection in another's place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """
    Writers hold it with ``with gate:``, as many as like, because each of their writes is a transaction.

    Whoever is to replace a collection asks for it :meth:`alone` and does not wait: a writer may take hours.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._writers = 0

    def __enter__(self) -> None:
        with self._changing:
            self._writers += 1

    def __exit__(self, *_: object) -> None:
        with self._changing:
            self._writers -= 1

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Tell whether nobody writes; nobody can begin to until the block ends."""
        with self._changing:
            yield self._writers == 0
