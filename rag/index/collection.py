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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path

import numpy as np

from models.base import StoreError
from rag.index.dense import DenseIndex
from rag.index.files import IndexFiles
from rag.index.lexical import LexicalIndex
from rag.index.snapshot import Snapshot
from rag.store.records import CollectionInfo, Ids, IndexRecord, Roster
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
        with self._translated():
            self._dense, self._dense_through = self._open_dense()
            self._lexical_directory, self._lexical, self._lexical_through = self._open_lexical()
        self._saved_through = self._dense_through
        self._roster = Roster(self._lexical.rows(), np.empty(0, np.int64))
        self.current()

    def current(self) -> Snapshot:
        """
        Take in what the store has committed since the last time, and return both indexes as they are now.

        Raises:
            StoreError: an index cannot be written; the store is not affected.
        """
        with self._lock, self._translated():
            changes = self._store.documents.changes(self._id)
            if changes != self._seen:
                roster = self._store.passages.roster(self._id)
                self._refresh_dense(roster.chunks)
                self._refresh_lexical(roster.chunks)
                self._roster, self._seen = roster, changes
            return Snapshot(self._dense, self._lexical, self._roster)

    def save(self) -> None:
        """Write the dense index, unless little has changed since it was written."""
        with self._lock, self._translated():
            self.current()
            if self._dense_through - self._saved_through < SAVE_AFTER_ROWS:
                return
            directory = self._files.new("dense", self._id)
            detail = self._dense.save(directory)
            self._record("dense", directory, self._dense_through, len(self._dense), detail)
            self._saved_through = self._dense_through

    def _open_dense(self) -> tuple[DenseIndex, int]:
        record, directory = self._intact("dense")
        if record is not None and directory is not None:
            try:
                return DenseIndex.load(directory, record.detail), record.through
            except (RuntimeError, KeyError) as error:
                logger.warning(
                    "the dense index %s is of another version (%s); building it again", directory.name, error
                )
        return DenseIndex(self._dim), 0

    def _open_lexical(self) -> tuple[Path, LexicalIndex, int]:
        record, directory = self._intact("lexical")
        if record is not None and directory is not None:
            try:
                return directory, LexicalIndex(directory), record.through
            except ValueError as error:
                logger.warning(
                    "the lexical index %s is of another version (%s); building it again", directory.name, error
                )
        directory = self._files.new("lexical", self._id)
        return directory, LexicalIndex(directory), 0

    def _intact(self, kind: str) -> tuple[IndexRecord | None, Path | None]:
        """Return what is recorded of an index, and its directory if that is what was recorded."""
        record = self._store.passages.index_record(self._id, kind)
        if record is None:
            return None, None
        directory = self._files.intact(record.directory, record.files)
        if directory is None:
            logger.warning("the %s index %s is missing or damaged; building it again", kind, record.directory)
        return record, directory

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what faiss, tantivy and the file system say into one sentence."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreError(
                f"the indexes in {self._files.root} cannot be read or written ({error}); free some space or check the "
                "rights. Documents are safe: the indexes are built again from them."
            ) from error

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
        removed = np.setdiff1d(self._roster.chunks, living, assume_unique=True)
        newest = int(living[-1]) if len(living) else self._lexical_through
        new = int(np.count_nonzero(living > self._lexical_through))
        if not new and not len(removed):
            return
        if len(removed) > DEAD_SHARE * max(1, len(living)):
            directory = self._files.new("lexical", self._id)
            fresh, through = LexicalIndex(directory), 0
            removed = removed[:0]
        else:
            # A copy with a searcher of its own: whoever searches now keeps the one from before.
            directory, fresh, through = self._lexical_directory, copy(self._lexical), self._lexical_through
        fresh.update(self._store.passages.texts_between(self._id, through, newest), removed)
        self._lexical_directory, self._lexical, self._lexical_through = directory, fresh, newest
        self._record("lexical", self._lexical_directory, self._lexical_through, len(self._lexical), {})
        logger.info("lexical index: %d rows in, %d out, %.2f s", new, len(removed), time.perf_counter() - started)

    def _record(self, kind: str, directory: Path, through: int, rows: int, detail: Mapping[str, float]) -> None:
        """Make a directory the index of its kind, and let go of the one before."""
        before = self._store.passages.index_record(self._id, kind)
        files = self._files.seal(directory)
        self._store.passages.record_index(self._id, kind, IndexRecord(directory.name, files, through, rows, detail))
        if before is not None and before.directory != directory.name:
            self._files.remove(before.directory)
