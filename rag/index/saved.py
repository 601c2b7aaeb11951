"""Where one kind of index of one collection is saved: the directory on disk, and what the store records of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from rag.index.files import IndexFiles
from rag.store import Store
from rag.store.records import IndexRecord

logger = logging.getLogger(__name__)


class SavedIndex:
    """
    The saved copy of an index.

    Args:
        store: records what is on disk.
        files: the folder of all index directories.
        collection_id: the collection's row.
        kind: ``dense`` or ``lexical``.
    """

    def __init__(self, store: Store, files: IndexFiles, collection_id: int, kind: str) -> None:
        self._store = store
        self._files = files
        self._id = collection_id
        self.kind = kind

    def intact(self) -> tuple[Path, IndexRecord] | None:
        """Return the directory with what is recorded of it; None if there is none, or it is not what was recorded."""
        record = self._store.passages.index_record(self._id, self.kind)
        if record is None:
            return None
        directory = self._files.intact(record.directory, record.files)
        if directory is None:
            logger.warning("the %s index %s is missing or damaged; building it again", self.kind, record.directory)
            return None
        return directory, record

    def new(self) -> Path:
        """Make an empty directory; it counts for nothing until it is recorded."""
        return self._files.new(self.kind, self._id)

    def record(self, directory: Path, through: int, rows: int, detail: Mapping[str, float]) -> None:
        """
        Make a directory the saved index, once its files are on disk, and let go of the one before.

        Args:
            directory: one of :meth:`new`, or the one recorded before with changed content.
            through: the newest chunk row in it.
            rows: how many rows are in it.
            detail: whatever else its reader needs.
        """
        before = self._store.passages.index_record(self._id, self.kind)
        same = before is not None and before.directory == directory.name
        files = self._files.seal(directory, before.files if before and same else {})
        self._store.passages.record_index(
            self._id, self.kind, IndexRecord(directory.name, files, through, rows, detail)
        )
        if before is not None and not same:
            self._files.remove(before.directory)
