"""One process per data directory: whoever holds the lock file may read and write, everybody else is told who it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from models.base import StoreError

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class InUseError(StoreError):
    """Another process holds the data directory."""


class DirectoryLock:
    """
    An exclusive lock on a data directory, released by :meth:`release` or by the end of the process.

    Args:
        directory: the data directory; it must exist.

    Raises:
        InUseError: another process holds it.
        StoreError: the directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            self._file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{directory} cannot be written ({error.strerror}); choose another --data-dir.") from error
        try:
            _take(self._file)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise InUseError(
                f"{directory} is in use by {holder}; stop it first, ask it over HTTP, or choose another --data-dir."
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} ({Path(sys.argv[0]).name or 'python'})")
        self._file.flush()

    def release(self) -> None:
        """Let the next process in."""
        self._file.close()
