"""Small real bundles: two packages, pip, an adapter, everything else as in a large one."""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import platform
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from scripts.bundle import contents, ed25519, sbom, target, wheelhouse
from scripts.bundle.contents import Contents
from scripts.bundle.make import Label, seal
from scripts.bundle.manifest import Manifest, Target

SECRET = bytes(range(32))
PUBLIC = ed25519.public_key(SECRET)
HERE = Target(target.here(), platform.python_version(), "cpu")
CREATED = datetime(2026, 11, 28, 12, tzinfo=UTC)

DATA = """
import json, pathlib, shutil, sys
given = sys.argv[1:]
store = pathlib.Path(given[given.index("--data-dir") + 1], "homeground.sqlite") if "--data-dir" in given else None
"""
DOCTOR = f"""{DATA}
if store and store.exists() and store.read_text() > "VERSION":
    sys.exit("the store is of a newer version")
print(json.dumps({{"good": True, "version": "VERSION"}}))
"""
BACKUP = f"""{DATA}
doing, snapshots = given[:2]
kept = pathlib.Path(snapshots, "snapshot-of-VERSION")
if doing == "restore":
    kept = pathlib.Path(snapshots, given[given.index("--snapshot") + 1])
    shutil.copyfile(kept, store)
elif store:
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store, kept)
print(json.dumps({{"snapshot": kept.name}}))
"""
"""In place of the product's own, for a store that is a text: the version which wrote it."""

QUICK_PIP = """
import pathlib, sys, sysconfig, zipfile
links = pathlib.Path(sys.argv[sys.argv.index("--find-links") + 1])
for wheel in links.glob("*.whl"):
    zipfile.ZipFile(wheel).extractall(sysconfig.get_path("purelib"))
"""
"""Unpacks the wheels and no more: where dozens of installations are killed, pip's own seconds would be most of it."""

Pip = Literal["real", "quick"] | None


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, str],
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    licence: str | None = "MIT",
) -> Path:
    """Write a wheel that pip installs."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = [
        f"Name: {name}",
        f"Version: {version}",
        *([f"License-Expression: {licence}"] if licence else []),
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    members = {
        **files,
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.4", *metadata]) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    lines = []
    for path, text in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    members[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 2, 0, 0, 0)), text)
    return path


def small_contents(
    folder: Path, version: str = "1.0", adapter: bytes = b"a" * 200_000, *, pip: Pip = "real"
) -> Contents:
    """Return what a small bundle holds, its own wheels written below ``folder``."""
    programs = {"rag/__init__.py": "", "rag/doctor.py": DOCTOR.replace("VERSION", version)}
    programs["rag/backup.py"] = BACKUP.replace("VERSION", version)
    installers = {
        "real": next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")),
        "quick": write_wheel(folder / version, "pip", "0.1", {"pip/__main__.py": QUICK_PIP}),
    }
    paths = [
        write_wheel(folder / version, "homeground", version, programs, ("helper>=1",)),
        write_wheel(folder / version, "helper", "1.5", {"helper.py": "answer = 42\n"}),
        *([installers[pip]] if pip else []),
    ]
    wheels = [wheelhouse.read(path) for path in paths]
    part = sbom.Part("machine-learning-model", "house-style", "0", "MIT", {}, {})
    return {
        **{f"wheels/{wheel.path.name}": wheel.path for wheel in wheels},
        "requirements.txt": wheelhouse.requirements(wheels).encode(),
        "sbom.cdx.json": sbom.compose(version, "2026-11-28T12:00:00Z", wheels, [part], {}),
        "adapters/house-style/adapter_model.safetensors": adapter,
        "docs/README.md": b"# Read me\n",
        "bundle.pyz": contents.tool(),
    }


def write_bundle(
    folder: Path,
    counter: int = 1,
    version: str = "1.0",
    adapter: bytes = b"a" * 200_000,
    since: Path | None = None,
    *,
    pip: Pip = "real",
) -> Manifest:
    """Write a small signed bundle for this machine; without pip it cannot be installed, and is smaller still."""
    wanted = small_contents(folder.with_name(f"{folder.name}.wheels"), version, adapter, pip=pip)
    return seal(version, wanted, folder, SECRET, Label(CREATED, counter, HERE), since)
