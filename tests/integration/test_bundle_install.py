"""A bundle becomes a version in use with nothing but Python; whatever is killed, one whole version is in use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bundle.install import install, require_machine, rollback
from scripts.bundle.installation import Installation
from scripts.bundle.manifest import BundleError, Target
from scripts.bundle.signature import public_pem
from tests.bundles import HERE, PUBLIC, write_bundle
from tests.killing import killed_everywhere

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the launcher is a shell script")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    (folder / "key.pub").write_bytes(public_pem(PUBLIC))
    write_bundle(folder / "one", counter=1)
    write_bundle(folder / "two", counter=2, version="1.1", since=folder / "one")
    write_bundle(folder / "other", counter=3, adapter=b"other" * 1000, since=folder / "two")
    return folder


def version_in_use(root: Path) -> str:
    """Ask the version in use who it is, through the launcher."""
    told = subprocess.run([root / "run", "-m", "rag.doctor"], capture_output=True, text=True, check=True)
    return str(json.loads(told.stdout)["version"])


def put(media: Path, name: str, root: Path) -> None:
    install(media / name, Installation(root), media / "key.pub", None, lambda line: None)


def test_install_update_and_rollback(media: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    pyz = [sys.executable, str(media / "one" / "bundle.pyz")]
    options = ["--root", str(root), "--key", str(media / "key.pub")]
    subprocess.run([*pyz, "verify", str(media / "one"), *options], check=True)
    told = subprocess.run([*pyz, "install", str(media / "one"), *options, "--json"], check=True, capture_output=True)
    assert json.loads(told.stdout)["version"] == "000001-1.0"
    assert version_in_use(root) == "1.0"
    listed = json.loads((root / "current" / "bundle" / "sbom.cdx.json").read_bytes())["components"]
    code = (
        "import importlib.metadata as m; print(*sorted(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"
    )
    installed = subprocess.run(
        [root / "run", "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert installed == sorted(f"{one['name']} {one['version']}" for one in listed if one["type"] == "library")

    put(media, "two", root)
    assert version_in_use(root) == "1.1"
    before = Installation(root).bundle("000001-1.0") / "adapters" / "house-style" / "adapter_model.safetensors"
    after = Installation(root).bundle("000002-1.1") / "adapters" / "house-style" / "adapter_model.safetensors"
    assert before.samefile(after)
    assert Installation(root).before("000002-1.1") == ("000001-1.0", "snapshot-of-1.0")

    assert rollback(Installation(root), None, restore_data=False, say=lambda line: None) == "000001-1.0"
    assert version_in_use(root) == "1.0"
    with pytest.raises(BundleError, match="no version before"):
        rollback(Installation(root), None, restore_data=False, say=lambda line: None)
    with pytest.raises(BundleError, match=r"older: manifest\.json"):
        put(media, "one", root)
    put(media, "two", root)
    assert version_in_use(root) == "1.1"
    put(media, "other", root)
    assert sorted(path.name for path in (root / "versions").iterdir()) == ["000002-1.1", "000003-1.0"]


def test_rollback_puts_the_data_back_where_the_older_version_cannot_read_it(media: Path, tmp_path: Path) -> None:
    place, data = Installation(tmp_path / "root"), tmp_path / "data"
    data.mkdir()
    store = data / "homeground.sqlite"
    store.write_text("1.0")
    for name in ("one", "two"):
        install(media / name, place, media / "key.pub", data, lambda line: None)
    store.write_text("1.1")  # the newer version has changed the tables
    with pytest.raises(BundleError, match=r"does not work with today's data.*newer version"):
        rollback(place, data, restore_data=False, say=lambda line: None)
    assert (version_in_use(place.root), store.read_text()) == ("1.1", "1.1")
    rollback(place, data, restore_data=True, say=lambda line: None)
    assert (version_in_use(place.root), store.read_text()) == ("1.0", "1.0")


def test_tampered_bundle_changes_nothing(media: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(media / "one", tmp_path / "bad")
    (bad / "requirements.txt").write_text("")
    with pytest.raises(BundleError, match=r"changed: requirements\.txt"):
        install(bad, Installation(tmp_path / "root"), media / "key.pub", None, lambda line: None)
    assert Installation(tmp_path / "root").current() is None
    assert not (tmp_path / "root" / "trusted.pub").exists()


def test_update_without_the_version_before_is_refused(media: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="counter 1, which is not installed here"):
        put(media, "two", tmp_path / "root")


def test_other_key_is_refused(media: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes(public_pem(bytes(32)))
    place = Installation(tmp_path / "root")
    with pytest.raises(BundleError, match="give the public key"):
        place.public(None)
    with place.locked():
        place.trust(PUBLIC)
    assert place.public(None) == PUBLIC
    with pytest.raises(BundleError, match="is not the key"):
        place.public(tmp_path / "other.pub")


def test_two_installations_at_a_time_are_refused(tmp_path: Path) -> None:
    with (
        Installation(tmp_path).locked(),
        pytest.raises(BundleError, match="another process"),
        Installation(tmp_path).locked(),
    ):
        pass


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (Target("windows-arm64", HERE.python, "cpu"), "is for windows-arm64"),
        (Target(HERE.platform, "3.9.1", "cpu"), "is for Python 3.9"),
        (Target(HERE.platform, f"3.{sys.version_info[1]}.99", "cpu"), "from .* on"),
    ],
)
def test_bundle_for_another_machine_is_refused(target: Target, reason: str) -> None:
    require_machine(HERE)
    with pytest.raises(BundleError, match=reason):
        require_machine(target)


@pytest.fixture(scope="module")
def quick_media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    (folder / "key.pub").write_bytes(public_pem(PUBLIC))
    write_bundle(folder / "one", counter=1, pip="quick")
    write_bundle(folder / "two", counter=2, version="1.1", since=folder / "one", pip="quick")
    return folder


def test_first_install_killed_everywhere_is_there_or_not_and_goes_on(quick_media: Path, tmp_path: Path) -> None:
    check_killed(quick_media, tmp_path / "killed", "one", {None, "1.0"})


def test_update_killed_everywhere_leaves_the_old_or_the_new_version(quick_media: Path, tmp_path: Path) -> None:
    put(quick_media, "one", tmp_path / "killed" / "start")
    check_killed(quick_media, tmp_path / "killed", "two", {"1.0", "1.1"})


def check_killed(media: Path, base: Path, name: str, allowed: set[str | None]) -> None:
    """Kill an installation at every step; what is in use works, and the same command goes on."""
    given = base / "input"
    given.mkdir(parents=True)
    (given / "bundle").symlink_to(media / name)
    (given / "key.pub").symlink_to(media / "key.pub")
    children = killed_everywhere("install", base)
    assert len(children) > 20
    met = [version_in_use(root) if (root / "current").exists() else None for root in children]
    assert set(met) == allowed
    for root in children[:: len(children) // 6]:
        put(media, name, root)
        assert version_in_use(root) == met[-1]
