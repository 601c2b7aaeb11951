"""
Finding files, and reading one safely: never blocking, never more than the limit, and every failure with its name.

Links are not followed into other folders: a target below the same root is found under its own name, and one outside
does not belong to what the user named. So there are no loops.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.base import InputError
from rag.load.selection import Selection
from rag.load.values import Outcome, SourceFile

logger = logging.getLogger(__name__)

_SKIPPED = {"node_modules", "__pycache__"}
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


_EVERYTHING = Selection()


def find_files(roots: Sequence[Path], selection: Selection = _EVERYTHING) -> Iterator[SourceFile | Outcome]:
    """
    Find the files below some folders, folder by folder and sorted by name.

    Hidden files and folders (names that begin with a dot), ``node_modules``, ``__pycache__`` and links that leave their
    root are skipped.

    Args:
        roots: folders, or single files, which are taken even when their name is hidden.
        selection: which files are taken, folders and single files alike.

    Yields:
        The files, each once; in place of what cannot be read, an outcome with the error.

    Raises:
        InputError: a root does not exist; raised before the first file.
    """
    for root in roots:
        _check_root(root)
    taken: dict[str, Path] = {}
    seen: set[Path] = set()
    for root in roots:
        walk = _walk(root.resolve(), selection) if root.is_dir() else [SourceFile(root.resolve(), root.name)]
        for found in walk:
            if isinstance(found, Outcome):
                yield found
            elif found.path not in seen and selection.takes(found.source):
                seen.add(found.path)
                first = taken.setdefault(found.source, found.path)
                yield _checked(found) if first == found.path else _twice(found, first)


def _check_root(root: Path) -> None:
    try:
        root.stat()
    except FileNotFoundError as error:
        raise InputError(f"{root} does not exist; give a file or a folder that does.") from error
    except OSError as error:
        raise InputError(f"{root} cannot be read: {error.strerror}.") from error


def _walk(root: Path, selection: Selection) -> Iterator[SourceFile | Outcome]:
    """Walk a folder, without recursion, because folders may be nested deeper than calls."""
    before = identity(root)
    stack = [root]
    while stack:
        path = stack.pop()
        source = path.relative_to(root).as_posix() if path != root else root.name
        try:
            if path != root and (path.is_symlink() or not path.is_dir()):
                if _is_inside(path, root):
                    yield SourceFile(path, source)
            elif path == root or selection.enters(source):
                stack += sorted(filter(is_wanted, path.iterdir()), reverse=True)
        except OSError as error:
            yield Outcome(source, InputError(f"cannot be read: {error.strerror}."), unseen=path)
    if identity(root) != before:
        reason = "was moved, or its disk was removed, while it was being looked at; run it again."
        yield Outcome(root.name, InputError(reason), unseen=root)


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another that stands in its place (device and inode); None if there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def is_wanted(path: Path) -> bool:
    """Tell whether an entry of a folder is looked at: its name is not hidden, and not one of those always skipped."""
    return not path.name.startswith(".") and path.name not in _SKIPPED


def _is_inside(path: Path, root: Path) -> bool:
    """Tell whether an entry that is no folder is a file of this root, or a link to one."""
    if not path.is_symlink():
        return True
    target = Path(os.path.realpath(path))
    if target.is_relative_to(root):
        return not target.is_dir()
    logger.info("skipped %s: a link that leaves %s", path, root)
    return False


def _checked(file: SourceFile) -> SourceFile | Outcome:
    """Refuse names that could not be stored."""
    try:
        file.source.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file.source).decode(errors="backslashreplace")
        return _failed(shown, "has a name that is not valid UTF-8; rename it.")
    return file


def _twice(file: SourceFile, first: Path) -> Outcome:
    return _failed(file.source, f"is there twice: {first} and {file.path}; index the folder above both.")


def _failed(source: str, reason: str) -> Outcome:
    return Outcome(source, InputError(reason))


def read_file(path: Path, limit: int) -> tuple[bytes, float]:
    """
    Read a whole file; pipes, sockets and devices are refused without waiting for them.

    Args:
        path: the file.
        limit: most bytes to read.

    Returns:
        The bytes and the time of their last modification, seconds since 1970.

    Raises:
        InputError: it is gone, no regular file, larger than the limit, or may not be read.
    """
    try:
        _check(os.stat(path), limit)
        with open(os.open(path, _OPEN_FLAGS), "rb") as file:
            status = os.fstat(file.fileno())
            _check(status, limit)  # again: it may be another file by now
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise InputError("is not there any more.") from error
    except PermissionError as error:
        raise InputError("may not be read: permission denied.") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.") from error
    if len(data) > limit:
        raise InputError(too_large(len(data), limit))
    return data, status.st_mtime


def _check(status: os.stat_result, limit: int) -> None:
    """Refuse what is no regular file, or too large a one."""
    if stat.S_ISDIR(status.st_mode):
        raise InputError("is a folder, not a file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is a pipe, a socket or a device, not a file.")
    if status.st_size > limit:
        raise InputError(too_large(status.st_size, limit))


def too_large(size: int, limit: int) -> str:
    """Say that a file of some bytes is beyond a limit of bytes."""
    return f"is too large: {size / 1e6:.1f} MB, and the limit is {limit / 1e6:g} MB."
