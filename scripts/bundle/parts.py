"""
A bundle cut into parts for small media, and put together again.

The parts are one tar archive cut at every N bytes. ``parts.json`` names each with its SHA-256, so that a damaged or
missing one is known by its number before anything is unpacked; what vouches for the content is the bundle's signature,
afterwards. ``bundle.pyz`` lies beside them, because it is what puts them together.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.durable import write_whole
from scripts.bundle.manifest import MANIFEST, SIGNATURE, BundleError, describe, is_safe, walk

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LIST = "parts.json"
TOOL = "bundle.pyz"
BLOCK = 2**20
MIN_PART_BYTES = 2**16


def split(bundle: Path, out: Path, size: int) -> list[Path]:
    """
    Cut a bundle into parts; the same bundle gives the same parts.

    Args:
        bundle: the finished bundle.
        out: the folder of the parts.
        size: most bytes of a part.

    Returns:
        The parts, in order.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / LIST).unlink(missing_ok=True)
    writer = _PartWriter(out, size)
    with tarfile.open(fileobj=writer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path, file in walk(bundle):
            member = tarfile.TarInfo(path)
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)
    hashes = writer.finish()
    for stale in (file for file in out.glob("*.part") if file.name not in hashes):
        stale.unlink()
    shutil.copyfile(bundle / TOOL, out / TOOL)
    write_whole(out / LIST, (json.dumps(hashes, indent=1, sort_keys=True) + "\n").encode())
    return [out / name for name in sorted(hashes)]


class _PartWriter(io.RawIOBase):
    """A file that goes on in the next part when one is full."""

    def __init__(self, out: Path, size: int) -> None:
        self._out, self._size = out, size
        self._hashes: dict[str, str] = {}
        self._begin()

    def _begin(self) -> None:
        self._digest, self._written = hashlib.sha256(), 0
        self._beside = self._out / ".part.tmp"
        self._file = self._beside.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data)
        size = len(view)
        while view:
            if self._written == self._size:
                self._end()
                self._begin()
            piece = view[: self._size - self._written]
            self._file.write(piece)
            self._digest.update(piece)
            self._written += len(piece)
            view = view[len(piece) :]
        return size

    def _end(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = f"{len(self._hashes) + 1:04d}.part"
        self._hashes[name] = self._digest.hexdigest()
        os.replace(self._beside, self._out / name)

    def finish(self) -> dict[str, str]:
        """Close the last part; return the SHA-256 of each, by name."""
        self._end()
        return self._hashes


def join(folders: Iterable[Path], bundle: Path) -> None:
    """
    Put a bundle together from its parts, medium by medium: what has been read is kept until all are there.

    Args:
        folders: media that are there now.
        bundle: the folder of the bundle; it must not hold one.

    Raises:
        BundleError: parts are still missing or are damaged; each is named.
    """
    if (bundle / MANIFEST).exists():
        raise BundleError(f"{bundle} holds a bundle already; choose another --to.")
    collected = bundle.with_name(f"{bundle.name}.parts")
    collected.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        _collect(folder, collected)
    if not (collected / LIST).is_file():
        raise BundleError(f"no {LIST} was found; it lies beside the parts on every medium.")
    hashes = _read_list(collected / LIST)
    missing = [name for name in sorted(hashes) if not (collected / name).is_file()]
    if missing:
        raise BundleError(
            f"{len(missing)} of {len(hashes)} parts are missing or damaged: {', '.join(missing[:10])}; run the same "
            "command with the medium that holds them."
        )
    unpacked = bundle.with_name(f"{bundle.name}.unpacking")
    shutil.rmtree(unpacked, ignore_errors=True)
    _unpack([collected / name for name in sorted(hashes)], unpacked)
    os.replace(unpacked, bundle)
    shutil.rmtree(collected)


def _collect(folder: Path, collected: Path) -> None:
    """Copy the parts of a medium that are not here yet and are as the list says."""
    listed = folder / LIST
    if not listed.is_file():
        raise BundleError(f"{folder} holds no parts: {LIST} is not there.")
    hashes = _read_list(listed)
    if (collected / LIST).is_file() and _read_list(collected / LIST) != hashes:
        raise BundleError(f"{folder} holds parts of another bundle than {collected}; choose another --to.")
    write_whole(collected / LIST, listed.read_bytes())
    for name, digest in hashes.items():
        source, aside = folder / name, collected / f".{name}.tmp"
        if not source.is_file() or (collected / name).is_file():
            continue
        shutil.copyfile(source, aside)
        if describe(aside).sha256 == digest:
            os.replace(aside, collected / name)
        else:
            aside.unlink()


def _read_list(file: Path) -> dict[str, str]:
    try:
        hashes = json.loads(file.read_bytes())
        if not hashes or not all(name == f"{number:04d}.part" for number, name in enumerate(sorted(hashes), 1)):
            raise ValueError("it does not number its parts")
        return {str(name): str(digest) for name, digest in hashes.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"{file} is no list of parts ({error}); copy it again.") from error


def _unpack(parts: list[Path], out: Path) -> None:
    """Unpack an archive in parts: plain files only, below one folder, under safe names."""
    out.mkdir(parents=True)
    with io.BufferedReader(_PartReader(parts)) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        try:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or not (is_safe(member.name) or member.name in (MANIFEST, SIGNATURE)):
                    raise BundleError(f"the parts hold {member.name!r}, which is refused; they are no bundle of ours.")
                file = out / member.name
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("xb") as into:
                    shutil.copyfileobj(content, into, BLOCK)
        except (tarfile.TarError, OSError) as error:
            raise BundleError(f"the parts cannot be unpacked ({error}).") from error


class _PartReader(io.RawIOBase):
    """Parts read as one file."""

    def __init__(self, parts: list[Path]) -> None:
        self._blocks = self._read(parts)
        self._held = b""

    @staticmethod
    def _read(parts: list[Path]) -> Iterator[bytes]:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._held = self._held or next(self._blocks, b"")
        view = memoryview(buffer)
        count = min(len(view), len(self._held))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        return count
