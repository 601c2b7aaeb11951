"""A manifest says one thing in one way, and no path of it leads out of the bundle."""

import json

import pytest

from scripts.bundle.manifest import BundleError, FileEntry, Manifest, Since, Target, decode, is_safe

TARGET = Target("linux-x86_64", "3.11.7", "cpu")
UNSAFE = [
    "", "/etc/passwd", "../up", "a/../../up", "a/..", "./a", "a//b", "a/", "a\\b", "..\\up", "C:/x", "c:x",
    "//server/share",
    "a\0b", "a\nb", "nul", "NUL.txt", "docs/con", "docs/COM1.md", "a.", "a ", "what?", "st*r", "manifest.json",
    "manifest.sig", "\u202eexe.md", "x" * 500,
]  # fmt: skip


def manifest(**changes: object) -> Manifest:
    facts = {
        "version": "1.0", "created": "2026-11-28T12:00:00Z", "counter": 3, "target": TARGET,
        "since": Since(2, "0" * 64),
        "kept": ("a",), "files": {"a": FileEntry("1" * 64, 1), "b/c": FileEntry("2" * 64, 2)},
    }  # fmt: skip
    return Manifest(**{**facts, **changes})  # type: ignore[arg-type]


def test_manifest_comes_back_as_it_was() -> None:
    assert decode(manifest().encode()) == manifest()
    assert manifest().carried == {"b/c": FileEntry("2" * 64, 2)}


@pytest.mark.parametrize("path", UNSAFE)
def test_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    assert not is_safe(path)
    with pytest.raises(BundleError, match="refused"):
        decode(manifest(files={path: FileEntry("1" * 64, 1)}, kept=()).encode())


@pytest.mark.parametrize("path", ["a", "docs/samples/a b.md", "wheels/torch-2.13.0+cpu-cp311.whl", "models/ü/x"])
def test_ordinary_path_is_taken(path: str) -> None:
    assert is_safe(path)


def test_second_spelling_is_refused() -> None:
    content = json.loads(manifest().encode())
    with pytest.raises(BundleError, match="one spelling"):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize("label", ["../../x", "a/b", ""])
def test_version_that_is_no_plain_word_is_refused(label: str) -> None:
    with pytest.raises(BundleError, match="is not a manifest"):
        decode(manifest(version=label).encode())


def test_other_format_is_refused() -> None:
    with pytest.raises(BundleError, match="another format"):
        decode(manifest().encode().replace(b"homeground-bundle-1", b"homeground-bundle-9"))
