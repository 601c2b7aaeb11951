"""
Freshness: documents are edited after everything was built, and each arm is asked for what changed.

The edit is replayed in the decision's own collection and taken back afterwards; an arm that reads documents can answer
with the new fact at once, an adapter only what it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.base import InputError
from rag.knowledge_base import KnowledgeBase
from scripts.decide.arms import Arm, Bench
from scripts.decide.config import Change, DecideConfig
from scripts.decide.measure import spoken
from scripts.decide.task import Asked
from scripts.decide.wording import contains

Says = Literal["new", "old", "neither"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What an arm says after an edit: the new fact, the old one, or neither."""

    question: str
    answer: str
    says: Says


@dataclass(frozen=True, slots=True)
class Freshness:
    """
    What became of the edits.

    Attributes:
        by_arm: what each arm says, in the order of the edits.
        indexing_s: seconds until the edits were searchable.
    """

    by_arm: dict[str, tuple[Replayed, ...]]
    indexing_s: float

    def stale(self, arm: str) -> int:
        """Return how many edits an arm still answers with the old fact."""
        return sum(one.says == "old" for one in self.by_arm.get(arm, ()))

    def fresh(self, arm: str) -> int:
        """Return how many edits an arm answers with the new fact."""
        return sum(one.says == "new" for one in self.by_arm.get(arm, ()))


def edited(changes: Sequence[Change], folder: Path) -> dict[str, bytes]:
    """
    Return each document that changes, by its source, as it is after all edits.

    Raises:
        InputError: a document is named in a way that leaves the folder, or words to be replaced do not stand in it.
    """
    versions: dict[str, bytes] = {}
    for change in changes:
        source = _source(change.source, folder)
        if change.file is not None:
            versions[source] = change.file.read_bytes()
            continue
        before = versions[source] if source in versions else (folder / source).read_bytes()
        find = (change.find or "").encode()
        if find not in before:
            raise InputError(
                f"changes: {change.source} does not hold {change.find!r} as it is written in the file; copy the words "
                "from the file, or give the whole edited document as `file`."
            )
        versions[source] = before.replace(find, change.replace.encode())
    return versions


def _source(written: str, folder: Path) -> str:
    """Return what the collection calls a document, however its path is written (``./a.md``, ``b/../a.md``)."""
    try:
        return Path(os.path.normpath(folder / written)).relative_to(os.path.normpath(folder)).as_posix()
    except ValueError as error:
        raise InputError(f"changes: {written} is not below {folder}; write its path from there.") from error


def replay(bench: Bench, base: KnowledgeBase, arms: Sequence[Arm], config: DecideConfig, folder: Path) -> Freshness:
    """
    Make the edits, ask every arm, and take the edits back.

    Args:
        bench: what answers.
        base: the decision's own collection.
        arms: which are asked.
        config: its changes, and how questions are put.
        folder: where the documents lie.

    Raises:
        InputError: an edit cannot be made.
    """
    asked = [_asked(number, change, config.instruction) for number, change in enumerate(config.changes, start=1)]
    with _edits(base, edited(config.changes, folder), folder) as seconds:
        by_arm = {}
        for arm in arms:
            outputs, _ = bench.answer(arm, asked, base)
            by_arm[arm.name] = tuple(
                _replayed(change, output.text, spoken(one, output.text.strip(), config))
                for change, one, output in zip(config.changes, asked, outputs, strict=True)
            )
    return Freshness(by_arm, seconds)


@contextmanager
def _edits(base: KnowledgeBase, versions: dict[str, bytes], folder: Path) -> Iterator[float]:
    """Hold the edited documents in the collection, for as long as it takes."""
    seconds = 0.0
    try:
        for source, data in versions.items():
            report = base.upload(source, data)
            seconds += report.seconds
            if report.errors:
                raise InputError(f"changes: {source} cannot be read after the edit: {report.errors[0].error}")
        yield seconds
    finally:
        base.add(folder, sync=True)


def _asked(number: int, change: Change, instruction: str | None) -> Asked:
    return Asked(
        f"edit {number}", change.question, instruction or "", tuple(change.new), (), answerable=True, form=None
    )


def _replayed(change: Change, text: str, said: str) -> Replayed:
    if any(contains(said, wording) for wording in change.new):
        says: Says = "new"
    elif any(contains(said, wording) for wording in change.old):
        says = "old"
    else:
        says = "neither"
    return Replayed(change.question, text, says)
