"""
Is this bundle the one that was signed, complete, unchanged, and not an old one? Every difference is named.

Standard library only. The order matters: the signature is checked over the manifest's bytes before they are parsed,
and no path is opened that the signed manifest does not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from scripts.bundle import ed25519
from scripts.bundle.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    BundleError,
    FileEntry,
    Manifest,
    Since,
    decode,
    describe,
    walk,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not as it must be; ``what`` is missing, added, changed, older or unsigned."""

    what: str
    path: str
    detail: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.what}: {self.path}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What was found of a bundle.

    Attributes:
        manifest: what it is; None if nothing vouches for that.
        problems: everything that is not as it must be; empty if the bundle is good.
    """

    manifest: Manifest | None
    problems: tuple[Problem, ...]

    def require(self) -> Manifest:
        """
        Return the manifest of a good bundle.

        Raises:
            BundleError: it is not; every problem is a line.
        """
        if self.problems or self.manifest is None:
            lines = "".join(f"\n  {problem}" for problem in self.problems)
            raise BundleError(f"the bundle is refused, nothing of it was used:{lines}")
        return self.manifest


def verify(
    bundle: Path,
    public: bytes,
    newest: Manifest | None = None,
    installed: Mapping[str, Path] = MappingProxyType({}),
) -> Verdict:
    """
    Check a bundle.

    Args:
        bundle: its folder.
        public: the key that it must be signed with.
        newest: what the newest bundle that was installed here says; an older one than that is refused.
        installed: folders of the bundles that are installed here, by the SHA-256 of their manifests; an update builds
            on one of them.

    Raises:
        BundleError: the folder cannot be read, or its signed manifest cannot be used.
    """
    if not bundle.is_dir():
        raise BundleError(f"{bundle} is not a folder; expected a bundle, with {MANIFEST} in it.")
    manifest = read_signed(bundle, public)
    if isinstance(manifest, Problem):
        return Verdict(None, (manifest,))
    problems = [*_age(manifest, newest), *_files(bundle, manifest)]
    if manifest.since is not None:
        problems += _kept(manifest, manifest.since, installed.get(manifest.since.sha256))
    return Verdict(manifest, tuple(problems))


def read_signed(bundle: Path, public: bytes) -> Manifest | Problem:
    """Return a bundle's manifest if it is signed with this key, else what is wrong."""
    for name in (MANIFEST, SIGNATURE):
        file = bundle / name
        if file.is_symlink() or not file.is_file():
            return Problem("missing", name)
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            return Problem("changed", name, "far too large")
    data, signature = (bundle / MANIFEST).read_bytes(), (bundle / SIGNATURE).read_bytes()
    if not ed25519.verify(public, data, signature):
        return Problem("unsigned", MANIFEST, f"it or {SIGNATURE} was changed, or it was signed with another key")
    return decode(data)


def _age(manifest: Manifest, newest: Manifest | None) -> list[Problem]:
    if newest is None or manifest.counter > newest.counter:
        return []
    if manifest.counter < newest.counter:
        detail = f"its counter is {manifest.counter}, a bundle with {newest.counter} was installed here before"
        return [Problem("older", MANIFEST, detail)]
    if manifest != newest:
        return [Problem("changed", MANIFEST, f"another bundle with counter {newest.counter} was installed here before")]
    return []


def _files(bundle: Path, manifest: Manifest) -> list[Problem]:
    """Compare what lies in a bundle with what it carries."""
    carried = manifest.carried
    problems, present = [], set()
    for path, file in walk(bundle):
        if path in (MANIFEST, SIGNATURE):
            continue
        present.add(path)
        if path not in carried:
            problems.append(Problem("added", path))
        elif detail := difference(file, carried[path]):
            problems.append(Problem("changed", path, detail))
    problems += [Problem("missing", path) for path in carried if path not in present]
    return sorted(problems, key=lambda problem: problem.path)


def _kept(manifest: Manifest, since: Since, base: Path | None) -> list[Problem]:
    """Compare what an update does not carry with what is here."""
    told = f"it updates the bundle with counter {since.counter}"
    if base is None:
        return [Problem("missing", MANIFEST, f"{told}, which is not installed here; install that one first")]
    problems = []
    for path in manifest.kept:
        file = base / path
        if not file.is_file():
            problems.append(Problem("missing", path, f"{told}, and this file of it is not here"))
        elif detail := difference(file, manifest.files[path]):
            problems.append(Problem("changed", path, f"{detail}, in the installed version"))
    return problems


def difference(file: Path, entry: FileEntry) -> str:
    """Say how a file differs from what it must be; nothing if it does not."""
    if file.is_symlink() or not file.is_file():
        return "not a plain file"
    size = file.stat().st_size
    if size != entry.size:
        return f"{size} bytes instead of {entry.size}"
    return "" if describe(file) == entry else "other content"
