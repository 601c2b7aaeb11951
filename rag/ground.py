"""
``python -m rag.ground --questions qa.jsonl --out grounded.jsonl``: questions become grounded training examples.

The passages come from the collection's own retrieval, in its order and in the words that an answer is made from, so
that a model is trained on what it will read. Some examples lack the evidence, so that it learns to say no. The file is
what ``finetune.train`` reads; the two packages share nothing else.
"""

from __future__ import annotations

import json
import logging
import re
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
from models.prompt import REFUSAL
from rag import config
from rag.evaluate.questions import Evidence, Question, Target, locate
from rag.evaluate.rows import Problems, Row, read_rows, write_rows

if TYPE_CHECKING:
    from rag.knowledge_base import KnowledgeBase
    from rag.types import Hit

logger = logging.getLogger(__name__)

DEEPER = 10
"""So many times as many passages are looked through for evidence and for distractors as an example holds."""

AROUND = 300
"""Characters on either side of a quote that are read with it where retrieval does not find it."""

_MARKER = re.compile(r"\s?\[\d{1,3}\]")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _EvidenceRow(Row):
    source: str
    quote: str | None = None


class _AnsweredRow(Row):
    id: str = ""
    question: str
    answer: str = ""
    evidence: list[_EvidenceRow] = []
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with its answer; without evidence the answer is that there is none."""

    question: Question
    answer: str


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
        found[name] = Answered(question, row.answer)
    problems.raise_if_any()
    if not found:
        raise InputError(f"{path} holds no question.")
    return list(found.values())


def ground(
    knowledge_base: KnowledgeBase, answered: Sequence[Answered], *, passages: int, with_evidence: float, seed: int
) -> list[dict[str, Any]]:
    """
    Return a training example for each question; one whose evidence stands nowhere is left out, and logged.

    Args:
        knowledge_base: where passages are looked for.
        answered: the questions.
        passages: of each example, at least 1.
        with_evidence: share of the answerable questions whose passages hold the evidence, in ``[0, 1]``.
        seed: decides which.

    Raises:
        InputError: the collection holds none of the evidence.
    """
    sources = knowledge_base.sources()

    def read(source: str) -> str | None:
        return knowledge_base.document(sources[source]).text if source in sources else None

    answerable = [one.question for one in answered if one.question.evidence]
    targets, _ = locate(answerable, read) if answerable else ({}, [])
    rng = np.random.default_rng(seed)
    rows = []
    for one in answered:
        deeper = knowledge_base.rank(one.question.text, passages * DEEPER)
        places = [target for target in targets.get(one.question.id, []) if target.spans != ()]
        if one.question.evidence and not places:
            logger.warning("%s is left out: the collection does not hold its evidence", one.question.id)
            continue
        keeps = bool(places) and rng.random() < with_evidence
        if keeps:
            hits = knowledge_base.search(
                one.question.text, passages
            )  # as answers are made: copies and neighbours joined
            context = _with_evidence(hits, deeper, places, read)
        else:
            context = _without(deeper, places, one.answer)[:passages]
        if context:
            rows.append(_row(one, context, keeps=keeps))
    return rows


def _with_evidence(
    hits: Sequence[Hit], deeper: Sequence[Hit], targets: Sequence[Target], read: Callable[[str], str | None]
) -> list[dict[str, Any]]:
    """Return the passages found; where none of them holds evidence, one that does takes the last one's place."""
    context = [_passage(hit, evidence=_holds(hit, targets)) for hit in hits]
    if any(passage["evidence"] for passage in context):
        return context
    found = next((_passage(hit, evidence=True) for hit in deeper if _holds(hit, targets)), None)
    return [*context[:-1], found or _quoted(targets[0], read(targets[0].source) or "")]


def _without(hits: Sequence[Hit], targets: Sequence[Target], answer: str) -> list[dict[str, Any]]:
    """Return the passages that hold neither evidence nor the words of the answer, best first."""
    said = answer.casefold().strip(" .")
    others = [
        hit
        for hit in hits
        if not _holds(hit, targets) and not (targets and said and said in hit.chunk.read_text.casefold())
    ]
    return [_passage(hit, evidence=False) for hit in others]


def _holds(hit: Hit, targets: Sequence[Target]) -> bool:
    return any(target.is_in(hit) for target in targets)


def _passage(hit: Hit, *, evidence: bool) -> dict[str, Any]:
    return {"title": hit.label, "text": hit.chunk.read_text, "source": hit.source, "evidence": evidence}


def _quoted(target: Target, text: str) -> dict[str, Any]:
    """Return a quote with what stands around it, cut between words."""
    begin, end = target.spans[0] if target.spans else (0, AROUND)
    begin = text.rfind(" ", 0, max(0, begin - AROUND)) + 1
    cut = text.find(" ", end + AROUND)
    passage = text[begin : cut if cut >= 0 else len(text)]
    return {"title": target.source, "text": passage, "source": target.source, "evidence": True}


def _row(one: Answered, context: list[dict[str, Any]], *, keeps: bool) -> dict[str, Any]:
    answer = REFUSAL
    if keeps:
        number = next(place for place, passage in enumerate(context, start=1) if passage["evidence"])
        answer = f"{_MARKER.sub('', one.answer).strip().rstrip('.')} [{number}]."
    return {"id": one.question.id, "question": one.question.text, "context": context, "answer": answer}


@app.command()
def main(
    questions: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="questions with answers and evidence")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="where the examples are written")],
    passages: Annotated[int, typer.Option(min=1, max=50, help="passages of an example")] = 4,
    with_evidence: Annotated[
        float, typer.Option(min=0, max=1, help="share of the answerable questions that keep their evidence")
    ] = 0.8,
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
        rows = ground(base, answered, passages=passages, with_evidence=with_evidence, seed=seed)
    write_rows(out, rows)
    refusals = Counter(row["answer"] == REFUSAL for row in rows)
    counted = {"examples": len(rows), "answered": refusals[False], "refused": refusals[True], "out": str(out)}
    if as_json:
        sys.stdout.write(json.dumps(counted) + "\n")
    else:
        sys.stdout.write(f"{len(rows)} examples, {refusals[True]} of them without an answer: {out}\n")


if __name__ == "__main__":
    command.run(app)
