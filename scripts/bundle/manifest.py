"""
The manifest of a bundle: every file with its SHA-256, and what the bundle is. Signed, so it vouches for all the rest.

Standard library only: it also runs on the isolated machine, out of ``bundle.pyz``, before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT = "homeground-bundle-1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_NAME_CHARACTERS = 400
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What Windows opens as a device, whatever stands behind the dot."""


class BundleError(Exception):
    """Something about a bundle or an installation that its user can put right."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it must be; ``size`` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Target:
    """
    The kind of machine that a bundle is for.

    Attributes:
        platform: system and processor, for example ``linux-x86_64``.
        python: the oldest release of its Python, for example ``3.11.7``; later ones of 3.11 will do.
        accelerator: ``cpu`` or ``cuda``.
    """

    platform: str
    python: str
    accelerator: str


@dataclass(frozen=True, slots=True)
class Since:
    """The bundle that an update builds on: its counter, and the SHA-256 of its manifest."""

    counter: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a bundle is.

    Attributes:
        version: of Homeground.
        created: date and time, UTC, ISO 8601.
        counter: grows with every bundle of one key; an older bundle has a smaller one.
        target: what machine it is for.
        since: the bundle that it updates; None for a whole one.
        kept: paths that an update does not carry, because the bundle before has the same bytes there.
        files: every file of the whole, by path; the manifest and its signature stand beside them.
    """

    version: str
    created: str
    counter: int
    target: Target
    since: Since | None
    kept: tuple[str, ...]
    files: dict[str, FileEntry]

    def encode(self) -> bytes:
        """Return the one spelling of this manifest, which is what is signed."""
        content = {"format": FORMAT, **asdict(self), "kept": sorted(self.kept)}
        return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")

    @property
    def carried(self) -> dict[str, FileEntry]:
        """The files that lie in the bundle itself."""
        kept = set(self.kept)
        return {path: entry for path, entry in self.files.items() if path not in kept}

    @property
    def label(self) -> str:
        """Name of this bundle's place in an installation."""
        return f"{self.counter:06d}-{self.version}"


def decode(data: bytes) -> Manifest:
    """
    Read a manifest; only after its signature was found good.

    Raises:
        BundleError: it is not one, is spelt differently, or names a path that could lead out of the bundle.
    """
    try:
        content = json.loads(data)
        if content.pop("format") != FORMAT:
            raise BundleError(f"{MANIFEST} has another format than {FORMAT!r}; use the bundle.pyz that belongs to it.")
        manifest = _from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{MANIFEST} is not a manifest ({error!r}); the bundle was not made by this tool.") from error
    unsafe = [path for path in manifest.files if not is_safe(path)]
    if unsafe:
        raise BundleError(f"{MANIFEST} names paths that are refused: {', '.join(map(repr, sorted(unsafe)[:5]))}.")
    if manifest.encode() != data or not set(manifest.kept) <= manifest.files.keys():
        raise BundleError(f"{MANIFEST} does not have the one spelling that its content has; the bundle is refused.")
    return manifest


def _from_json(content: dict[str, Any]) -> Manifest:
    files = {str(path): FileEntry(str(entry["sha256"]), int(entry["size"])) for path, entry in content["files"].items()}
    since = content["since"]
    return Manifest(
        version=_plain(content["version"]),
        created=_plain(content["created"]),
        counter=int(content["counter"]),
        target=Target(**{name: _plain(value) for name, value in content["target"].items()}),
        since=None if since is None else Since(int(since["counter"]), str(since["sha256"])),
        kept=tuple(map(str, content["kept"])),
        files=files,
    )


def _plain(text: object) -> str:
    """Return a short text that is safe in a path and on a terminal."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}", text):
        raise ValueError(f"{text!r} is no plain word")
    return text


def is_safe(path: str) -> bool:
    """Tell whether a path stays inside the bundle and means one file on every system."""
    pure = PurePosixPath(path)
    if not path or len(path) > MAX_NAME_CHARACTERS or str(pure) != path or pure.is_absolute():
        return False
    if path in (MANIFEST, SIGNATURE) or any(c in '\\:*?"<>|' or not c.isprintable() for c in path):
        return False
    return not any(part == ".." or part.endswith((".", " ")) or RESERVED.fullmatch(part) for part in pure.parts)


def describe(path: Path) -> FileEntry:
    """Return a file's size and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(digest, file.tell())


def walk(root: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Yield every file, link and empty folder below a folder, with its path in it, sorted."""
    for entry in sorted(root.iterdir(), key=lambda child: child.name):
        path = f"{prefix}{entry.name}"
        if entry.is_dir() and not entry.is_symlink() and any(entry.iterdir()):
            yield from walk(entry, f"{path}/")
        else:
            yield path, entry
