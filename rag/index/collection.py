"""
Both indexes of one collection, kept in step with the store.

What the store holds and an index does not know yet is taken in before the next search, so whatever was acknowledged is
found at once. The files are caches: at opening, each file's hash is compared with the one in the store before it is
parsed, and an index that is missing, damaged or foreign is built again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.base import Vectors
from rag.index.dense import DenseIndex, Mask
from rag.index.files import IndexFiles
from rag.index.lexical import LexicalIndex
from rag.store.records import CollectionInfo, Ids, IndexRecord
from rag.store.store import Store

logger = logging.getLogger(__name__)

DEAD_SHARE = 0.2
"""An index is built again when this share of its rows has been deleted."""

SAVE_AFTER_ROWS = 2_000
"""So many rows newer than the saved dense index are read again from the store at the next opening."""


class CollectionIndex:
    """
    Search over one collection; safe to use from several threads.

    Args:
        store: the truth.
        info: the collection.
        files: where the indexes are saved.
    """

    def __init__(self, store: Store, info: CollectionInfo, files: IndexFiles) -> None:
        self._store = store
        self._id = info.id
        self._dim = info.embedder.dim
        self._files = files
        self._lock = threading.RLock()
        self._seen = -1
        self._dense, self._dense_through = self._open_dense()
        self._lexical_directory, self._lexical, self._lexical_through = self._open_lexical()
        self._saved_through = self._dense_through
        self._chunks: Ids = np.empty(0, np.int64)
        self._documents: Ids = np.empty(0, np.int64)
        self.refresh()

    def refresh(self) -> None:
        """Take in what the store has committed since the last time."""
        with self._lock:
            changes = self._store.documents.changes(self._id)
            if changes == self._seen:
                return
            roster = self._store.passages.roster(self._id)
            self._refresh_dense(roster.chunks)
            self._refresh_lexical(roster.chunks)
            self._chunks, self._documents = roster.chunks, roster.documents
            self._seen = changes

    def allowed(self, documents: Ids | None) -> Mask | None:
        """
        Return which chunk rows a search may find, indexed by row.

        Args:
            documents: rows of the documents that the caller may read and the filter lets through; None for all.

        Returns:
            None when no row needs to be held back.
        """
        with self._lock:
            if documents is None and len(self._dense) == len(self._chunks):
                return None
            mask = np.zeros(int(self._chunks[-1]) + 1 if len(self._chunks) else 1, dtype=np.bool_)
            if documents is None:
                mask[self._chunks] = True
            else:
                readable = np.zeros(int(self._documents.max(initial=0)) + 1, dtype=np.bool_)
                readable[documents[documents < len(readable)]] = True
                mask[self._chunks[readable[self._documents]]] = True
            # An index may know deleted rows beyond the last living one.
            return np.pad(mask, (0, max(0, self._dense_through + 1 - len(mask))))

    def nearest(self, query: Vectors, k: int, allowed: Mask | None) -> tuple[Ids, Vectors]:
        """Return the ``k`` nearest allowed chunks and their cosine similarities, see :meth:`DenseIndex.search`."""
        with self._lock:
            return self._dense.search(query, k, allowed)

    def matching(self, question: str, k: int, allowed: Mask | None) -> tuple[Ids, Vectors]:
        """Return the ``k`` allowed chunks that match best and their BM25, see :meth:`LexicalIndex.search`."""
        return self._lexical.search(question, k, allowed)

    def lexical_scores(self, question: str, rows: Ids) -> Vectors:
        """Return the BM25 score of each row, see :meth:`LexicalIndex.scores`."""
        return self._lexical.scores(question, rows)

    def save(self) -> None:
        """Write the dense index, unless little has changed since it was written."""
        with self._lock:
            self.refresh()
            if self._dense_through - self._saved_through < SAVE_AFTER_ROWS:
                return
            directory = self._files.new("dense", self._id)
            detail = self._dense.save(directory)
            self._record("dense", directory, self._dense_through, len(self._dense), detail)
            self._saved_through = self._dense_through

    def _open_dense(self) -> tuple[DenseIndex, int]:
        record = self._store.passages.index_record(self._id, "dense")
        if record is not None:
            directory = self._files.intact(record.directory, record.files)
            if directory is not None:
                return DenseIndex.load(directory, record.detail), record.through
            logger.warning("the dense index %s is missing or damaged; building it again", record.directory)
        return DenseIndex(self._dim), 0

    def _open_lexical(self) -> tuple[Path, LexicalIndex, int]:
        record = self._store.passages.index_record(self._id, "lexical")
        if record is not None:
            directory = self._files.intact(record.directory, record.files)
            if directory is not None:
                return directory, LexicalIndex(directory), record.through
            logger.warning("the lexical index %s is missing or damaged; building it again", record.directory)
        directory = self._files.new("lexical", self._id)
        return directory, LexicalIndex(directory), 0

    def _refresh_dense(self, living: Ids) -> None:
        started = time.perf_counter()
        newest = int(living[-1]) if len(living) else 0
        new = int(np.count_nonzero(living > self._dense_through))
        dead = len(self._dense) + new - len(living)
        if self._dense.outgrown_by(new) or dead > DEAD_SHARE * max(1, len(living)):
            self._dense = DenseIndex.build(
                self._dim, len(living), lambda: self._store.passages.vectors_between(self._id, 0, newest)
            )
            self._saved_through = 0
        else:
            for ids, vectors in self._store.passages.vectors_between(self._id, self._dense_through, newest):
                self._dense.add(ids, vectors)
        self._dense_through = max(self._dense_through, newest)
        if new:
            logger.info("dense index: %d rows in, %.2f s", new, time.perf_counter() - started)

    def _refresh_lexical(self, living: Ids) -> None:
        started = time.perf_counter()
        known = self._chunks if len(self._chunks) else self._lexical.rows()
        removed = np.setdiff1d(known, living, assume_unique=True)
        newest = int(living[-1]) if len(living) else self._lexical_through
        new = int(np.count_nonzero(living > self._lexical_through))
        if not new and not len(removed):
            return
        if len(removed) > DEAD_SHARE * max(1, len(living)):
            self._lexical_directory = self._files.new("lexical", self._id)
            self._lexical, self._lexical_through = LexicalIndex(self._lexical_directory), 0
            removed = removed[:0]
        self._lexical.update(self._store.passages.texts_between(self._id, self._lexical_through, newest), removed)
        self._lexical_through = newest
        self._record("lexical", self._lexical_directory, self._lexical_through, len(self._lexical), {})
        logger.info("lexical index: %d rows in, %d out, %.2f s", new, len(removed), time.perf_counter() - started)

    def _record(self, kind: str, directory: Path, through: int, rows: int, detail: Mapping[str, float]) -> None:
        """Make a directory the index of its kind, and let go of the one before."""
        before = self._store.passages.index_record(self._id, kind)
        files = self._files.seal(directory)
        self._store.passages.record_index(self._id, kind, IndexRecord(directory.name, files, through, rows, detail))
        if before is not None and before.directory != directory.name:
            self._files.remove(before.directory)
