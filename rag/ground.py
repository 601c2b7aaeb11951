"""
``python -m rag.ground --questions qa.jsonl --out grounded.jsonl``: questions become grounded training examples.

The passages come from the collection's own retrieval, in its order and in the words that an answer is made from, so
that a model is trained on what it will read. Some examples lack the evidence, so that it learns to say no. The file is
what ``finetune.train`` reads; the two packages share nothing else.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from models import command
from models.base import InputError
from models.prompt import REFUSAL, without_markers
from rag import config
from rag.evaluate.questions import Evidence, EvidenceRow, Question, Target, locate
from rag.evaluate.rows import Problems, Row, read_rows, write_rows

if TYPE_CHECKING:
    from rag.knowledge_base import KnowledgeBase
    from rag.types import Hit

logger = logging.getLogger(__name__)

DEEPER = 10
"""So many times as many passages are looked through for evidence and for distractors as an example holds."""

AROUND = 300
"""Characters on either side of a quote that are read with it where retrieval does not find it."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _AnsweredRow(Row):
    id: str = ""
    question: str
    answer: str = ""
    evidence: list[EvidenceRow] = []
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """
    A question with its answer; without evidence the answer is that there is none.

    Attributes:
        question: with its evidence.
        answer: empty where there is none.
        about: the document that it was asked about, also where that does not answer it; None when unknown.
    """

    question: Question
    answer: str
    about: str | None


def read_answered(path: Path) -> list[Answered]:
    """
    Read questions with answers and evidence, as ``rag.evaluate`` reads them, with an ``answer`` beside.

    Raises:
        InputError: lines are malformed, or have evidence and no answer; every line is named.
    """
    problems = Problems()
    found: dict[str, Answered] = {}
    for line, row in read_rows(path, _AnsweredRow, problems):
        name = row.id or f"line {line}"
        if name in found:
            problems.add(path, line, f"the id {name!r} is taken by an earlier line")
        can_be_answered = row.answerable and bool(row.evidence)
        if not row.question.strip():
            problems.add(path, line, "the question is empty")
        if can_be_answered and not row.answer.strip():
            problems.add(path, line, "it has evidence, but no answer")
        evidence = tuple(Evidence(one.source, (one.quote or "").strip()) for one in row.evidence)
        question = Question(name, row.question, evidence if can_be_answered else ())
        found[name] = Answered(question, row.answer, row.evidence[0].source if row.evidence else None)
    problems.raise_if_any()
    if not found:
        raise InputError(f"{path} holds no question.")
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    How examples are made.

    Attributes:
        passages: of each example, at least 1.
        with_evidence: share of the answerable questions whose passages hold the evidence, in ``[0, 1]``.
        family: so many questions that follow each other in the file and are about one document may share their
            passages, which a packed training then reads once for all of them.
        shuffled: share of the examples whose passages stand in any order, so that no place becomes a habit.
        seed: decides which.
    """

    passages: int = 4
    with_evidence: float = 0.8
    family: int = 1
    shuffled: float = 0.0
    seed: int = 0


def ground(knowledge_base: KnowledgeBase, answered: Sequence[Answered], recipe: Recipe) -> list[dict[str, Any]]:
    """
    Return a training example for each question; one whose evidence stands nowhere is left out, and logged.

    Args:
        knowledge_base: where passages are looked for.
        answered: the questions.
        recipe: how examples are made.

    Raises:
        InputError: the collection holds none of the evidence.
    """
    sources = knowledge_base.sources()

    def read(source: str) -> str | None:
        return knowledge_base.document(sources[source]).text if source in sources else None

    answerable = [one.question for one in answered if one.question.evidence]
    targets, _ = locate(answerable, read) if answerable else ({}, [])
    rng = np.random.default_rng(recipe.seed)
    most = knowledge_base.settings.answer.context_characters
    rows: list[dict[str, Any]] = []
    family: _Family | None = None
    for one in answered:
        places = [target for target in targets.get(one.question.id, []) if target.spans != ()]
        if one.question.evidence and not places:
            logger.warning("%s is left out: the collection does not hold its evidence", one.question.id)
            continue
        if family is None or family.size == recipe.family or not family.takes(one, places):
            keeps = rng.random() < recipe.with_evidence
            hits = _context(knowledge_base, one, places, read, recipe.passages, keeps=keeps)
            if rng.random() < recipe.shuffled:
                hits = [hits[at] for at in rng.permutation(len(hits))]
            family = _Family(one.about, hits, keeps=keeps)
        if family.passages:
            quotes = [(read(target.source) or "")[begin:end] for target in places for begin, end in target.spans or ()]
            rows.append(family.row(one, places, quotes, most))
    return rows


def _context(
    knowledge_base: KnowledgeBase,
    one: Answered,
    places: Sequence[Target],
    read: Callable[[str], str | None],
    passages: int,
    *,
    keeps: bool,
) -> list[_Passage]:
    """Return the passages of a question: with its evidence, or without it."""
    deeper = knowledge_base.rank(one.question.text, passages * DEEPER)
    if places and keeps:
        hits = knowledge_base.search(one.question.text, passages)  # as for answers: copies and neighbours are joined
        return _with_evidence(hits, deeper, places, read)
    return _without(deeper, places, one.answer)[:passages]


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage of an example: a hit, or text around a quote that retrieval did not find."""

    title: str
    text: str
    source: str
    stands_at: Hit | Target

    def holds(self, targets: Sequence[Target]) -> bool:
        if isinstance(self.stands_at, Target):
            return self.stands_at in targets
        return any(target.is_in(self.stands_at) for target in targets)


