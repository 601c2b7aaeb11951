"""
From a verified bundle to a version in use, without a network; and back to the version before.

Each step can be interrupted and repeated: what is finished is found again, what is not is made again, and the switch
is one rename at the end. Standard library only.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from scripts.bundle.installation import Installation
from scripts.bundle.manifest import MANIFEST, SIGNATURE, BundleError, FileEntry, Manifest, Target
from scripts.bundle.verify import difference, verify

ENVIRONMENT_FACTOR = 3
"""The unpacked packages against their wheels, and what pip writes meanwhile."""

PIP = ("--isolated", "install", "--no-index", "--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--quiet",
       "--no-compile", "--disable-pip-version-check", "--no-input")  # fmt: skip
PATIENCE_S = 1800

Say = Callable[[str], None]


def install(bundle: Path, place: Installation, key: Path | None, data_dir: Path | None, say: Say) -> Manifest:
    """
    Install a bundle and make it the version in use.

    Args:
        bundle: its folder.
        place: where versions are kept.
        key: the public key; None takes the one that is known in the installation.
        data_dir: the data that is backed up first; None for the usual place.
        say: told of every step.

    Returns:
        What was installed.

    Raises:
        BundleError: the bundle is refused, is for another machine, or does not work here; the version that was in use
            still is.
    """
    with place.locked():
        public = place.public(key)
        say("checking every file")
        manifest = verify(bundle, public, place.newest(public), place.bundles(public)).require()
        require_machine(manifest.target)
        place.trust(public)
        label = manifest.label
        if label not in place.complete(public):
            say(f"copying {len(manifest.files)} files")
            _copy(bundle, manifest, place, place.bundles(public))
            say("making a fresh environment")
            _make_environment(place, label)
            say("trying it")
            _run(place.python(label), "rag.doctor", data_dir, "--installed")
            place.mark_complete(label)
        before = place.current()
        if before not in (None, label):
            say("backing up the data")
            told = _run(place.python(before), "rag.backup", data_dir, "make", str(place.backups))
            place.note_before(label, before, str(told["snapshot"]))
        if (collections := place.bundle(label) / "collections").is_dir():
            say("putting the collections in place")
            _run(place.python(label), "rag.backup", data_dir, "restore", str(collections), "--unless-there")
        place.write_launcher()
        place.switch(label)
        place.prune({label, *([_label_before(place, label)] if before else [])})
    say(f"version {label} is in use")
    return manifest


def _label_before(place: Installation, label: str) -> str:
    try:
        return place.before(label)[0]
    except BundleError:
        return label


def rollback(place: Installation, data_dir: Path | None, *, restore_data: bool, say: Say) -> str:
    """
    Go back to the version before.

    Args:
        place: where versions are kept.
        data_dir: where the data lies; None for the usual place.
        restore_data: also put back the data as it was when that version was in use.
        say: told of every step.

    Returns:
        The label of the version that is in use now.

    Raises:
        BundleError: there is no version before, or it cannot read today's data.
    """
    with place.locked():
        current = place.current()
        if current is None:
            raise BundleError(f"nothing is installed in {place.root}.")
        label, snapshot = place.before(current)
        python = place.python(label)
        if restore_data:
            say(f"putting back the data of {snapshot}")
            _run(python, "rag.backup", data_dir, "restore", str(place.backups), "--snapshot", snapshot, "--replace")
        say(f"trying version {label}")
        try:
            _run(python, "rag.doctor", data_dir, "--installed")
        except BundleError as error:
            raise BundleError(
                f"version {label} does not work with today's data, so {current} stays in use; --restore-data puts "
                f"back the data from before the update as well. {error}"
            ) from error
        place.switch(label)
    say(f"version {label} is in use")
    return label


def require_machine(target: Target) -> None:
    """
    Refuse a bundle that was made for another kind of machine than this.

    Raises:
        BundleError: it was.
    """
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    here = f"{system}-{platform.machine().lower().replace('amd64', 'x86_64')}"
    if target.platform != here:
        raise BundleError(f"the bundle is for {target.platform}, this machine is {here}; make one for it.")
    oldest = tuple(map(int, target.python.split(".")))
    if sys.version_info[:2] != oldest[:2] or sys.version_info[:3] < oldest:
        raise BundleError(
            f"the bundle is for Python {oldest[0]}.{oldest[1]} from {target.python} on, this is "
            f"{platform.python_version()}; run it with such a Python, or make a bundle with --python."
        )


def _copy(bundle: Path, manifest: Manifest, place: Installation, installed: dict[str, Path]) -> None:
    """Bring the whole bundle together in its version's folder; unchanged files are linked to, not stored again."""
    base = installed[manifest.since.sha256] if manifest.since else None
    folder = place.bundle(manifest.label)
    folder.mkdir(parents=True, exist_ok=True)
    _require_space(manifest, folder)
    kept = set(manifest.kept)
    for path, entry in manifest.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in kept and base is not None:
            _link(base / path, target)
        elif not target.exists() or difference(target, entry):
            _copy_checked(bundle / path, target, entry)
    for name in (MANIFEST, SIGNATURE):
        shutil.copyfile(bundle / name, folder / name)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _copy_checked(source: Path, target: Path, entry: FileEntry) -> None:
    """Copy a file, and check the copy: a medium can read differently the second time."""
    shutil.copyfile(source, target)
    if detail := difference(target, entry):
        raise BundleError(f"{source} was read differently than before ({detail}); the medium may be failing.")


def _require_space(manifest: Manifest, folder: Path) -> None:
    wheels = sum(entry.size for path, entry in manifest.files.items() if path.startswith("wheels/"))
    needed = sum(entry.size for entry in manifest.carried.values()) + ENVIRONMENT_FACTOR * wheels
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BundleError(f"{needed / 1e9:.1f} GB of disk are needed in {folder}, {free / 1e9:.1f} GB are free.")


def _make_environment(place: Installation, label: str) -> None:
    folder = place.versions / label / "env"
    shutil.rmtree(folder, ignore_errors=True)
    venv.EnvBuilder(with_pip=False, symlinks=os.name == "posix").create(folder)
    wheels, requirements = place.bundle(label) / "wheels", place.bundle(label) / "requirements.txt"
    pip = next(wheels.glob("pip-*.whl"), None)
    if pip is None:
        raise BundleError("the bundle carries no pip, which installs the other packages; make it again.")
    python = str(place.python(label))
    _call([python, str(pip / "pip"), *PIP, "--find-links", str(wheels), "--requirement", str(requirements)])
    # On all cores, which pip does not; a file that does not compile is one that no program can import either.
    _call([python, "-m", "compileall", "-qq", "-j", "0", str(folder)], may_fail=True)


def _run(python: Path, module: str, data_dir: Path | None, *arguments: str) -> dict[str, object]:
    """Run one of our commands; return the object that it prints."""
    data = [] if data_dir is None else ["--data-dir", str(data_dir)]
    told = _call([str(python), "-P", "-m", module, *arguments, *data, "--json"])
    try:
        answer: dict[str, object] = json.loads(told)
    except ValueError as error:
        raise BundleError(f"{module} gave no answer: {told[-300:]!r}.") from error
    return answer


def _call(command: list[str], *, may_fail: bool = False) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    environment["PIP_CONFIG_FILE"] = os.devnull
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BundleError(f"{command[0]} could not be run to its end ({error}).") from error
    if result.returncode and not may_fail:
        raise BundleError((result.stderr.strip() or result.stdout.strip())[-1500:] or f"{command[0]} failed.")
    return result.stdout
