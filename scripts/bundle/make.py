"""Put a bundle together on the connected machine; the same inputs give the same bytes."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models import catalog
from models.base import ConfigError
from models.durable import write_whole
from scripts.bundle import contents, ed25519, parts, sbom, signature, wheelhouse
from scripts.bundle.contents import Contents
from scripts.bundle.manifest import (
    MANIFEST,
    SIGNATURE,
    BundleError,
    FileEntry,
    Manifest,
    Since,
    Target,
    decode,
    describe,
    walk,
)
from scripts.bundle.verify import difference, read_signed

UNFINISHED = ".unfinished"
ALWAYS_CARRIED = {parts.TOOL}
"""Carried by updates, too: it is what installs them."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """
    What a bundle is to hold.

    Attributes:
        models: names; empty for the two defaults.
        adapters: names.
        collections: names.
        licences: by name, for what does not state its own.
        data_dir: where the collections lie.
        cache: where fetched wheels are kept.
    """

    models: tuple[str, ...]
    adapters: tuple[str, ...]
    collections: tuple[str, ...]
    licences: Mapping[str, str]
    data_dir: Path
    cache: Path


@dataclass(frozen=True, slots=True)
class Label:
    """
    What is signed of a bundle beside its files.

    Attributes:
        created: when it was made.
        counter: greater than that of every bundle before.
        target: the machine it is for.
    """

    created: datetime
    counter: int
    target: Target

    @property
    def stamp(self) -> str:
        """The moment, UTC, ISO 8601."""
        return self.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make(order: Order, out: Path, key_file: Path, label: Label, since: Path | None) -> Manifest:
    """
    Make a bundle; interrupted, the same command goes on where it was.

    Args:
        order: what it holds.
        out: its folder.
        key_file: the secret key that signs it.
        label: what else is signed.
        since: the folder of the bundle that it updates; None for a whole one.

    Returns:
        What was signed.

    Raises:
        HomegroundError: something that it should hold is not there or is damaged.
        BundleError: the key, the older bundle or the folder cannot be used.
    """
    secret = signature.read_secret(key_file)
    if since is not None:
        _read_old(since, ed25519.public_key(secret), label.counter)  # before minutes of work
    _begin(out)
    with tempfile.TemporaryDirectory() as work:
        version, wanted = _gather(order, label, Path(work))
        return seal(version, wanted, out, secret, label, since)


def seal(version: str, wanted: Contents, out: Path, secret: bytes, label: Label, since: Path | None) -> Manifest:
    """Write what a bundle is to hold, and sign it; see :func:`make`."""
    old = None if since is None else _read_old(since, ed25519.public_key(secret), label.counter)
    origin = None if since is None or old is None else Since(old.counter, describe(since / MANIFEST).sha256)
    _begin(out)
    files = {path: _describe(source) for path, source in sorted(wanted.items())}
    kept = tuple(
        path for path, entry in files.items() if old and old.files.get(path) == entry and path not in ALWAYS_CARRIED
    )
    manifest = Manifest(version, label.stamp, label.counter, label.target, origin, kept, files)
    data = manifest.encode()
    decode(data)  # refuses what a verifier would refuse
    _write(out, {path: wanted[path] for path in manifest.carried}, files)
    write_whole(out / MANIFEST, data)
    write_whole(out / SIGNATURE, ed25519.sign(secret, data))
    (out / UNFINISHED).unlink()
    return manifest


def _read_old(since: Path, public: bytes, counter: int) -> Manifest:
    """Return the manifest of the bundle before; its files need not be there any more."""
    found = read_signed(since, public)
    if not isinstance(found, Manifest):
        raise BundleError(f"{since} cannot be built on: {found}.")
    if found.counter >= counter:
        raise BundleError(f"{since} has counter {found.counter}; an update of it needs a greater one than {counter}.")
    return found


def _begin(out: Path) -> None:
    """Make the folder, or go on in one that was not finished."""
    if out.is_dir() and any(out.iterdir()) and not (out / UNFINISHED).is_file():
        raise BundleError(f"{out} is not empty and holds no unfinished bundle; choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    (out / UNFINISHED).touch()


def _gather(order: Order, label: Label, work: Path) -> tuple[str, Contents]:
    """Return the project's version, and everything that the bundle holds, by path."""
    project = contents.read_project()
    names = order.models or tuple(catalog.load().defaults.values())
    model_files, model_parts = contents.models(names, order.licences)
    adapter_files, adapter_parts = contents.trained(order.adapters, order.licences)
    log.info("models and adapters are complete; gathering wheels for %s", label.target.platform)
    wheels = contents.gather_wheels(project, label.target, order.cache, work)
    wanted: Contents = {f"wheels/{wheel.path.name}": wheel.path for wheel in wheels}
    wanted |= model_files | adapter_files | contents.documentation(project)
    wanted |= contents.documents(order.collections, order.data_dir, work, label.created.timestamp())
    wanted["requirements.txt"] = wheelhouse.requirements(wheels).encode()
    listed = [*model_parts, *adapter_parts]
    wanted["sbom.cdx.json"] = sbom.compose(project.version, label.stamp, wheels, listed, order.licences)
    wanted[parts.TOOL] = contents.tool()
    if unknown := sorted(order.licences.keys() - {*(part.name for part in listed), *(wheel.name for wheel in wheels)}):
        raise ConfigError(f"--licence names {', '.join(unknown)}, which the bundle does not hold.")
    return project.version, wanted


def _describe(source: Path | bytes) -> FileEntry:
    if isinstance(source, Path):
        return describe(source)
    return FileEntry(hashlib.sha256(source).hexdigest(), len(source))


def _write(out: Path, wanted: Contents, files: Mapping[str, FileEntry]) -> None:
    """Make a folder hold exactly these files; what is there and right is left alone."""
    for path, file in list(walk(out)):
        if path not in wanted and path != UNFINISHED:
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    for path, source in wanted.items():
        target = out / path
        if target.exists() and not difference(target, files[path]):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            write_whole(target, source)
            continue
        aside = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(source, aside)
        if detail := difference(aside, files[path]):
            raise BundleError(f"{source} changed while it was copied ({detail}); run the command again.")
        os.replace(aside, target)
