"""Which chunk rows a search may find, in the forms that both indexes want, made once for each set of documents."""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rag.store.records import Ids, Roster

Mask = npt.NDArray[np.bool_]

REMEMBERED = 8
"""So many sets of documents are remembered; a user asks again within the same one. Each takes a bit more than a byte a
chunk, and to make one of a million chunks takes 6 ms."""


class Allowed:
    """
    A set of chunk rows.

    Args:
        mask: whether a row may be found, indexed by row.

    Attributes:
        count: how many may be.
    """

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.count = int(np.count_nonzero(mask))

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """The mask with eight rows in a byte, the lowest first."""
        return np.packbits(self.mask, bitorder="little")

    @cached_property
    def rows(self) -> Ids:
        """The rows, ascending."""
        return np.flatnonzero(self.mask)


class Readable:
    """The chunk rows of sets of documents in one roster; the sets asked for last are remembered."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._known: list[tuple[Ids, Allowed]] = []
        self._lock = threading.Lock()

    def of(self, documents: Ids) -> Allowed:
        """Return the chunk rows of these documents, ascending rows."""
        with self._lock:
            for place, (known, allowed) in enumerate(self._known):
                if np.array_equal(known, documents):
                    self._known.append(self._known.pop(place))
                    return allowed
        allowed = self._made(documents)
        with self._lock:
            self._known = [*self._known[1 - REMEMBERED :], (documents, allowed)]
        return allowed

    def _made(self, documents: Ids) -> Allowed:
        chunks, owners = self._roster.chunks, self._roster.documents
        readable = np.zeros(int(owners.max(initial=0)) + 1, dtype=np.bool_)
        readable[documents[documents < len(readable)]] = True
        mask = np.zeros(int(chunks.max(initial=0)) + 1, dtype=np.bool_)
        mask[chunks] = readable[owners]
        return Allowed(mask)
