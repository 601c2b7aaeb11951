"""Limits in time: failed sign-ins of a name or from an address, and requests of a principal."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from models.base import AccessError

MOST_FAILURES = 10
WINDOW_S = 300.0
REMEMBERED = 10_000
"""So many names and addresses are remembered, those met last."""


class Attempts:
    """
    Failed sign-ins; safe to use from several threads.

    Args:
        clock: seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def require(self, name: str, address: str) -> None:
        """
        Refuse to check another password after too many wrong ones.

        Raises:
            AccessError: there were ten failures within five minutes.
        """
        with self._lock:
            for key in _keys(name, address):
                if len(self._recent(key)) >= MOST_FAILURES:
                    raise AccessError("too many failed sign-ins; wait five minutes.")

    def failed(self, name: str, address: str) -> None:
        """Remember a failure."""
        with self._lock:
            for key in _keys(name, address):
                self._failures[key] = [*self._recent(key), self._clock()][-MOST_FAILURES:]
                self._failures.move_to_end(key)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def _recent(self, key: str) -> list[float]:
        since = self._clock() - WINDOW_S
        return [at for at in self._failures.get(key, []) if at > since]


class Rate:
    """
    Requests of each principal, as a bucket that fills steadily; for one thread.

    Args:
        per_minute: how many a minute; as many may come at once.
        clock: seconds; only differences count.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Count a request; return 0, or the seconds after which the next one is taken."""
        now = self._clock()
        left, at = self._left.get(name, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - at) * self._per_minute / 60)
        allowed = left >= 1
        self._left[name] = (left - 1 if allowed else left, now)
        self._left.move_to_end(name)
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) * 60 / self._per_minute


def _keys(name: str, address: str) -> tuple[str, str]:
    return f"name {name}", f"address {address}"
