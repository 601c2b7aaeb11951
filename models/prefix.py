"""
Readings of earlier prompts, from which one that begins alike goes on instead of reading the same again.

Readings belong to a scope, such as a user, and are never seen by another: how fast an answer comes must not tell what
somebody else has asked. Only heads without anything private in them, the fixed instructions, belong to everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock

from models.engine import AdapterKey, Reading

MAX_READINGS = 8
MAX_TOKENS = 8192
"""Of all readings together; a token takes some 45 KiB with models of 135M to 1.5B parameters, 130 KiB with 7B."""

EVERYBODY = ""
"""The scope of heads that hold nothing private."""


@dataclass(frozen=True, slots=True)
class _Kept:
    scope: str
    adapter: AdapterKey
    ids: tuple[int, ...]
    reading: Reading


class PrefixCache:
    """Readings, those used longest ago going first; for several threads."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []  # the one used longest ago first
        self._changing = RLock()  # a stream that is collected within gives its reading back

    def longest(self, ids: Sequence[int], scope: str, adapter: AdapterKey) -> tuple[Reading | None, int]:
        """
        Return the reading that shares most of a prompt's beginning, and how many tokens that is.

        At least one token of the prompt is left to be read: what comes next is computed from it.
        """
        best, most = None, 0
        with self._changing:
            for kept in self._kept:
                if kept.adapter == adapter and kept.scope in (scope, EVERYBODY):
                    shared = min(_shared(kept.ids, ids), len(ids) - 1)
                    if shared > most:
                        best, most = kept, shared
            if best is None:
                return None, 0
            self._kept.remove(best)
            self._kept.append(best)
            return best.reading, most

    def let_go(self, reading: Reading, length: int, scope: str) -> bool:
        """
        Drop a reading that a request goes on from with all its ``length`` tokens; tell whether it was such a one.

        Those of everybody stay, and those that are longer.
        """
        with self._changing:
            kept = next((kept for kept in self._kept if kept.reading is reading), None)
            if kept is None or kept.scope != scope or scope == EVERYBODY or len(kept.ids) != length:
                return False
            self._kept.remove(kept)
            return True

    def keep(self, ids: Sequence[int], scope: str, adapter: AdapterKey, reading: Reading) -> None:
        """Keep a reading of these tokens, in place of those of the scope that it goes on from."""
        fresh = _Kept(scope, adapter, tuple(ids), reading)
        with self._changing:
            self._kept = [kept for kept in self._kept if not _continues(fresh, kept)] + [fresh]
            while len(self._kept) > MAX_READINGS or sum(len(kept.ids) for kept in self._kept) > MAX_TOKENS:
                self._kept.pop(0)


def _continues(later: _Kept, earlier: _Kept) -> bool:
    return (later.scope, later.adapter) == (earlier.scope, earlier.adapter) and (
        later.ids[: len(earlier.ids)] == earlier.ids
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
