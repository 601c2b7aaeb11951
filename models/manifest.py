"""
The manifest of a model directory: which files belong to it, and what they must be.

Every file is hashed completely the first time. After that, a file whose size and modification time are still those of
the last hashing is taken as unchanged, so that starting a program does not read gigabytes again. The trade-off:
somebody who may write to the directory can forge both, but could rewrite the manifest as well; what is caught is
damage, a half copy, or a file that another program replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models import vetting
from models.base import ModelError
from models.catalog import ModelRole, Name, RelativePath, Sha256

MANIFEST = "homeground.json"
Stamp = dict[str, tuple[int, int, str]]
"""What the last hashing found: size in bytes, modification time in ns, SHA-256."""
_STAMP = TypeAdapter(Stamp)

log = logging.getLogger(__name__)


class FileRecord(BaseModel):
    """A file as it must be; ``size`` in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sha256: Sha256
    size: int = Field(ge=0)


class Manifest(BaseModel):
    """
    What ``homeground.json`` says of the directory that it lies in.

    Attributes:
        source: where the files came from: the kind of place, then its name.
        revision: which state of it: a version or a commit; empty for a directory.
        trust: ``catalog`` when the digests were known beforehand, ``first use`` when they were recorded on arrival.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    name: Name
    role: ModelRole
    source: str
    revision: str = ""
    trust: Literal["catalog", "first use"]
    licence: str
    context_length: int = Field(gt=0)
    query_prefix: str = ""
    document_prefix: str = ""
    weights_hash: Sha256
    files: Mapping[RelativePath, FileRecord]


def read_manifest(directory: Path) -> Manifest:
    """
    Read a model directory's manifest.

    Raises:
        ModelError: it is missing or not valid.
    """
    try:
        return Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ModelError(
            f"The manifest {directory / MANIFEST} cannot be used: {reason}. Run `python -m models.fetch "
            f"{directory.name}` again."
        ) from error


def verify(directory: Path, manifest: Manifest, stamp: Path) -> None:
    """
    Check that a directory holds exactly the manifest's files, unchanged, and nothing that could run code.

    Args:
        directory: the model.
        manifest: what it must be.
        stamp: the file in which the last hashing is remembered.

    Raises:
        ModelError: every difference.
    """
    present = set(list_files(directory))
    problems = [f"{name} is missing" for name in sorted(set(manifest.files) - present)]
    problems += [f"{name} does not belong to it" for name in sorted(present - set(manifest.files))]
    if not problems:
        records = hash_files(directory, manifest.files, stamp)
        problems = [f"{name} has changed" for name, record in manifest.files.items() if records[name] != record]
    if not problems and weights_hash(manifest.files) != manifest.weights_hash:
        problems = ["the manifest's weights hash does not match its files"]
    if problems:
        raise ModelError(
            f"The model {manifest.name!r} in {directory} is damaged: {'; '.join(problems)}. Run "
            f"`python -m models.fetch {manifest.name}` to bring it in again."
        )
    vetting.check(directory, manifest.files)


def hash_files(directory: Path, files: Iterable[str], stamp: Path) -> dict[str, FileRecord]:
    """
    Hash files; those that the stamp knows unchanged are not read again.

    Args:
        directory: where they are.
        files: their paths in it.
        stamp: the file in which the last hashing is remembered; it is brought up to date.
    """
    known = _read_stamp(stamp)
    fresh: Stamp = {}
    for name in files:
        status = (directory / name).stat()
        size, changed, digest = known.get(name, (-1, -1, ""))
        if (size, changed) != (status.st_size, status.st_mtime_ns):
            digest = file_sha256(directory / name)
        fresh[name] = (status.st_size, status.st_mtime_ns, digest)
    if fresh != known:
        _write_stamp(stamp, fresh)
    return {name: FileRecord(size=size, sha256=digest) for name, (size, _, digest) in fresh.items()}


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``homeground.json`` into a model directory."""
    text = manifest.model_dump_json(indent=2)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def weights_hash(files: Mapping[str, FileRecord]) -> str:
    """Return the SHA-256 over name and digest of each weights file, sorted by name."""
    weights = sorted((name, record.sha256) for name, record in files.items() if name.endswith(".safetensors"))
    return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in weights).encode()).hexdigest()


def list_files(directory: Path) -> list[str]:
    """Return the paths of a model's files, sorted, with ``/``: all but the manifest and what begins with a dot."""
    return sorted(set(_walk(directory, "")) - {MANIFEST})


def _walk(directory: Path, prefix: str) -> Iterator[str]:
    for entry in directory.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name


def _read_stamp(path: Path) -> Stamp:
    try:
        return _STAMP.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}  # nothing is remembered: everything is hashed


def _write_stamp(path: Path, stamp: Stamp) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump(stamp, file)
        os.replace(file.name, path)
    except OSError as error:
        log.warning("%s cannot be written (%s): the model's files are hashed again every time", path, error)
