"""What a measurement of answers says: one object for programs, a table for people, a page with the failures first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from rich.table import Table

from models.base import InputError
from rag.evaluate.answers import Outcome
from rag.evaluate.statistics import FEW, interval

TEMPLATE = Path(__file__).with_name("answers.html")
NAMES = {
    "em": "share of answers that are an expected one, word for word",
    "f1": "words shared with the expected answer",
    "contains": "share of answers that hold the expected words",
    "answerable_answered": "share of questions with an answer that were not declined",
    "unanswerable_refused": "share of questions without an answer that were declined",
    "found": "share of questions whose evidence was given to the model",
    "citation_precision": "right documents among those that answers cite",
    "citation_recall": "share of answers that cite a right document",
    "supported": "share of citations whose quote holds half of the claim's words",
}
"""Measures in the order in which they are shown, with what they mean."""


def answers_object(outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a measurement as the object that the command prints.

    Args:
        outcomes: of every arm.
        facts: what else stands beside: model, adapter, collection, sizes.
    """
    by_arm: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_arm.setdefault(outcome.arm, []).append(outcome)
    questions = len(next(iter(by_arm.values())))
    few = [f"{questions} questions are fewer than {FEW}: take the intervals as a rough guide."]
    return {
        **facts,
        "questions": questions,
        "arms": {arm: _arm(of_arm) for arm, of_arm in by_arm.items()},
        "warnings": few if questions < FEW else [],
    }


def _arm(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(outcomes), "intervals": {}}
    for name in NAMES:
        values = [outcome.scores[name] for outcome in outcomes if name in outcome.scores]
        if values:
            found[name] = float(np.mean(values))
            found["intervals"][name] = list(interval(values))
    asked = [outcome.answer.timings for outcome in outcomes if outcome.answer.timings.new_tokens]
    if asked:
        found["first_token_s_p50"] = float(np.median([timings.first_token_s for timings in asked]))
        found["total_s_p50"] = float(np.median([timings.total_s for timings in asked]))
        found["prompt_tokens_p50"] = float(np.median([timings.prompt_tokens for timings in asked]))
    found["causes"] = dict(Counter(outcome.cause for outcome in outcomes if outcome.failed))
    return found


def answers_table(found: Mapping[str, Any]) -> Table:
    """Lay out what :func:`answers_object` returns."""
    arms: Mapping[str, Any] = found["arms"]
    table = Table("measure", *arms, title_justify="left")
    for name in NAMES:
        if any(name in arm for arm in arms.values()):
            table.add_row(name, *[_cell(arm, name) for arm in arms.values()])
    for name in ("first_token_s_p50", "total_s_p50", "prompt_tokens_p50"):
        table.add_row(name, *[f"{arm[name]:.2f}" if name in arm else "" for arm in arms.values()])
    return table


def _cell(arm: Mapping[str, Any], name: str) -> str:
    if name not in arm:
        return ""
    low, high = arm["intervals"][name]
    return f"{arm[name]:.3f} ({low:.2f} to {high:.2f})"


def write_page(path: Path, found: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """
    Write the page: the table, then every question with the answers of all arms, those that failed most first.

    Raises:
        InputError: the file cannot be written.
    """
    by_question: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_question.setdefault(outcome.asked.id, []).append(outcome)
    ordered = sorted(by_question.values(), key=lambda of_one: -sum(outcome.failed for outcome in of_one))
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(found=found, names=NAMES, questions=ordered, cell=_cell)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another file.") from error
