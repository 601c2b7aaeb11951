"""Finding files, and reading one without ever blocking."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from models.base import InputError
from rag.load import Outcome, SourceFile, find_files
from rag.load.files import read_file
from rag.load.selection import Selection

unprivileged = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user"
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file types")


def make_tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def sources(*roots: Path) -> list[str]:
    return [found.source for found in find_files(roots) if isinstance(found, SourceFile)]


def errors(*roots: Path) -> dict[str, str]:
    return {found.source: str(found.result) for found in find_files(roots) if isinstance(found, Outcome)}


def test_find_files_walks_sorted_and_skips_what_is_hidden(tmp_path: Path) -> None:
    make_tree(tmp_path, "b.md", "a/z.txt", "a/b/c.txt", ".git/x", "a/.hidden", "node_modules/m.js", "__pycache__/p.pyc")
    assert sources(tmp_path) == ["a/b/c.txt", "a/z.txt", "b.md"]


def test_find_files_finds_files_where_they_are(tmp_path: Path) -> None:
    make_tree(tmp_path, "a/b.txt")
    (found,) = find_files([tmp_path])
    assert isinstance(found, SourceFile)
    assert found.path.read_text() == "a/b.txt"


def test_find_files_takes_a_single_file_even_if_hidden(tmp_path: Path) -> None:
    make_tree(tmp_path, ".notes.txt")
    assert sources(tmp_path / ".notes.txt") == [".notes.txt"]


def selected(root: Path, include: list[str], exclude: list[str]) -> list[str]:
    return [found.source for found in find_files([root], Selection(include, exclude))]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.md"], [], ["a/b/c.md", "d.md"]),
        (["a/"], [], ["a/b/c.md", "a/e.txt"]),
        (["/*.md", "a/*.txt"], [], ["a/e.txt", "d.md"]),
        ([], ["a/b/"], ["a/e.txt", "d.md", "f.txt"]),
        ([], ["**/c.md", "f.*"], ["a/e.txt", "d.md"]),
        ([], ["*.txt", "!f.txt"], ["a/b/c.md", "d.md", "f.txt"]),
        (["*.md"], ["d.md"], ["a/b/c.md"]),
    ],
)
def test_find_files_takes_what_the_patterns_select(
    tmp_path: Path, include: list[str], exclude: list[str], expected: list[str]
) -> None:
    make_tree(tmp_path, "a/b/c.md", "a/e.txt", "d.md", "f.txt")
    assert selected(tmp_path, include, exclude) == expected


def test_find_files_applies_patterns_to_single_files(tmp_path: Path) -> None:
    make_tree(tmp_path, "a.md", "a.tmp")
    found = find_files([tmp_path / "a.md", tmp_path / "a.tmp"], Selection(exclude=["*.tmp"]))
    assert [file.source for file in found] == ["a.md"]


@pytest.mark.parametrize("pattern", ["", "!", "# comment", "/"])
def test_selection_refuses_a_pattern_without_meaning(pattern: str) -> None:
    with pytest.raises(InputError, match="is no pattern for files"):
        Selection([pattern])


@posix
def test_find_files_says_when_the_root_is_another_folder_at_the_end(tmp_path: Path) -> None:
    root = tmp_path / "mount"
    make_tree(root, "a.txt", "b.txt")
    found = find_files([root])
    next(found)
    root.rename(tmp_path / "unmounted")
    root.mkdir()
    *_, last = found
    assert isinstance(last, Outcome)
    assert last.unseen == root
    assert "was moved, or its disk was removed" in str(last.result)


def test_find_files_names_a_missing_root_before_the_first_file(tmp_path: Path) -> None:
    make_tree(tmp_path, "a.txt")
    with pytest.raises(InputError, match="nowhere does not exist"):
        next(find_files([tmp_path, tmp_path / "nowhere"]))


def test_find_files_gives_a_file_below_two_roots_once(tmp_path: Path) -> None:
    make_tree(tmp_path, "a/b.txt", "c.txt")
    assert sources(tmp_path, tmp_path / "a", tmp_path / "c.txt") == ["a/b.txt", "c.txt"]


def test_find_files_refuses_a_second_file_of_the_same_source(tmp_path: Path) -> None:
    make_tree(tmp_path, "one/index.md", "two/index.md")
    roots = tmp_path / "one", tmp_path / "two"
    assert sources(*roots) == ["index.md"]
    assert "is there twice" in errors(*roots)["index.md"]


@posix
def test_find_files_follows_links_to_files_inside_only(tmp_path: Path) -> None:
    make_tree(tmp_path, "root/real/a.txt", "outside/secret.txt")
    root = tmp_path / "root"
    (root / "inside.txt").symlink_to("real/a.txt")
    (root / "folder").symlink_to("real")
    (root / "loop").symlink_to(".")
    (root / "out.txt").symlink_to("../outside/secret.txt")
    (root / "out").symlink_to("../outside")
    (root / "self").symlink_to("self")
    assert sources(root) == ["inside.txt", "real/a.txt", "self"]


@posix
def test_find_files_walks_a_root_that_is_a_link(tmp_path: Path) -> None:
    make_tree(tmp_path, "real/a.txt")
    (tmp_path / "link").symlink_to("real")
    assert sources(tmp_path / "link") == ["a.txt"]


@unprivileged
def test_find_files_names_an_unreadable_folder(tmp_path: Path) -> None:
    make_tree(tmp_path, "shut/a.txt", "b.txt")
    (tmp_path / "shut").chmod(0)
    try:
        assert sources(tmp_path) == ["b.txt"]
        assert errors(tmp_path) == {"shut": "cannot be read: Permission denied."}
    finally:
        (tmp_path / "shut").chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stores any bytes as names")
def test_find_files_names_a_file_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    assert errors(tmp_path) == {r"caf\xe9.txt": "has a name that is not valid UTF-8; rename it."}


def test_read_file_gives_bytes_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"a\r\nb\x1a")
    os.utime(path, (1000, 2000))
    assert read_file(path, 5) == (b"a\r\nb\x1a", 2000.0)


def test_read_file_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(2_000_001))
    with pytest.raises(InputError, match=r"too large: 2\.0 MB, and the limit is 1 MB"):
        read_file(tmp_path / "big", 1_000_000)
    with pytest.raises(InputError, match="is not there any more"):
        read_file(tmp_path / "gone", 1)
    with pytest.raises(InputError, match="is a folder"):
        read_file(tmp_path, 1)


@posix
def test_read_file_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        read_file(tmp_path / "pipe", 1)
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        read_file(Path(os.devnull), 1)


@unprivileged
def test_read_file_names_missing_permission(tmp_path: Path) -> None:
    (tmp_path / "shut").touch(0)
    with pytest.raises(InputError, match="permission denied"):
        read_file(tmp_path / "shut", 1)
