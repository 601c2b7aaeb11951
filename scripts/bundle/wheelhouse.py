"""
The wheelhouse: the wheels of Homeground and of everything that it needs, for the target's Python and platform.

pip judges the markers of requirements by the machine that it runs on, even when it fetches for another. So what is
needed is worked out here, from the wheels' own metadata and by the target's markers, and pip fetches one named release
at a time (``--no-deps``). A release that ``constraints.txt`` pins is that one; another (a platform's own addition) is
the newest that fits, and is pinned by its hash in the bundle like all the rest.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from models.base import ConfigError, InputError
from scripts.bundle.manifest import Target, describe
from scripts.bundle.target import environment, pip_options

START_UP_FILES_FROM = {"setuptools"}
"""Packages whose wheels may hold a ``.pth`` file, which runs code whenever Python starts."""

ALWAYS = ("pip",)
"""The installer runs the bundle's own, because Debian's Python has none for its environments."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package's wheel; ``name`` as indexes spell it."""

    name: str
    version: str
    path: Path
    metadata: Message


def read_pins(constraints: Path) -> dict[str, str]:
    """Return the pinned version of each package of a constraints file."""
    lines = (line.split("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonicalize_name(name): version for name, version in pairs}


def gather(roots: Iterable[str], pins: Mapping[str, str], target: Target, cache: Path) -> list[Wheel]:
    """
    Fetch the wheels of these requirements and of all that they need, in turn.

    Args:
        roots: requirements, as a project states them.
        pins: versions by package.
        target: what machine they are for.
        cache: where the wheels go; what lies there is not fetched again.

    Returns:
        The wheels, by name.

    Raises:
        ConfigError: an index does not have a wheel that is needed.
        InputError: a wheel is damaged, or runs code when Python starts.
    """
    cache.mkdir(parents=True, exist_ok=True)
    markers = environment(target)
    found: dict[str, Wheel] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(_needed((Requirement(root) for root in (*roots, *ALWAYS)), markers, [""]))
    while waiting:
        fresh = {canonicalize_name(wanted.name): wanted for wanted in waiting}
        found |= _fetch({name: wanted for name, wanted in fresh.items() if name not in found}, pins, target, cache)
        following: list[Requirement] = []
        for wanted in waiting:
            name = canonicalize_name(wanted.name)
            extras = [extra for extra in ("", *sorted(wanted.extras)) if (name, extra) not in seen]
            seen |= {(name, extra) for extra in extras}
            stated = (Requirement(line) for line in found[name].metadata.get_all("Requires-Dist", ()))
            following += _needed(stated, markers, extras)
        waiting = following
    return [found[name] for name in sorted(found)]


def _needed(stated: Iterable[Requirement], markers: Mapping[str, str], extras: list[str]) -> Iterator[Requirement]:
    for requirement in stated:
        marker = requirement.marker
        if any(marker is None or marker.evaluate({**markers, "extra": extra}) for extra in extras):
            yield requirement


def _fetch(wanted: Mapping[str, Requirement], pins: Mapping[str, str], target: Target, cache: Path) -> dict[str, Wheel]:
    """Return these packages' wheels, from the cache or by pip."""
    exact = {name: _exact(name, requirement, pins, target) for name, requirement in wanted.items()}
    there = _cached(cache)
    missing = [line for name, line in exact.items() if _chosen(there.get(name, []), line) is None]
    if missing:
        log.info("fetching %d wheels", len(missing))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        result = subprocess.run(
            [*command, "--dest", str(cache), *pip_options(target), *missing],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            reason = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or [
                result.stderr.strip()
            ]
            raise ConfigError(
                f"pip found no wheel for {target.platform}, Python {target.python}, {target.accelerator}: "
                f"{'; '.join(reason)[-500:]} Set PIP_INDEX_URL or PIP_EXTRA_INDEX_URL to an index that has it."
            )
        there = _cached(cache)
    chosen = {name: _chosen(there.get(name, []), line) for name, line in exact.items()}
    return {name: read(path) for name, path in chosen.items() if path is not None}


def _exact(name: str, requirement: Requirement, pins: Mapping[str, str], target: Target) -> str:
    """Return the requirement that pip is given; of torch, there is one build for each accelerator."""
    if name not in pins:
        return f"{name}{requirement.specifier}"
    if name == "torch" and target.platform.startswith("linux"):
        return f"torch=={pins[name]}+cpu" if target.accelerator == "cpu" else f"torch==={pins[name]}"
    return f"{name}=={pins[name]}"


def _cached(cache: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(cache.glob("*.whl")):
        found.setdefault(parse_wheel_filename(path.name)[0], []).append(path)
    return found


def _chosen(paths: list[Path], line: str) -> Path | None:
    """Return the newest of a package's wheels that a requirement allows."""
    specifier = Requirement(line).specifier
    versions = {str(parse_wheel_filename(path.name)[1]): path for path in paths}
    if "===" in str(specifier):
        return versions.get(str(specifier).removeprefix("==="))
    fitting = sorted(specifier.filter(parse_wheel_filename(path.name)[1] for path in paths))
    return versions[str(fitting[-1])] if fitting else None


def read(path: Path) -> Wheel:
    """
    Read a wheel's metadata.

    Raises:
        InputError: it is damaged, or holds a file that runs code when Python starts.
    """
    name, version, *_ = parse_wheel_filename(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            inside = next(member for member in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", member))
            metadata = BytesParser().parsebytes(archive.read(inside))
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise InputError(f"{path} is not a wheel ({error}); remove it and run the command again.") from error
    starts = [member for member in members if member.endswith(".pth")]
    if starts and name not in START_UP_FILES_FROM:
        raise InputError(f"{path.name} holds {starts[0]}, which would run code whenever Python starts; it is refused.")
    return Wheel(name, str(version), path, metadata)


def build(source: Path, out: Path, epoch: int) -> Wheel:
    """
    Build the project's own wheel from a folder of its files, the same bytes for the same files.

    Args:
        source: the files; setuptools writes beside them, so it must be a copy.
        out: where the wheel goes.
        epoch: seconds since 1970 that the wheel's members are dated with.

    Raises:
        InputError: it cannot be built.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [*command, "--no-build-isolation", "--no-index", "--wheel-dir", folder, str(source)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"},
        )
        built = list(Path(folder).glob("*.whl"))
        if result.returncode or len(built) != 1:
            raise InputError(f"the project's wheel cannot be built: {result.stderr.strip()[-500:]}")
        return read(Path(shutil.copy(built[0], out / built[0].name)))


def requirements(wheels: Iterable[Wheel]) -> str:
    """Return the requirements file that installs exactly these wheels, each by its SHA-256."""
    lines = (f"{wheel.name}=={wheel.version} --hash=sha256:{describe(wheel.path).sha256}" for wheel in wheels)
    return "".join(f"{line}\n" for line in sorted(lines))
