"""
Both indexes of one collection, kept in step with the store.

What the store holds and an index does not know yet is taken in before the next search, so whatever was acknowledged is
found at once. The files are caches: at opening, each file's hash is compared with the one in the store before it is
parsed, and an index that is missing, damaged or foreign is built again. In a large collection, an index that has
outgrown its shape, or holds too much that is gone, is built again beside the one that serves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path

import numpy as np

from models.base import StoreError
from rag.index.allowed import Readable
from rag.index.dense import FLAT_LIMIT, DenseIndex
from rag.index.files import IndexFiles
from rag.index.lexical import LexicalIndex
from rag.index.private import PrivateWords
from rag.index.saved import SavedIndex
from rag.index.snapshot import Snapshot
from rag.store.records import CollectionInfo, Ids, Roster
from rag.store.store import Store

logger = logging.getLogger(__name__)

DEAD_SHARE = 0.2
"""An index is built again when this share of its rows has been deleted."""

SAVE_AFTER_ROWS = 2_000
SAVE_AFTER_SHARE = 0.05
"""So many rows newer than the saved dense index are read again from the store at the next opening: 2,000, or 5 %."""

NO_ROWS: Ids = np.empty(0, np.int64)


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
        self._root = files.root
        self._vectors = partial(store.passages.vectors, dim=self._dim)
        self._dense_files = SavedIndex(store, files, info.id, "dense")
        self._lexical_files = SavedIndex(store, files, info.id, "lexical")
        self._private = PrivateWords(store)
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        self._rebuilding: threading.Thread | None = None
        with self._lock, self._translated():
            self._seen = store.documents.changes(self._id)
            self._dense = self._open_dense()
            self._saved = self._dense, self._dense.through
            self._lexical = self._open_lexical()
            roster = store.passages.roster(self._id)
            self._take_in(roster, self._strays(roster.chunks))

    def current(self) -> Snapshot:
        """
        Take in what the store has committed since the last time, and return both indexes as they are now.

        Raises:
            StoreError: an index cannot be written; the store is not affected.
        """
        if self._store.documents.changes(self._id) != self._seen:
            with self._lock, self._translated():
                self._follow()
        return self._snapshot

    def save(self, *, always: bool = False) -> None:
        """
        Write the dense index, unless little has changed since it was written; searches go on meanwhile.

        Args:
            always: write it although little has changed.

        Raises:
            StoreError: an index cannot be written; the store is not affected.
        """
        with self._saving, self._translated():
            self.current()
            with self._lock:
                dense, through, living = self._dense, self._dense.through, self._roster.chunks
                saved, saved_through = self._saved
                newer = len(_newer(living, saved_through if saved is dense else 0))
                if not always and newer < max(SAVE_AFTER_ROWS, SAVE_AFTER_SHARE * len(living)):
                    return
                directory, rows = self._dense_files.new(), len(dense)
                detail = dense.save(directory)
            self._dense_files.record(directory, through, rows, detail)
            self._saved = dense, through

    def purge(self) -> None:
        """Build anew what still holds words or vectors of deleted documents, on disk and in memory."""
        self._private.forget()
        if (rebuilding := self._rebuilding) is not None:
            rebuilding.join()
        self.current()
        self._rebuilding = threading.current_thread()
        self._rebuild(self._roster.chunks, purge=True)

    def close(self) -> None:
        """
        Save, and wait for an index that is being built; it saves itself.

        Raises:
            StoreError: an index cannot be written.
        """
        try:
            self.save()
        finally:
            if (rebuilding := self._rebuilding) is not None:
                rebuilding.join()

    def _open_dense(self) -> DenseIndex:
        if (saved := self._dense_files.intact()) is not None:
            directory, record = saved
            try:
                return DenseIndex.load(directory, self._vectors, record.through, record.detail)
            except (RuntimeError, KeyError) as error:
                self._note_foreign(directory, error)
        return DenseIndex(self._dim, self._vectors)

    def _open_lexical(self) -> LexicalIndex:
        if (saved := self._lexical_files.intact()) is not None:
            directory, record = saved
            try:
                return LexicalIndex(directory, record.through, int(record.detail.get("dead", 0)))
            except ValueError as error:
                self._note_foreign(directory, error)
        return LexicalIndex(self._lexical_files.new())

    def _note_foreign(self, directory: Path, error: Exception) -> None:
        logger.warning("the index %s is of another version (%s); building it again", directory.name, error)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what faiss, tantivy and the file system say into one sentence."""
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreError(
                f"the indexes in {self._root} cannot be read or written ({error}); free some space or check the "
                "rights. Documents are safe: the indexes are built again from them."
            ) from error

    def _strays(self, living: Ids) -> Ids:
        """Return the rows that left the store while the lexical index was not there to follow."""
        # It holds every living row up to `through`, so equal numbers mean equal rows.
        if len(self._lexical) == len(living) - len(_newer(living, self._lexical.through)):
            return NO_ROWS
        return np.setdiff1d(self._lexical.rows(), living, assume_unique=True)

    def _follow(self) -> None:
        """Take in what this process has changed in the store since the last time."""
        seen = self._store.documents.changes(self._id)
        gone = np.isin(self._roster.documents, self._store.documents.removed(self._id, self._seen))
        chunks, documents = self._roster.chunks[~gone], self._roster.documents[~gone]
        new = self._store.passages.roster(self._id, after=_last(chunks))
        roster = Roster(np.concatenate([chunks, new.chunks]), np.concatenate([documents, new.documents]))
        self._take_in(roster, self._roster.chunks[gone])
        self._seen = seen

    def _take_in(self, roster: Roster, removed: Ids) -> None:
        """Bring both indexes to the rows of ``roster``; ``removed`` are those that the lexical one may still hold."""
        self._take_in_vectors(roster.chunks)
        self._take_in_words(roster.chunks, removed)
        self._roster = roster
        self._snapshot = Snapshot(self._dense, self._lexical, roster, Readable(roster), self._private)
        if self._rebuilding is None and (self._dense_is_due(roster.chunks) or self._lexical_is_due(roster.chunks)):
            self._rebuilding = threading.Thread(target=self._rebuild, args=(roster.chunks,), name="rebuild")
            self._rebuilding.start()

    def _take_in_vectors(self, living: Ids) -> None:
        started = time.perf_counter()
        new = _newer(living, self._dense.through)
        # Few rows are built over in a moment; many new ones are not worth a place in an index that is given up anyway.
        at_once = len(living) <= FLAT_LIMIT or len(new) > FLAT_LIMIT
        if at_once and self._dense_is_due(living, len(new)):
            self._dense = DenseIndex.build(self._dim, self._vectors, living)
        else:
            self._dense.add(new)
        if len(new):
            logger.info("dense index: %d rows in, %.2f s", len(new), time.perf_counter() - started)

    def _take_in_words(self, living: Ids, removed: Ids) -> None:
        started = time.perf_counter()
        new = _newer(living, self._lexical.through)
        if not len(new) and not len(removed):
            return
        if len(living) <= FLAT_LIMIT and self._lexical_is_due(living, len(removed)):
            self._lexical = self._lexical_over(living)
        else:
            # A copy with a searcher of its own: whoever searches now keeps the one from before.
            fresh = copy(self._lexical)
            fresh.update(self._texts(new), removed)
            self._lexical = fresh
        self._record_lexical()
        logger.info("lexical index: %d rows in, %d out, %.2f s", len(new), len(removed), time.perf_counter() - started)

    def _dense_is_due(self, living: Ids, new: int = 0) -> bool:
        dead = len(self._dense) + new - len(living)
        return self._dense.outgrown_by(new) or dead > DEAD_SHARE * max(1, len(living))

    def _lexical_is_due(self, living: Ids, removed: int = 0) -> bool:
        return self._lexical.dead + removed > DEAD_SHARE * max(1, len(living))

    def _rebuild(self, rows: Ids, *, purge: bool = False) -> None:
        """
        Build what is due over ``rows`` beside what serves; then bring it up to date, and put it in its place.

        To ``purge``, whatever holds a single deleted row is due.
        """
        started = time.perf_counter()
        dense_is_due = self._dense_is_due(rows) or (purge and len(self._dense) > len(rows))
        lexical_is_due = self._lexical_is_due(rows) or (purge and self._lexical.dead > 0)
        try:
            with self._translated():
                dense = DenseIndex.build(self._dim, self._vectors, rows) if dense_is_due else None
                lexical = self._lexical_over(rows) if lexical_is_due else None
                removed = NO_ROWS
                with self._lock:
                    if dense is not None:
                        self._dense = dense
                    if lexical is not None:
                        self._lexical = lexical
                        self._record_lexical()
                        removed = np.setdiff1d(rows, self._roster.chunks, assume_unique=True)
                    self._take_in(self._roster, removed)
                logger.info("built again over %d rows, %.1f s", len(rows), time.perf_counter() - started)
                self.save(always=purge and dense is not None)
        except StoreError as error:
            logger.warning("%s", error)
        finally:
            self._rebuilding = None

    def _lexical_over(self, rows: Ids) -> LexicalIndex:
        fresh = LexicalIndex(self._lexical_files.new())
        fresh.update(self._texts(rows), NO_ROWS)
        return fresh

    def _record_lexical(self) -> None:
        words = self._lexical
        self._lexical_files.record(words.directory, words.through, len(words), {"dead": words.dead})

    def _texts(self, rows: Ids) -> Iterator[list[tuple[int, str]]]:
        return self._store.passages.texts_between(self._id, _first(rows) - 1, _last(rows))


def _first(rows: Ids) -> int:
    return int(rows[0]) if len(rows) else 1


def _last(rows: Ids) -> int:
    return int(rows[-1]) if len(rows) else 0


def _newer(rows: Ids, through: int) -> Ids:
    """Return the rows behind ``through``, out of ascending ones."""
    return rows[np.searchsorted(rows, through, side="right") :]
