"""
Files kept as blocks that are named by their SHA-256: what is there already is not written again.

SQLite changes a database in place, page by page, so most blocks of tomorrow's copy are those of today's. A block is
written aside, synced and renamed; whatever is interrupted leaves whole blocks, of which some may not be needed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.base import StoreError
from models.durable import flush, write_whole

BLOCK_BYTES = 2**17


@dataclass(frozen=True, slots=True)
class StoredFile:
    """
    A file as it was.

    Attributes:
        size: in bytes.
        sha256: of the whole.
        mode: who may read and write it.
        blocks: SHA-256 of each block, in order.
    """

    size: int
    sha256: str
    mode: int
    blocks: tuple[str, ...]


class Blocks:
    """
    A folder of blocks.

    Args:
        root: made when missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.written = 0
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, file: Path) -> StoredFile:
        """Store a file; ``written`` grows by the bytes that were not there yet."""
        whole, names, size = hashlib.sha256(), [], 0
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            while block := stream.read(BLOCK_BYTES):
                whole.update(block)
                size += len(block)
                names.append(self._put_block(block))
        return StoredFile(size, whole.hexdigest(), mode, tuple(names))

    def _put_block(self, block: bytes) -> str:
        name = hashlib.sha256(block).hexdigest()
        path = self._path(name)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_whole(path, block, 0o600)
            self.written += len(block)
        return name

    def get(self, stored: StoredFile, target: Path) -> None:
        """
        Write a stored file; it is there complete and on disk, or not at all.

        Raises:
            StoreError: a block is missing or damaged.
        """
        aside = target.with_name(f".{target.name}.restoring")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stored.mode), "wb") as file:
            for block in self._read(stored):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
        flush(target.parent)

    def problems(self, files: Iterable[StoredFile]) -> list[str]:
        """Read every block of these files once; name each that is missing or damaged."""
        found, seen = [], set()
        for stored in files:
            for name in stored.blocks:
                if name not in seen:
                    seen.add(name)
                    try:
                        self._read_block(name)
                    except StoreError as error:
                        found.append(str(error))
        return found

    def keep_only(self, files: Iterable[StoredFile]) -> None:
        """Remove the blocks that none of these files needs, and what was never finished."""
        needed = {name for stored in files for name in stored.blocks}
        for path in self._root.glob("*/*"):
            if path.name not in needed:
                path.unlink()

    def _read(self, stored: StoredFile) -> Iterator[bytes]:
        whole = hashlib.sha256()
        for name in stored.blocks:
            block = self._read_block(name)
            whole.update(block)
            yield block
        if whole.hexdigest() != stored.sha256:
            raise StoreError("the blocks of a file do not give that file; the list of the snapshot is damaged.")

    def _read_block(self, name: str) -> bytes:
        path = self._path(name)
        try:
            block = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} is missing ({error.strerror}).") from error
        if hashlib.sha256(block).hexdigest() != name:
            raise StoreError(f"{path} is damaged.")
        return block

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name
