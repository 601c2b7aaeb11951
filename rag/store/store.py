"""
The one truth: documents, chunks and vectors in SQLite. This folder holds the only SQL.

A write is on disk before it returns. The indexes are derived from here and can be thrown away.
"""

from __future__ import annotations

from pathlib import Path

from rag.store.accesses import Accesses
from rag.store.conversations import Conversations
from rag.store.database import Database
from rag.store.documents import Documents
from rag.store.evaluations import Evaluations
from rag.store.grants import Grants
from rag.store.passages import Passages
from rag.store.people import People
from rag.store.runs import Runs
from rag.store.successors import Successors
from rag.store.syncs import Syncs


class Store:
    """
    A data directory, opened by one process.

    Args:
        directory: created when missing.

    Attributes:
        directory: the data directory.
        documents: collections and documents, to read and to change.
        passages: chunks and vectors, as searching reads them.
        conversations: what was asked on the page, and what came of it.
        syncs: what the last sync of each collection changed.
        successors: collections that are filled to take another one's place.
        people: users, groups and API keys.
        grants: who may do what.
        accesses: who did what.
        runs: trainings, decisions and evaluations that people started.
        evaluations: what is asked in evaluations, and what came of each question.

    Raises:
        StoreError: in use, not writable, damaged, full, or of a newer version.
    """

    def __init__(self, directory: Path) -> None:
        self._database = Database(directory)
        self.directory = directory
        self.documents = Documents(self._database)
        self.passages = Passages(self._database)
        self.conversations = Conversations(self._database)
        self.syncs = Syncs(self._database)
        self.successors = Successors(self._database)
        self.people = People(self._database)
        self.grants = Grants(self._database)
        self.accesses = Accesses(self._database)
        self.runs = Runs(self._database)
        self.evaluations = Evaluations(self._database)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file and empty it, so that what was deleted is in neither."""
        self._database.checkpoint()

    def close(self) -> None:
        """Fold the write-ahead log into the file, close it, and let another process in."""
        self._database.close()
