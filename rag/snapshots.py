"""
A backup: snapshots of a data directory and of the adapters, each a list of files over blocks that they share.

    BACKUP/blocks/…                                  see rag.blocks
    BACKUP/snapshots/20261128T161500Z-<16 of SHA-256>.json

A snapshot's list is written last and carries its own SHA-256 in its name, so a snapshot is whole, or not there. The
indexes are left out: they are built again from the store.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from models.base import InputError, StoreError
from models.catalog import NAME_PATTERN
from models.durable import flush, write_whole
from rag.blocks import Blocks, StoredFile
from rag.store import snapshot
from rag.store.lock import DirectoryLock

NAME = re.compile(r"\d{8}T\d{6}Z-([0-9a-f]{16})")
NOT_KEPT = {"lock", "indexes"}
STORE = f"data/{snapshot.FILE_NAME}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    What there was at one moment.

    Attributes:
        name: begins with the moment, UTC.
        files: by path: ``data/…`` or ``adapters/NAME/…``.
    """

    name: str
    files: dict[str, StoredFile]


class Backup:
    """
    A folder of snapshots.

    Args:
        root: where it lies.
        create: make it when it is not there.

    Raises:
        StoreError: there is none, or it cannot be written.
    """

    def __init__(self, root: Path, *, create: bool = False) -> None:
        self.root = root
        self._lists = root / "snapshots"
        if not create and not self._lists.is_dir():
            raise StoreError(f"{root} is no backup; make one with `python -m rag.backup make {root}`.")
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lists.mkdir(exist_ok=True)
            self.blocks = Blocks(root / "blocks")
        except OSError as error:
            raise StoreError(f"{root} cannot be written ({error.strerror}); choose another folder.") from error

    def names(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        return sorted(path.stem for path in self._lists.glob("*.json") if NAME.fullmatch(path.stem))

    def read(self, name: str | None = None) -> Snapshot:
        """
        Return a snapshot, the newest if none is named.

        Raises:
            InputError: there is none of that name, or none at all.
            StoreError: its list is damaged.
        """
        known = self.names()
        if not known or (name is not None and name not in known):
            raise InputError(f"{self.root} holds no snapshot {name or ''}; there are: {', '.join(known) or 'none'}.")
        name = name or known[-1]
        data = (self._lists / f"{name}.json").read_bytes()
        if not hashlib.sha256(data).hexdigest().startswith(name.rpartition("-")[2]):
            raise StoreError(f"the list of snapshot {name} is damaged; use another one of {', '.join(known)}.")
        files = {
            path: StoredFile(entry["size"], entry["sha256"], entry["mode"], tuple(entry["blocks"]))
            for path, entry in json.loads(data)["files"].items()
        }
        if refused := [path for path in files if not _is_safe(path)]:
            raise StoreError(f"snapshot {name} names paths that are refused: {', '.join(map(repr, refused[:5]))}.")
        return Snapshot(name, files)

    def make(
        self,
        data_dir: Path,
        adapters_dir: Path | None,
        *,
        collections: Sequence[str] | None = None,
        moment: float | None = None,
    ) -> Snapshot:
        """
        Take a snapshot; the data directory may be in use meanwhile.

        Args:
            data_dir: the data directory.
            adapters_dir: where the adapters lie; None leaves them out.
            collections: only these, and nothing but their documents; None takes all that the data directory holds.
            moment: seconds since 1970 that it is named by; now if None.

        Raises:
            StoreError: the store is damaged, or a collection is not there.
        """
        lock = DirectoryLock(self.root)
        copied = self.root / ".copy.sqlite"
        try:
            files = {} if collections is not None else {f"data/{p}": self.blocks.put(f) for p, f in _beside(data_dir)}
            if snapshot.has_store(data_dir):
                snapshot.copy(data_dir, copied)
                if collections is not None:
                    snapshot.keep_collections(copied, collections)
                copied.chmod(0o600)
                files[STORE] = self.blocks.put(copied)
            elif collections:
                raise StoreError(f"{data_dir} holds no documents; ingest some, or choose another --data-dir.")
            if adapters_dir is not None:
                files |= {f"adapters/{path}": self.blocks.put(file) for path, file in _adapters(adapters_dir)}
            return self._write(files, time.time() if moment is None else moment)
        finally:
            copied.unlink(missing_ok=True)
            lock.release()

    def _write(self, files: dict[str, StoredFile], moment: float) -> Snapshot:
        content = {"format": 1, "files": {path: asdict(stored) for path, stored in sorted(files.items())}}
        data = (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
        name = f"{stamp}-{hashlib.sha256(data).hexdigest()[:16]}"
        write_whole(self._lists / f"{name}.json", data, 0o600)
        return Snapshot(name, files)

    def keep(self, count: int) -> list[str]:
        """Remove all but the newest ``count`` snapshots, and the blocks of which none is left; return their names."""
        names = self.names()
        gone = names[:-count]
        for name in gone:
            (self._lists / f"{name}.json").unlink()
        flush(self._lists)
        kept = [self.read(name) for name in names[-count:]]
        self.blocks.keep_only(stored for one in kept for stored in one.files.values())
        return gone

    def restore(self, taken: Snapshot, data_dir: Path, adapters_dir: Path, *, replace: bool) -> list[str]:
        """
        Put back what a snapshot holds; the store last, in one step.

        Args:
            taken: the snapshot.
            data_dir: where the data goes; nobody else may have it open.
            adapters_dir: where the adapters go. One that is there already is never replaced.
            replace: put it in the place of a store that is there, which is kept beside it.

        Returns:
            The adapters that were left as they are, because others of their name are there.

        Raises:
            StoreError: blocks are missing or damaged, or a store is there already; then nothing was changed.
        """
        if problems := self.blocks.problems(taken.files.values()):
            raise StoreError(f"snapshot {taken.name} cannot be restored: {' '.join(problems[:5])}")
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = DirectoryLock(data_dir)
        try:
            if snapshot.has_store(data_dir) and not replace:
                raise StoreError(
                    f"{data_dir} holds documents already; --replace puts the snapshot in their place and keeps them "
                    "beside it, --data-dir names another place."
                )
            left = self._restore_adapters(taken, adapters_dir)
            for path in sorted(taken.files.keys() - {STORE}):
                if path.startswith("data/"):
                    target = data_dir / path.removeprefix("data/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.blocks.get(taken.files[path], target)
            if STORE in taken.files:
                beside = data_dir / ".restored.sqlite"
                self.blocks.get(taken.files[STORE], beside)
                snapshot.check(beside)
                snapshot.put(beside, data_dir)
                flush(data_dir)
            return left
        finally:
            lock.release()

    def _restore_adapters(self, taken: Snapshot, adapters_dir: Path) -> list[str]:
        names = sorted({path.split("/")[1] for path in taken.files if path.startswith("adapters/")})
        left = []
        for name in names:
            if (adapters_dir / name).exists():
                left.append(name)
                continue
            aside = adapters_dir / f".{name}.restoring"
            shutil.rmtree(aside, ignore_errors=True)
            for path, stored in taken.files.items():
                if path.startswith(f"adapters/{name}/"):
                    target = aside / path.removeprefix(f"adapters/{name}/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self.blocks.get(stored, target)
            os.rename(aside, adapters_dir / name)
        return left


def _beside(data_dir: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a data directory beside its store: settings, keys."""
    for entry in sorted(data_dir.iterdir()) if data_dir.is_dir() else ():
        if entry.name in NOT_KEPT or entry.name.startswith((".", snapshot.FILE_NAME)):
            continue
        yield from _walk(entry, entry.name)


def _adapters(adapters_dir: Path) -> Iterator[tuple[str, Path]]:
    for entry in sorted(adapters_dir.iterdir()) if adapters_dir.is_dir() else ():
        if re.fullmatch(NAME_PATTERN, entry.name) and entry.is_dir():
            yield from _walk(entry, entry.name)


def _walk(entry: Path, path: str) -> Iterator[tuple[str, Path]]:
    if entry.is_dir() and not entry.is_symlink():
        for child in sorted(entry.iterdir()):
            yield from _walk(child, f"{path}/{child.name}")
    elif entry.is_file():
        yield path, entry


def _is_safe(path: str) -> bool:
    pure = PurePosixPath(path)
    return (
        str(pure) == path
        and len(pure.parts) >= (3 if pure.parts[0] == "adapters" else 2)
        and pure.parts[0] in ("data", "adapters")
        and not any(part == ".." or "\\" in part or ":" in part for part in pure.parts)
    )
