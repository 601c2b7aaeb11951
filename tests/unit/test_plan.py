"""What an ingest plans for files that it did not look at, or could not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.base import InputError
from rag.load import Outcome, SourceFile
from rag.plan import Plan, everything
from rag.store.records import Version

RECIPE = "2:200"


def stored(row: int, path: Path, text: str, recipe: str = RECIPE) -> Version:
    return Version(row, hashlib.sha256(text.encode()).hexdigest(), recipe, str(path), 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_plan_does_not_open_what_was_not_touched(folder: Path) -> None:
    known = {"a.txt": stored(1, folder / "a.txt", "before")}
    plan = Plan(known, RECIPE, touched=lambda path: False)
    plan.take(SourceFile(folder / "a.txt", "a.txt"))
    plan.take(SourceFile(folder / "sub" / "b.txt", "sub/b.txt"))
    assert (plan.unchanged, plan.stored, plan.fresh, plan.copies) == (1, [], [], [])
    assert plan.gone([folder]) == []


def test_plan_reads_what_was_cut_otherwise(folder: Path) -> None:
    known = {"a.txt": stored(1, folder / "a.txt", "a.txt", recipe="1:200")}
    plan = Plan(known, RECIPE, everything)
    file = SourceFile(folder / "a.txt", "a.txt")
    plan.take(file)
    assert (plan.unchanged, plan.fresh) == (0, [file])


def test_gone_is_what_was_not_found_below_a_root_that_could_be_seen(folder: Path, tmp_path: Path) -> None:
    known = {
        "a.txt": stored(1, folder / "a.txt", ""),
        "gone.txt": stored(2, folder / "gone.txt", ""),
        "sub/c.txt": stored(3, folder / "sub" / "c.txt", ""),
        "submarine.txt": stored(4, folder / "submarine.txt", ""),
        "upload.txt": Version(5, "0", RECIPE, "", 0.0),
        "elsewhere.txt": stored(6, Path("/elsewhere/elsewhere.txt"), ""),
    }
    plan = Plan(known, RECIPE, everything)
    plan.take(SourceFile(folder / "a.txt", "a.txt"))
    plan.take(Outcome("sub", InputError("cannot be read: Input/output error."), unseen=folder / "sub"))
    assert plan.gone([folder]) == [2, 4]
    plan.take(Outcome(folder.name, InputError("was moved."), unseen=folder))
    assert plan.gone([folder]) == []
