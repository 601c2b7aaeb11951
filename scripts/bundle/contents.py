"""What goes into a bundle, path by path: found and checked on the connected machine before anything is written."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models import adapter_store, adapters, export, store
from models.adapters import Adapter
from models.base import ConfigError, ModelError
from models.manifest import MANIFEST as MODEL_MANIFEST
from models.manifest import file_sha256, read_manifest
from rag.snapshots import Backup
from scripts.bundle import wheelhouse
from scripts.bundle.manifest import Target
from scripts.bundle.sbom import Part

ROOT = Path(__file__).resolve().parents[2]
EPOCH = 315_619_200
"""2 January 1980, UTC: the date of all members of archives, the first that zip knows in every time zone."""

STANDALONE = ("ed25519", "manifest", "signature", "verify", "parts", "installation", "install", "arrival")
"""Modules of ``bundle.pyz``; they use the standard library only, and so does ``models.durable``, which they share."""

DOCUMENTATION = ("docs/", "README.md", "CHANGELOG.md", "LICENSE")
Contents = dict[str, Path | bytes]
"""What stands at each path of a bundle: a file, or bytes."""


@dataclass(frozen=True, slots=True)
class Project:
    """
    A checkout of Homeground.

    Attributes:
        version: of Homeground.
        requirements: what it needs to run, the fast engine included.
        files: the tracked files, sorted.
    """

    version: str
    requirements: tuple[str, ...]
    files: tuple[str, ...]


def read_project(root: Path = ROOT) -> Project:
    """
    Describe the checkout that this module lies in.

    Raises:
        ConfigError: it is none.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=False, cwd=root)  # noqa: S607
    if listed.returncode or not (root / "pyproject.toml").is_file():
        raise ConfigError(
            f"{root} is no checkout of Homeground; bundles are made from one: git clone it, run scripts/setup."
        )
    stated = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = sorted(name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file())
    requirements = (*stated["dependencies"], *stated["optional-dependencies"]["openvino"])
    return Project(stated["version"], requirements, tuple(files))


def gather_wheels(project: Project, target: Target, cache: Path, work: Path) -> list[wheelhouse.Wheel]:
    """Return the wheels of the project and of all it needs; its own is built in ``work``."""
    pins = wheelhouse.read_pins(ROOT / "constraints.txt")
    found = wheelhouse.gather(project.requirements, pins, target, cache)
    copy = work / "tree"
    for name in project.files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    return [*found, wheelhouse.build(copy, work, EPOCH)]


def documentation(project: Project) -> Contents:
    """Return the documentation and the source distribution."""
    found: Contents = {}
    for name in project.files:
        if name.startswith(DOCUMENTATION):
            found[name if name.startswith("docs/") else f"docs/{name}"] = ROOT / name
    name = f"homeground-{project.version}"
    found[f"source/{name}.tar.gz"] = _source_archive(project, name)
    return found


def _source_archive(project: Project, folder: str) -> bytes:
    """Return the tracked files as a compressed archive, the same bytes for the same files."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in project.files:
            data = (ROOT / name).read_bytes()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime = len(data), EPOCH
            member.mode = 0o755 if (ROOT / name).stat().st_mode & 0o100 else 0o644
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def tool() -> bytes:
    """Return ``bundle.pyz``, which verifies and installs with nothing but Python."""
    packed = io.BytesIO()
    members = {"__main__.py": b"from scripts.bundle.arrival import main\n\nmain()\n", "scripts/__init__.py": b""}
    paths = [f"scripts/bundle/{name}.py" for name in ("__init__", *STANDALONE)]
    for path in (*paths, "models/__init__.py", "models/durable.py"):
        members[path] = (ROOT / path).read_bytes()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(members.items()):
            member = zipfile.ZipInfo(name, (1980, 1, 2, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, data)
    return packed.getvalue()


def models(names: Iterable[str], licences: Mapping[str, str]) -> tuple[Contents, list[Part]]:
    """
    Return the files of models, with the exports of the fast engine where there are some.

    Args:
        names: as ``models.fetch --list`` shows them.
        licences: by name, where a model does not state its own.

    Raises:
        ModelError: one is not on this machine, or is damaged.
    """
    found: Contents = {}
    parts = []
    here = {model.name: model for model in store.installed()}
    for name in names:
        if name not in here:
            raise ModelError(
                f"the model {name!r} is not in {store.models_dir()}; there are {', '.join(here) or 'none'}. Fetch it "
                f"first: `python -m models.fetch {name}`."
            )
        model = store.locate(name, here[name].role)
        manifest = read_manifest(model.directory)
        files = {f"models/{name}/{path}": model.directory / path for path in (*manifest.files, MODEL_MANIFEST)}
        hashes = {f"models/{name}/{path}": record.sha256 for path, record in manifest.files.items()}
        exported = export.find(model) if model.role == "generator" else None
        if exported is not None:
            place = f"exports/{exported.directory.name}"
            files |= {f"{place}/{path}": exported.directory / path for path in (*exported.files, export.FACTS)}
            hashes |= {f"{place}/{path}": digest for path, digest in exported.files.items()}
        found |= files
        about = {"role": model.role, "source": manifest.source, "revision": manifest.revision}
        licence = licences.get(name, model.licence)
        parts.append(Part("machine-learning-model", name, model.weights_hash, licence, about, hashes))
    return found, parts


def trained(names: Sequence[str], licences: Mapping[str, str]) -> tuple[Contents, list[Part]]:
    """
    Return the files of adapters, and besides them what the list says of those that come within the project's wheel.

    Raises:
        ModelError: one is not on this machine, or is damaged.
    """
    found: Contents = {}
    parts = []
    for name in names:
        adapter = adapter_store.locate(name)
        changed = [file for file, digest in adapter.files.items() if file_sha256(adapter.directory / file) != digest]
        if changed:
            raise ModelError(f"the adapter {name!r} is damaged: {', '.join(changed)} has changed since its training.")
        there = [*adapter.files, adapters.MANIFEST]
        there += [adapters.REPORT] if (adapter.directory / adapters.REPORT).is_file() else []
        found |= {f"adapters/{name}/{file}": adapter.directory / file for file in there}
        parts.append(_adapter(adapter, f"adapters/{name}", licences))
    for directory in sorted(adapter_store.SHIPPED.iterdir()):
        if directory.name not in names:
            parts.append(_adapter(adapters.read(directory), f"models/shipped/{directory.name}", licences))
    return found, parts


def _adapter(adapter: Adapter, place: str, licences: Mapping[str, str]) -> Part:
    hashes = {f"{place}/{file}": digest for file, digest in adapter.files.items()}
    about = {"base": adapter.base, "base-weights": adapter.base_weights_hash}
    licence = licences.get(adapter.name, adapter.licence)
    return Part("machine-learning-model", adapter.name, adapter.files[adapters.WEIGHTS], licence, about, hashes)


def documents(names: Sequence[str], data_dir: Path, work: Path, moment: float) -> Contents:
    """
    Return a snapshot of some collections, which nothing but their documents is in.

    Raises:
        StoreError: one is not there.
    """
    if not names:
        return {}
    place = work / "collections"
    Backup(place, create=True).make(data_dir, None, collections=names, moment=moment)
    files = (file for file in sorted(place.rglob("*")) if file.is_file() and file.name != "lock")
    return {f"collections/{file.relative_to(place).as_posix()}": file for file in files}
