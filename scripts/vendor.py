"""
Bring the page's libraries in, unchanged: ``python -m scripts.vendor``.

Each comes from its npm package, whose version and SHA-256 stand here; only the files that are used are kept, beside
their licence. What lies in the repository is what this writes, so nothing has to be fetched to run the page.
``python -m scripts.vendor axe-core`` fetches the accessibility checker of the browser tests, which is not kept.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from models.base import HomegroundError, InputError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Library:
    """
    A library, and what is kept of it.

    Attributes:
        sha256: of the package's archive.
        target: the folder below the repository that holds one folder for each library.
        keep: shell patterns on paths within the package.
        leave: patterns on what is left out all the same.
    """

    name: str
    version: str
    sha256: str
    target: str
    keep: Sequence[str]
    leave: Sequence[str] = ()

    @property
    def directory(self) -> Path:
        """Where its files lie."""
        return ROOT / self.target / f"{self.name}-{self.version}"


LIBRARIES = (
    Library(
        "pdfjs-dist",
        "6.5.438",
        "7461aefcd27c4ef0dd76f9ca5760f09466eb6b3f934432670c12132e7b3d6faa",
        "rag/web/vendor",
        (
            "LICENSE",
            "build/pdf.min.mjs",
            "build/pdf.worker.min.mjs",
            "cmaps/*",
            "standard_fonts/*",
            "wasm/*_nowasm_fallback.js",
            "wasm/LICENSE_*",
        ),
        ("wasm/LICENSE_*QUICKJS", "wasm/LICENSE_*QCMS"),
    ),
)
FOR_TESTS = (
    Library(
        "axe-core",
        "4.14.1",
        "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
        "tests/web/vendor",
        ("LICENSE*", "axe.min.js"),
    ),
)


def main(names: Sequence[str]) -> None:
    """Bring in the libraries of these names, or all that the page needs."""
    known = {library.name: library for library in (*LIBRARIES, *FOR_TESTS)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"{unknown[0]!r} is not vendored; known are: {', '.join(known)}.")
    for library in [known[name] for name in names] or LIBRARIES:
        count = bring_in(library)
        sys.stdout.write(f"{library.directory.relative_to(ROOT)}: {count} files\n")


def bring_in(library: Library) -> int:
    """
    Fetch a library with npm, check it, and put its files in place of those of before.

    Returns:
        how many files are kept.

    Raises:
        InputError: npm is missing or fails, or the archive is not the one that is expected.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = _fetch(library, Path(folder))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != library.sha256:
            raise InputError(f"{archive.name} has SHA-256 {found}; expected {library.sha256}.")
        shutil.rmtree(library.directory, ignore_errors=True)
        return _unpack(library, archive)


def _fetch(library: Library, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm was not found; install Node.js, or name it in PATH.")
    command = [npm, "pack", "--silent", f"{library.name}@{library.version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise InputError(f"`{' '.join(command[1:])}` failed: {done.stderr.strip() or 'no archive came'}.")
    return archives[0]


def _unpack(library: Library, archive: Path) -> int:
    count = 0
    with tarfile.open(archive) as package:
        for member in package:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if not member.isfile() or not _is_kept(library, str(path)):
                continue
            content = package.extractfile(member)
            if content is None or ".." in path.parts:
                raise InputError(f"{archive.name} holds {member.name!r}, which cannot be unpacked.")
            target = library.directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            count += 1
    return count


def _is_kept(library: Library, path: str) -> bool:
    def matches(patterns: Sequence[str]) -> bool:
        return any(fnmatch(path, pattern) for pattern in patterns)

    return matches(library.keep) and not matches(library.leave)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except HomegroundError as error:
        sys.exit(f"error: {error}")
