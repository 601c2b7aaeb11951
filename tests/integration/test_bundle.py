"""A bundle is what was signed, byte for byte, or every difference is named; the same inputs give the same bytes."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.base import ConfigError, InputError
from scripts.bundle import ed25519, sbom, wheelhouse
from scripts.bundle.make import UNFINISHED
from scripts.bundle.manifest import MANIFEST, SIGNATURE, BundleError, Target, describe, walk
from scripts.bundle.parts import join, split
from scripts.bundle.target import pip_options
from scripts.bundle.verify import verify
from tests.bundles import PUBLIC, small_contents, write_bundle, write_wheel

MUTATIONS = 1000


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "bundle"
    write_bundle(folder, counter=7)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in walk(folder)}


def whats(folder: Path, **more: object) -> set[tuple[str, str]]:
    verdict = verify(folder, PUBLIC, **more)  # type: ignore[arg-type]
    return {(problem.what, problem.path) for problem in verdict.problems}


def change_a_byte(folder: Path, chance: random.Random) -> None:
    _, file = chance.choice([(path, file) for path, file in walk(folder) if file.stat().st_size])
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    file.write_bytes(data)


def remove_a_file(folder: Path, chance: random.Random) -> None:
    chance.choice([file for _, file in walk(folder)]).unlink()


def add_a_file(folder: Path, chance: random.Random) -> None:
    place = chance.choice([file.parent for _, file in walk(folder)])
    (place / f"new-{chance.randrange(10**6)}").write_bytes(chance.randbytes(chance.randrange(3)))


def swap_two_bytes(folder: Path, chance: random.Random) -> None:
    file = chance.choice([file for _, file in walk(folder) if len(set(file.read_bytes())) > 1])
    data = bytearray(file.read_bytes())
    first, second = 0, 0
    while data[first] == data[second]:
        first, second = chance.randrange(len(data)), chance.randrange(len(data))
    data[first], data[second] = data[second], data[first]
    file.write_bytes(data)


def swap_two_files(folder: Path, chance: random.Random) -> None:
    one, other = chance.sample([file for _, file in walk(folder)], 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def shorten_a_file(folder: Path, chance: random.Random) -> None:
    file = chance.choice([file for _, file in walk(folder) if file.stat().st_size])
    file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])


def lengthen_a_file(folder: Path, chance: random.Random) -> None:
    file = chance.choice([file for _, file in walk(folder)])
    file.write_bytes(file.read_bytes() + chance.randbytes(1 + chance.randrange(9)))


def put_a_link(folder: Path, chance: random.Random) -> None:
    file = chance.choice([file for _, file in walk(folder)])
    copy = folder.parent / f"outside-{chance.randrange(10**9)}"
    shutil.move(file, copy)
    file.symlink_to(copy)


KINDS: tuple[Callable[[Path, random.Random], None], ...] = (
    change_a_byte, remove_a_file, add_a_file, swap_two_bytes, swap_two_files, shorten_a_file, lengthen_a_file,
    put_a_link,
)  # fmt: skip


def put_back(folder: Path, original: dict[str, bytes]) -> None:
    for path, file in list(walk(folder)):
        if file.is_symlink() or (path not in original and not file.is_dir()):
            file.unlink()
    for path, data in original.items():
        file = folder / path
        if not file.is_file() or file.read_bytes() != data:
            file.write_bytes(data)


def test_every_random_mutation_is_caught(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_bundle(folder, adapter=b"a" * 2000, pip=None)
    original = contents(folder)
    chance = random.Random(10)
    for number in range(MUTATIONS):
        kind = KINDS[number % len(KINDS)]
        kind(folder, chance)
        try:
            caught = bool(verify(folder, PUBLIC).problems)
        except BundleError:
            caught = True
        assert caught, (number, kind.__name__)
        put_back(folder, original)
    assert verify(folder, PUBLIC).problems == ()


def test_problems_are_named(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "bundle")
    (folder / "docs" / "README.md").write_text("# Read ME\n")
    (folder / "requirements.txt").unlink()
    (folder / "docs" / "more.md").write_text("more")
    assert whats(folder) == {
        ("changed", "docs/README.md"), ("missing", "requirements.txt"), ("added", "docs/more.md")
    }  # fmt: skip
    with pytest.raises(BundleError, match=r"(?s)refused.*changed: docs/README.md .*added: docs/more.md.*missing: req"):
        verify(folder, PUBLIC).require()
    (folder / SIGNATURE).write_bytes(bytes(64))
    assert whats(folder) == {("unsigned", MANIFEST)}
    (folder / SIGNATURE).unlink()
    assert whats(folder) == {("missing", SIGNATURE)}


def test_bundle_of_another_key_is_unsigned(good: Path) -> None:
    verdict = verify(good, ed25519.public_key(bytes(32)))
    assert [problem.what for problem in verdict.problems] == ["unsigned"]


def test_empty_folder_that_was_added_is_named(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "bundle")
    (folder / "docs" / "empty").mkdir()
    assert whats(folder) == {("added", "docs/empty")}


def test_older_bundle_is_refused_and_the_same_one_is_not(good: Path, tmp_path: Path) -> None:
    newest = verify(good, PUBLIC).require()
    write_bundle(tmp_path / "older", counter=6)
    write_bundle(tmp_path / "twin", counter=7, version="1.1")
    assert whats(tmp_path / "older", newest=newest) == {("older", MANIFEST)}
    assert whats(tmp_path / "twin", newest=newest) == {("changed", MANIFEST)}
    assert whats(good, newest=newest) == set()


def test_same_inputs_give_the_same_bytes(good: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "again", counter=7)
    assert contents(tmp_path / "again") == contents(good)


def test_interrupted_bundle_is_finished_and_a_finished_one_left_alone(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "docs").mkdir(parents=True)
    (folder / UNFINISHED).touch()
    (folder / "docs" / "README.md").write_text("# Re")
    (folder / "stale").write_text("of another try")
    write_bundle(folder, counter=7)
    assert contents(folder) == contents(good)
    with pytest.raises(BundleError, match="is not empty"):
        write_bundle(folder, counter=8)


def test_update_carries_what_changed_and_needs_the_rest(good: Path, tmp_path: Path) -> None:
    adapter = random.Random(1).randbytes(200_000)
    update = write_bundle(tmp_path / "update", counter=8, adapter=adapter, since=good)
    carried = sum(file.stat().st_size for _, file in walk(tmp_path / "update"))
    assert set(update.carried) == {"adapters/house-style/adapter_model.safetensors", "bundle.pyz"}
    assert carried <= len(adapter) + 60_000  # the installer and the manifest come with every update
    installed = {describe(good / MANIFEST).sha256: good}
    assert whats(tmp_path / "update", installed=installed) == set()
    assert whats(tmp_path / "update") == {("missing", MANIFEST)}
    damaged = shutil.copytree(good, tmp_path / "damaged")
    (damaged / "requirements.txt").write_text("")
    installed = {describe(good / MANIFEST).sha256: damaged}
    assert whats(tmp_path / "update", installed=installed) == {("changed", "requirements.txt")}


def test_update_must_count_on(good: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="needs a greater one"):
        write_bundle(tmp_path / "update", counter=7, since=good)


def test_parts_give_the_bundle_back_medium_by_medium(good: Path, tmp_path: Path) -> None:
    cut = split(good, tmp_path / "parts", 500_000)
    assert len(cut) > 3
    assert all(part.stat().st_size <= 500_000 for part in cut)
    stick = tmp_path / "stick"
    stick.mkdir()
    for file in (tmp_path / "parts" / "parts.json", *cut[:2]):
        shutil.copy(file, stick)
    with pytest.raises(BundleError, match=r"parts are missing or damaged: 0003\.part"):
        join([stick], tmp_path / "joined")
    damaged = bytearray(cut[2].read_bytes())
    damaged[100] ^= 1
    (stick / cut[2].name).write_bytes(damaged)
    for part in cut[:2]:
        (stick / part.name).unlink()
    for part in cut[3:]:
        shutil.copy(part, stick)
    with pytest.raises(BundleError, match=r"^1 of .* damaged: 0003\.part"):
        join([stick], tmp_path / "joined")
    shutil.copy(cut[2], stick)
    join([stick], tmp_path / "joined")
    assert contents(tmp_path / "joined") == contents(good)
    assert verify(tmp_path / "joined", PUBLIC).problems == ()


def test_wheels_are_chosen_by_the_targets_markers(tmp_path: Path) -> None:
    needs = ('colour; sys_platform == "win32"', 'plain>=2; sys_platform != "win32"', 'more[fast]; python_version < "4"')
    write_wheel(tmp_path, "product", "1.0", {}, needs)
    write_wheel(tmp_path, "colour", "0.4", {})
    write_wheel(tmp_path, "plain", "1.0", {})
    write_wheel(tmp_path, "plain", "2.1", {})
    write_wheel(tmp_path, "more", "3.0", {}, ('quick; extra == "fast"', 'slow; extra == "slow"'))
    write_wheel(tmp_path, "quick", "1.0", {})
    write_wheel(tmp_path, "pip", "26.3", {})
    pins = {"product": "1.0", "plain": "2.1", "more": "3.0", "pip": "26.3"}

    def chosen(system: str) -> list[str]:
        found = wheelhouse.gather(["product>=1"], pins, Target(system, "3.11.7", "cpu"), tmp_path)
        return [f"{wheel.name} {wheel.version}" for wheel in found]

    common = ["more 3.0", "pip 26.3"]
    assert chosen("linux-x86_64") == [*common, "plain 2.1", "product 1.0", "quick 1.0"]
    assert chosen("windows-x86_64") == ["colour 0.4", *common, "product 1.0", "quick 1.0"]


def test_wheels_for_any_older_glibc_will_do() -> None:
    """CUDA's libraries call themselves ``manylinux_2_18``, which few others do."""
    options = pip_options(Target("linux-x86_64", "3.11.7", "cuda"))
    assert {f"manylinux_2_{minor}_x86_64" for minor in range(5, 29)} < set(options)


