"""
The SQLite file: its lock, its connections, its transactions, its failures in words.

Readers use connections of their own and see a consistent snapshot (write-ahead log); all writes and all checkpoints
go through one connection, in transactions that are on disk (``synchronous=FULL``) when they return.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from models.base import StoreError
from rag.store.lock import DirectoryLock
from rag.store.schema import migrate

PRAGMAS = {
    "journal_mode": "WAL",
    "mmap_size": 0,
    "cache_size": -32 * 1024,  # KiB
    "temp_store": "MEMORY",
    "trusted_schema": False,
}
WRITER_PRAGMAS = {"synchronous": "FULL", "secure_delete": True, "foreign_keys": True}
READER_PRAGMAS = {"query_only": True, "wal_autocheckpoint": 0}


class Database:
    """
    The database of a data directory, opened by one process.

    Args:
        directory: the data directory, created when missing.

    Attributes:
        rights: how often rights have changed; only this process can change them.

    Raises:
        StoreError: in use, not writable, damaged, full, or of a newer version.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"{directory} cannot be created ({error.strerror}); choose another --data-dir.") from error
        self.path = directory / "homeground.sqlite"
        self._lock = DirectoryLock(directory)
        self._writing = threading.RLock()
        self._idle_readers: list[apsw.Connection] = []
        self.rights = 0
        try:
            with self._translated():
                self._writer = self._connect()
                for name, value in WRITER_PRAGMAS.items():
                    self._writer.pragma(name, value)
                migrate(self._writer)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file, close it, and let another process in."""
        with self._writing:
            while self._idle_readers:
                self._idle_readers.pop().close()
            self._writer.close()
            self._lock.release()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file and cut it to nothing; readers that are at work delay that."""
        with self._writing, self._translated():
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """Give the writing connection inside a transaction: all of it is on disk afterwards, or none of it."""
        with self._writing, self._translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def changing_rights(self) -> Iterator[apsw.Connection]:
        """Give a transaction after which what somebody may read is read again."""
        with self.transaction() as connection:
            yield connection
        self.rights += 1

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Give a reading connection; any number of threads may hold one each."""
        with self._translated():
            try:
                connection = self._idle_readers.pop()
            except IndexError:
                connection = self._connect()
                for name, value in READER_PRAGMAS.items():
                    connection.pragma(name, value)
            try:
                yield connection
            finally:
                self._idle_readers.append(connection)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(10_000)
        for name, value in PRAGMAS.items():
            connection.pragma(name, value)
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's failures into sentences."""
        try:
            yield
        except apsw.FullError as error:
            raise StoreError(f"the disk that holds {self.path} is full; free some space and run it again.") from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise StoreError(f"{self.path} is damaged ({error}); restore it from a backup.") from error
        except apsw.BusyError as error:
            raise StoreError(f"{self.path} is held by another program; close what has it open.") from error
        except apsw.ConstraintError as error:
            raise StoreError(f"the collection was removed while it was written to ({error}); make it again.") from error
        except (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise StoreError(
                f"{self.path} cannot be read or written ({error}); check the disk and the rights."
            ) from error
