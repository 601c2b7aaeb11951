"""
Copies of a store's file: consistent while another process writes to it, and put in the place of an older file.

A copy is read through SQLite itself, in one read transaction, which neither waits for the writer nor makes it wait; the
file and its write-ahead log copied apart would be of two moments.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from models.base import StoreError
from rag.store.lock import DirectoryLock

FILE_NAME = "homeground.sqlite"
CARRIED_TABLES = {"embedders", "collections", "documents", "chunks", "vectors", "sqlite_sequence"}
"""What belongs to collections; people, keys, rights and saved indexes stay on their machine."""

FIRST_SOUND_SQLITE = (3, 51, 3)
"""Earlier ones can damage a write-ahead log that two connections use; fixed on 13 March 2026."""


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite in use."""
    return tuple(map(int, apsw.sqlite_lib_version().split(".")))


def has_store(directory: Path) -> bool:
    """Tell whether a data directory holds a store."""
    return (directory / FILE_NAME).is_file()


def copy(directory: Path, target: Path) -> None:
    """
    Copy a data directory's store, whoever has it open.

    Beside a server, the connection only reads, so that one process makes all checkpoints. Where nobody has the
    directory, it is held meanwhile, and the log's files are tidied away at the end.

    Args:
        directory: the data directory.
        target: the new file; one that is there is replaced.

    Raises:
        StoreError: the store is damaged or cannot be read, or the copy cannot be written.
    """
    _remove(target)
    lock = _lock_if_free(directory)
    flags = apsw.SQLITE_OPEN_READONLY if lock is None else apsw.SQLITE_OPEN_READWRITE
    try:
        source = apsw.Connection(str(directory / FILE_NAME), flags=flags)
        into = apsw.Connection(str(target))
        try:
            source.set_busy_timeout(10_000)
            with into.backup("main", source, "main") as backup:
                backup.step(-1)  # in one step: in several, every write of the other process would start it again
        finally:
            into.close()
            source.close()
            if lock is not None:
                lock.release()
    except apsw.Error as error:
        raise StoreError(f"{directory / FILE_NAME} cannot be copied to {target} ({error}); see the disk.") from error


def _lock_if_free(directory: Path) -> DirectoryLock | None:
    try:
        return DirectoryLock(directory)
    except StoreError:
        return None


def keep_collections(file: Path, names: Sequence[str]) -> None:
    """
    Leave only some collections in a copy, and nothing that belongs to people.

    Raises:
        StoreError: one of them is not there.
    """
    connection = apsw.Connection(str(file))
    try:
        connection.pragma("foreign_keys", True)
        connection.pragma("secure_delete", True)
        there = {name for (name,) in connection.execute("SELECT name FROM collections WHERE replaces IS NULL")}
        if missing := sorted(set(names) - there):
            raise StoreError(f"there is no collection {', '.join(missing)}; there are {', '.join(sorted(there))}.")
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in rows:
            if table not in CARRIED_TABLES:
                connection.execute(f'DELETE FROM "{table}"')  # noqa: S608 - a name from the schema itself
        for name in sorted(there - set(names)):
            connection.execute("DELETE FROM collections WHERE name = ?", (name,))
        connection.execute("DELETE FROM embedders WHERE id NOT IN (SELECT embedder_id FROM collections)")
        connection.pragma("journal_mode", "DELETE")
        connection.execute("VACUUM")
    finally:
        connection.close()


def check(file: Path) -> None:
    """
    Check a copy with SQLite's own means.

    Raises:
        StoreError: it is damaged.
    """
    unchanging = f"{file.absolute().as_uri()}?immutable=1"  # no log is made beside it
    try:
        connection = apsw.Connection(unchanging, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            found = connection.pragma("quick_check")
        finally:
            connection.close()
    except apsw.Error as error:
        found = str(error)
    if found != "ok":
        raise StoreError(f"{file} is damaged ({found}); use another snapshot.")


def schema_version(directory: Path) -> int:
    """
    Return the version of a store's tables, without changing anything.

    Raises:
        StoreError: the store cannot be read.
    """
    file = directory / FILE_NAME
    unchanging = "" if file.with_name(f"{FILE_NAME}-wal").exists() else "?immutable=1"  # no log is made beside it
    try:
        connection = apsw.Connection(
            f"{file.absolute().as_uri()}{unchanging}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        try:
            return int(connection.pragma("user_version"))
        finally:
            connection.close()
    except apsw.Error as error:
        raise StoreError(f"{directory / FILE_NAME} cannot be read ({error}); restore it from a backup.") from error


def put(file: Path, directory: Path) -> Path | None:
    """
    Make a checked copy a data directory's store; the caller holds the directory's lock.

    Args:
        file: the copy, in the same directory; it is moved.
        directory: the data directory.

    Returns:
        Where the store lies that was there before, if there was one.
    """
    place, before = directory / FILE_NAME, None
    if place.exists():
        _fold(place)
        before = directory / f"{FILE_NAME}.before-restore"
        _remove(before)
        os.link(place, before)
    os.replace(file, place)
    return before


def _fold(place: Path) -> None:
    """Fold the write-ahead log into its file: left behind, it would be read into the file that comes in its place."""
    with suppress(apsw.Error):  # it may be damaged; what its log holds is of no use then
        connection = apsw.Connection(str(place))
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    for suffix in ("-wal", "-shm"):
        place.with_name(place.name + suffix).unlink(missing_ok=True)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