def test_wheel_that_runs_code_at_start_is_refused(tmp_path: Path) -> None:
    path = write_wheel(tmp_path, "helper", "1.0", {"helper.pth": "import os\n"})
    with pytest.raises(InputError, match="would run code whenever Python starts"):
        wheelhouse.read(path)


def test_missing_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ConfigError, match=r"no wheel for linux-x86_64.*nowhere-to-be-found"):
        wheelhouse.gather(["nowhere-to-be-found==1"], {}, Target("linux-x86_64", "3.11.7", "cpu"), tmp_path)


def test_list_of_contents_has_a_licence_for_everything(tmp_path: Path) -> None:
    wanted = small_contents(tmp_path)
    listed = json.loads(bytes(wanted["sbom.cdx.json"]))  # type: ignore[arg-type]
    assert {one["name"] for one in listed["components"]} == {"homeground", "helper", "pip", "house-style"}
    assert all(one["licenses"] for one in listed["components"])
    unnamed = sbom.Part("machine-learning-model", "mine", "0", "unknown", {}, {})
    with pytest.raises(InputError, match=r"--licence mine=Apache-2\.0"):
        sbom.compose("1.0", "2026-11-28T12:00:00Z", [], [unnamed], {})


def test_licence_that_a_package_does_not_state_has_to_be_given(tmp_path: Path) -> None:
    silent = [wheelhouse.read(write_wheel(tmp_path, "silent", "1.0", {}, licence=None))]
    with pytest.raises(InputError, match=r"'silent' does not say .*--licence silent=Apache-2\.0"):
        sbom.compose("1.0", "2026-11-28T12:00:00Z", silent, [], {})
    listed = json.loads(sbom.compose("1.0", "2026-11-28T12:00:00Z", silent, [], {"silent": "ISC License"}))
    assert listed["components"][0]["licenses"] == [{"license": {"id": "ISC"}}]
