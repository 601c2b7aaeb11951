"""Index directories on disk: written aside, synced, recorded with their hashes; anything else is thrown away."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from models.base import StoreError
from models.durable import flush


class IndexFiles:
    """
    The folder that holds the index directories of a data directory.

    Args:
        root: created when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{root} cannot be created ({error.strerror}); check the rights.") from error

    def new(self, kind: str, collection_id: int) -> Path:
        """Make an empty directory with a name that was never used."""
        path = self.root / f"{kind}-{collection_id}-{secrets.token_hex(8)}"
        path.mkdir()
        return path

    def seal(self, directory: Path, sealed: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """
        Flush every file to disk and return the SHA-256 of each, by name.

        Args:
            directory: an index directory that nobody writes to.
            sealed: hashes from the last time. What is in them is not read again, except JSON: tantivy never changes a
                file once it is written, only its lists of files.
        """
        hashes = {}
        for path in sorted(directory.iterdir()):
            if path.name.startswith(".") and path.suffix == ".lock":
                continue
            if path.name in sealed and path.suffix != ".json":
                hashes[path.name] = sealed[path.name]
                continue
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
        flush(directory)
        flush(self.root)
        return hashes

    def intact(self, name: str, files: Mapping[str, str]) -> Path | None:
        """Return the directory if it holds exactly these files; None if anything is missing, changed or foreign."""
        directory = self.root / name
        if not directory.is_dir():
            return None
        return directory if self.seal(directory) == dict(files) else None

    def remove(self, name: str) -> None:
        """Remove an index directory, if it is there."""
        if (self.root / name).is_dir():
            shutil.rmtree(self.root / name)

    def remove_all(self, collection_id: int) -> None:
        """Remove every index directory of a collection."""
        for path in self.root.glob(f"*-{collection_id}-*"):
            shutil.rmtree(path)

    def keep_only(self, names: set[str]) -> None:
        """Remove every index directory that is not named."""
        for path in self.root.iterdir():
            if path.is_dir() and path.name not in names:
                shutil.rmtree(path)
