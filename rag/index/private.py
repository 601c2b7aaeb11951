"""
Words for readers who may read only a part of a collection: an index of that part alone, in memory.

How rare a word is, and how long passages usually are, weigh in every BM25 score. Counted over documents that a reader
may not read, they would tell of them; so a part has statistics of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import numpy as np

from rag.index.lexical import LexicalIndex
from rag.store import Store
from rag.store.records import Ids

REMEMBERED = 8
"""So many parts are remembered, those asked last. Building one takes about a second for 20,000 chunks."""

NO_ROWS: Ids = np.empty(0, np.int64)


class PrivateWords:
    """
    The lexical indexes of parts of one collection; safe to use from several threads.

    Args:
        store: where texts are read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[bytes, LexicalIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, rows: Ids) -> LexicalIndex:
        """Return the index over these chunk rows, ascending, built now if it is not remembered."""
        key = hashlib.sha256(rows.tobytes()).digest()
        with self._lock:
            if key not in self._known:
                fresh = LexicalIndex(None)
                fresh.update(self._store.passages.texts_of(rows), NO_ROWS)
                self._known[key] = fresh
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def forget(self) -> None:
        """Let go of everything, so that nothing deleted stays in memory."""
        with self._lock:
            self._known.clear()
