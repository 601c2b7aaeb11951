"""
An installation: versions side by side, and one name, ``current``, that says which of them is used.

    ROOT/versions/000002-0.1.0/bundle/     the whole signed bundle, also the files that an update did not carry
    ROOT/versions/000002-0.1.0/env/        the Python environment that was made of it
    ROOT/versions/000002-0.1.0/complete    there when both are finished
    ROOT/current                           a link (on Windows a file) to the version in use, replaced in one step
    ROOT/run                               Python of the version in use: ROOT/run -m rag.ask "…"
    ROOT/trusted.pub                       the key that bundles must be signed with
    ROOT/backups/                          of the data, made before every switch

Whatever is interrupted, ``current`` names a complete version: the one before or the new one. Documents, settings and
adapters that were trained here lie elsewhere, and no version touches them. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.durable import flush, write_whole
from scripts.bundle.manifest import MANIFEST, BundleError, Manifest
from scripts.bundle.signature import public_pem, read_public
from scripts.bundle.verify import read_signed

LAUNCHER = """#!/bin/sh
# Python of the version in use: run -m rag.ask "…". The link is followed once: a running program keeps its version.
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
exec "$(cd -- "$root/current/" && pwd -P)/env/bin/python" -P "$@"
"""
WINDOWS_LAUNCHER = """@echo off\r
rem Python of the version in use: run -m rag.ask "..."\r
set /p version=<"%~dp0current"\r
"%~dp0versions\\%version%\\env\\Scripts\\python.exe" -P %*\r
"""

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Installation:
    """
    The folder of an installation.

    Args:
        root: made when something is first installed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.versions = self.root / "versions"
        self.backups = self.root / "backups"
        self._key_file = self.root / "trusted.pub"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Let nobody else change the installation meanwhile.

        Raises:
            BundleError: somebody does, or the folder cannot be written.
        """
        try:
            self.versions.mkdir(parents=True, exist_ok=True)
            file = (self.root / "lock").open("w")
        except OSError as error:
            raise BundleError(f"{self.root} cannot be written ({error.strerror}); choose another --root.") from error
        with file:
            try:
                _take(file)
            except OSError as error:
                raise BundleError(f"another process is changing {self.root}; wait for its end.") from error
            yield

    def public(self, given: Path | None) -> bytes:
        """
        Return the key that bundles must be signed with: the one known here, or the one given for the first bundle.

        Raises:
            BundleError: there is none, or another is known than is given.
        """
        known = read_public(self._key_file) if self._key_file.exists() else None
        if given is None:
            if known is None:
                raise BundleError(f"no key is known in {self.root}; give the public key with --key.")
            return known
        public = read_public(given)
        if known not in (None, public):
            raise BundleError(
                f"{given} is not the key that {self._key_file} holds. If the key was changed on purpose, remove that "
                "file and run the command again."
            )
        return public

    def trust(self, public: bytes) -> None:
        """Remember a key."""
        if not self._key_file.exists():
            write_whole(self._key_file, public_pem(public))

    def complete(self, public: bytes) -> dict[str, Manifest]:
        """Return the manifests of the finished versions whose signature is good, by label."""
        found = {}
        for folder in sorted(self.versions.iterdir()) if self.versions.is_dir() else ():
            if (folder / "complete").is_file():
                manifest = read_signed(folder / "bundle", public)
                if isinstance(manifest, Manifest):
                    found[folder.name] = manifest
        return found

    def newest(self, public: bytes) -> Manifest | None:
        """Return what the newest bundle that was ever installed and is still here says of itself."""
        return max(self.complete(public).values(), key=lambda manifest: manifest.counter, default=None)

    def bundles(self, public: bytes) -> dict[str, Path]:
        """Return the folders of the installed bundles, by the SHA-256 of their manifests."""
        folders = (self.bundle(label) for label in self.complete(public))
        return {hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(): folder for folder in folders}

    def bundle(self, label: str) -> Path:
        """Return the folder of a version's bundle."""
        return self.versions / label / "bundle"

    def python(self, label: str) -> Path:
        """Return a version's Python."""
        inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return (self.versions / label / "env").joinpath(*inside)

    def mark_complete(self, label: str) -> None:
        """Say that a version is finished, once all of it is on disk."""
        if hasattr(os, "sync"):
            os.sync()
        write_whole(self.versions / label / "complete", b"")

    def current(self) -> str | None:
        """Return the label of the version in use; None if there is none."""
        link = self.root / "current"
        if link.is_symlink():
            label = Path(os.readlink(link)).name
        elif link.is_file():
            label = link.read_text(encoding="ascii").strip()
        else:
            return None
        return label

    def switch(self, label: str) -> None:
        """Make a version the one in use, in one step."""
        if os.name == "nt":
            write_whole(self.root / "current", f"{label}\r\n".encode())
        else:
            beside = self.root / ".current.tmp"
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path("versions") / label)
            os.replace(beside, self.root / "current")
            flush(self.root)

    def write_launcher(self) -> None:
        """Put the launcher beside the versions."""
        name, text = ("run.cmd", WINDOWS_LAUNCHER) if os.name == "nt" else ("run", LAUNCHER)
        write_whole(self.root / name, text.encode(), mode=0o755)

    def note_before(self, label: str, before: str, snapshot: str) -> None:
        """Write down which version a version took the place of, and the backup that was made then."""
        content = json.dumps({"version": before, "snapshot": snapshot})
        write_whole(self.versions / label / "before.json", content.encode())

    def before(self, label: str) -> tuple[str, str]:
        """
        Return the version that a version took the place of, and the backup of the data from then.

        Raises:
            BundleError: there was none, or it is not here any more.
        """
        file = self.versions / label / "before.json"
        if file.is_file():
            noted = json.loads(file.read_bytes())
            if (self.versions / noted["version"] / "complete").is_file():
                return noted["version"], noted["snapshot"]
        raise BundleError(f"there is no version before {label} in {self.root}; install one with `install`.")

    def prune(self, keep: set[str]) -> None:
        """Remove every other version; the mark goes first, so that half a version is never taken for one."""
        for folder in sorted(self.versions.iterdir()):
            if folder.name not in keep:
                (folder / "complete").unlink(missing_ok=True)
                shutil.rmtree(folder)
