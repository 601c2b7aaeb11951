"""
Read questions about a collection, and tell which passages hold what they ask for.

The labels do not know how documents are cut: they are quotes with their place in a document, so the same questions
measure every chunk size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.base import InputError
from rag.evaluate.rows import Problems, Row, read_rows, write_rows
from rag.types import Hit

ENOUGH_OVERLAP = 0.5
"""
A passage holds a quote if they share this part of the shorter of the two. Any cutting of the document has such a
passage, and one that only grazes the quote does not count.
"""

Span = tuple[int, int]


class EvidenceRow(Row):
    """Where an answer stands, as files write it."""

    source: str
    quote: str | None = None


class _QuestionRow(Row):
    id: str = ""
    question: str
    evidence: list[EvidenceRow] = []
    answerable: bool = True
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer stands: a quote of a document, or the whole of it when ``quote`` is empty."""

    source: str
    quote: str


@dataclass(frozen=True, slots=True)
class Question:
    """
    A question with the places that answer it.

    Attributes:
        id: from the file, or its line.
        text: the question.
        evidence: at least one place.
        synthetic: True when a program wrote the question.
    """

    id: str
    text: str
    evidence: tuple[Evidence, ...]
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """
    Evidence with its place.

    Attributes:
        source: the document.
        spans: character offsets of the quote, wherever the document holds it; None when any passage of it counts.
    """

    source: str
    spans: tuple[Span, ...] | None

    def is_in(self, hit: Hit) -> bool:
        """Return whether a hit holds the evidence."""
        if hit.source != self.source:
            return False
        if self.spans is None:
            return True
        chunk = (hit.chunk.start, hit.chunk.end)
        return any(_overlap(span, chunk) >= ENOUGH_OVERLAP for span in self.spans)


def read_questions(path: Path, limit: int | None = None) -> tuple[list[Question], int]:
    """
    Read questions with their evidence.

    Args:
        path: a JSON Lines file: ``question``, ``evidence`` (a list of ``source`` and ``quote``; without a quote any
            passage of the source counts), and optionally ``id``, ``answerable``, ``synthetic``.
        limit: only so many, the first of the file; None for all.

    Returns:
        The questions with evidence, and how many have none.

    Raises:
        InputError: lines are malformed or ids are taken twice (every line is named), or no question has evidence.
    """
    problems = Problems()
    questions: dict[str, Question] = {}
    without = 0
    for line, row in read_rows(path, _QuestionRow, problems):
        name = row.id or f"line {line}"
        if name in questions:
            problems.add(path, line, f"the id {name!r} is taken by an earlier line")
        if not row.question.strip():
            problems.add(path, line, "the question is empty")
        if row.evidence and row.answerable:
            evidence = tuple(Evidence(item.source, (item.quote or "").strip()) for item in row.evidence)
            questions[name] = Question(name, row.question, evidence, row.synthetic)
        else:
            without += 1
    problems.raise_if_any()
    if not questions:
        raise InputError(
            f"no question of {path} has evidence; expected lines like "
            '{"question": "…", "evidence": [{"source": "a.md", "quote": "…"}]}.'
        )
    return list(questions.values())[:limit], without


def write_questions(path: Path, questions: Iterable[Question]) -> None:
    """
    Write questions for :func:`read_questions`.

    Raises:
        InputError: the file cannot be written.
    """
    lines = [
        {
            "id": question.id,
            "question": question.text,
            "evidence": [{"source": place.source, "quote": place.quote} for place in question.evidence],
            "answerable": True,
            "synthetic": question.synthetic,
        }
        for question in questions
    ]
    write_rows(path, lines)


def locate(
    questions: Iterable[Question], read: Callable[[str], str | None]
) -> tuple[dict[str, list[Target]], list[Evidence]]:
    """
    Find the places of all evidence.

    Args:
        questions: the questions.
        read: gives a document's text by its source, None where there is none.

    Returns:
        Targets by question id, and the evidence that stands nowhere; it counts as missed.

    Raises:
        InputError: none stands anywhere: the questions are about other documents.
    """
    texts: dict[str, str | None] = {}
    targets: dict[str, list[Target]] = {}
    lost: list[Evidence] = []
    for question in questions:
        for evidence in question.evidence:
            if evidence.source not in texts:
                texts[evidence.source] = read(evidence.source)
            target = target_of(evidence, texts[evidence.source])
            targets.setdefault(question.id, []).append(target)
            if target.spans == ():
                lost.append(evidence)
    if lost and len(lost) == sum(map(len, targets.values())):
        raise InputError(
            f"the collection holds none of the {len(lost)} places that the questions name, for example in "
            f"{lost[0].source!r}; choose the --collection that they are about, or index its documents again."
        )
    return targets, lost


def rank_passages(hits: Sequence[Hit], targets: Sequence[Target]) -> tuple[list[tuple[str, float]], dict[str, int]]:
    """
    Turn hits into a ranking of places and its judgements, as trec_eval reads them.

    Each target is one relevant place, at the first hit that holds it. A further hit of targets that were found before
    takes no place in the ranking, so that cutting a quote in two is neither rewarded nor punished.

    Returns:
        Ids with scores, best first, and the grade 1 for each target's id.
    """
    ranking: list[tuple[str, float]] = []
    judgements: dict[str, int] = {}
    open_targets = list(targets)
    for hit in hits:
        place = f"{hit.source}:{hit.chunk.start}-{hit.chunk.end}"
        found = [target for target in open_targets if target.is_in(hit)]
        if not found and any(target.is_in(hit) for target in targets):
            continue
        names = [f"{place}#{number}" if number else place for number in range(max(1, len(found)))]
        ranking += [(name, hit.score) for name in names]
        judgements |= dict.fromkeys(names[: len(found)], 1)
        open_targets = [target for target in open_targets if target not in found]
    return ranking, judgements | {f"missed {number}": 1 for number in range(1, len(open_targets) + 1)}


def target_of(evidence: Evidence, text: str | None) -> Target:
    """Return evidence with its places in a document's text; without any where the text does not hold it."""
    if text is None:
        return Target(evidence.source, ())
    if not evidence.quote:
        return Target(evidence.source, None)
    words = re.findall(r"\w+", evidence.quote)
    # Only words count: a line may break elsewhere than in the quote, and a table of a PDF be laid out in another way.
    found = re.finditer(r"\W+".join(words), text) if words else ()
    return Target(evidence.source, tuple(match.span() for match in found))


def _overlap(one: Span, other: Span) -> float:
    """Return which part of the shorter span both share."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return shared / max(1, min(one[1] - one[0], other[1] - other[0]))