class _Family:
    """Questions about one document that share their passages."""

    def __init__(self, about: str | None, passages: Sequence[_Passage], *, keeps: bool) -> None:
        self._about, self.passages, self._keeps = about, passages, keeps
        self.size = 0

    def takes(self, one: Answered, places: Sequence[Target]) -> bool:
        """Return whether a question can be asked about these passages, too."""
        if one.about is None or one.about != self._about:
            return False
        said = one.answer.casefold().strip(" .")
        there = any(passage.holds(places) for passage in self.passages)
        if self._keeps or not places:
            return there or not places
        return not there and not any(said in passage.text.casefold() for passage in self.passages)

    def row(self, one: Answered, places: Sequence[Target], quotes: Sequence[str], most: int) -> dict[str, Any]:
        """Return the example of one question, trimmed as for answers; evidence that would be lost by it stays whole."""
        from rag.trim import trim  # its words are the index's, which is imported here, so that --help answers at once

        self.size += 1
        context: list[dict[str, Any]] = []
        shown = trim([passage.text for passage in self.passages], one.question.text, most)
        for passage, text in zip(self.passages, shown, strict=True):
            is_evidence = self._keeps and passage.holds(places)
            kept = not is_evidence or not quotes or any(quote in text for quote in quotes)
            place = {"title": passage.title, "text": text if kept else passage.text, "source": passage.source}
            context.append(place | {"evidence": is_evidence})
        number = next((place for place, passage in enumerate(context, start=1) if passage["evidence"]), None)
        answer = REFUSAL if number is None else f"{without_markers(one.answer).strip().rstrip('.')} [{number}]."
        return {"id": one.question.id, "question": one.question.text, "context": context, "answer": answer}


def _with_evidence(
    hits: Sequence[Hit], deeper: Sequence[Hit], targets: Sequence[Target], read: Callable[[str], str | None]
) -> list[_Passage]:
    """Return the passages found; where none of them holds evidence, one that does takes the last one's place."""
    context = [_passage(hit) for hit in hits]
    if any(passage.holds(targets) for passage in context):
        return context
    found = next((passage for passage in map(_passage, deeper) if passage.holds(targets)), None)
    return [*context[:-1], found or _quoted(targets[0], read(targets[0].source) or "")]


def _without(hits: Sequence[Hit], targets: Sequence[Target], answer: str) -> list[_Passage]:
    """Return the passages that hold neither evidence nor the words of the answer, best first."""
    said = answer.casefold().strip(" .")
    return [
        passage
        for passage in map(_passage, hits)
        if not passage.holds(targets) and not (targets and said and said in passage.text.casefold())
    ]


def _passage(hit: Hit) -> _Passage:
    return _Passage(hit.label, hit.chunk.read_text, hit.source, hit)


def _quoted(target: Target, text: str) -> _Passage:
    """Return a quote with what stands around it, cut between words."""
    begin, end = target.spans[0] if target.spans else (0, AROUND)
    begin = text.rfind(" ", 0, max(0, begin - AROUND)) + 1
    cut = text.find(" ", end + AROUND)
    return _Passage(target.source, text[begin : cut if cut >= 0 else len(text)], target.source, target)


@app.command()
def main(
    questions: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="questions with answers and evidence")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="where the examples are written")],
    passages: Annotated[int, typer.Option(min=1, max=50, help="passages of an example")] = 4,
    with_evidence: Annotated[
        float, typer.Option(min=0, max=1, help="share of the answerable questions that keep their evidence")
    ] = 0.8,
    family: Annotated[int, typer.Option(min=1, help="questions about one document that may share passages")] = 1,
    shuffled: Annotated[float, typer.Option(min=0, max=1, help="share of examples with passages in any order")] = 0,
    collection: Annotated[str | None, typer.Option(help="where passages are looked for")] = None,
    seed: Annotated[int, typer.Option(min=0, help="decides which questions lose their evidence")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Make training examples for answers from retrieved passages."""
    settings = config.load(settings_file, data_dir=data_dir, collection=collection)
    answered = read_answered(questions)
    from rag.workspace import Workspace  # the store and the models are imported here, so that --help answers at once

    with Workspace(settings) as workspace:
        base = workspace.collection(settings.collection)
        rows = ground(base, answered, Recipe(passages, with_evidence, family, shuffled, seed))
    write_rows(out, rows)
    refusals = Counter(row["answer"] == REFUSAL for row in rows)
    counted = {"examples": len(rows), "answered": refusals[False], "refused": refusals[True], "out": str(out)}
    if as_json:
        sys.stdout.write(json.dumps(counted) + "\n")
    else:
        sys.stdout.write(f"{len(rows)} examples, {refusals[True]} of them without an answer: {out}\n")


if __name__ == "__main__":
    command.run(app)
