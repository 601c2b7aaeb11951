"""
When to decline: how many questions each threshold answers, and how many of those answers are wrong.

Every question is answered, also those that would have been declined, so that each threshold can be judged afterwards
(the risk-coverage curve of El-Yaniv and Wiener, JMLR 2010). What the threshold is put to is the doubt that there is
an answer (:mod:`rag.doubt`); its parts and other signals are shown beside it by how well they tell the two kinds of
questions apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from rag.doubt import doubt
from rag.evaluate.answers import Outcome
from rag.evaluate.statistics import FEW
from rag.types import Answer

NEVER = 1 - 1e-9
"""A threshold that no probability of a model reaches."""

COVERAGES = tuple(round(share / 20, 2) for share in range(20, 9, -1))
"""Shares of the answerable questions that the thresholds shown leave answered."""

Values = npt.NDArray[np.float64]


def _doubt(answer: Answer) -> float:
    """Return what the threshold is put to; without a passage the model was not even asked."""
    return 1.0 if answer.refusal_probability is None else doubt(answer.refusal_probability, answer.hits)


def _refusal(answer: Answer) -> float:
    return 1.0 if answer.refusal_probability is None else answer.refusal_probability


def _far(answer: Answer) -> float:
    return -max((hit.dense for hit in answer.hits), default=-1.0)


def _unbacked(answer: Answer) -> float:
    return -max((citation.support for citation in answer.citations), default=0.0)


def _unlikely(answer: Answer) -> float:
    return 1.0 if answer.likelihood is None else -answer.likelihood


SIGNALS: Mapping[str, Callable[[Answer], float]] = {
    "doubt": _doubt,
    "refusal_probability": _refusal,
    "similarity": _far,
    "support": _unbacked,
    "likelihood": _unlikely,
}
"""
What speaks for declining: the model and the best passage together, the model alone, a best passage that is far away, an
answer that no passage backs, or whose words the model found unlikely (known only when it is written).
"""


def abstention_object(outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the curve as the object that the command prints.

    Args:
        outcomes: of one arm with retrieval that declined nothing; some with an answer and some without.
        facts: what else stands beside: model, adapter, collection, sizes.
    """
    has_answer = np.array([one.asked.is_answerable for one in outcomes])
    doubts = np.array([_doubt(one.answer) for one in outcomes])
    right = np.array([one.scores.get("contains", 0.0) for one in outcomes])
    points = [_point(_threshold(doubts[has_answer], share), doubts, has_answer, right) for share in COVERAGES]
    best = max(points, key=lambda point: point["answerable_answered"] + point["unanswerable_refused"])
    return {
        **facts,
        "questions": len(outcomes),
        "answerable": int(has_answer.sum()),
        "auroc": {
            name: _auroc(np.array([signal(one.answer) for one in outcomes]), has_answer)
            for name, signal in SIGNALS.items()
        },
        "curve": points,
        "best": best,
        "warnings": _warnings(has_answer),
    }


def _threshold(of_answerable: Values, share: float) -> float:
    """Return the threshold below which this share of the answerable questions lies."""
    above = np.sort(of_answerable)[min(round(share * len(of_answerable)), len(of_answerable) - 1)]
    return float(np.clip(above if share < 1 else NEVER, 1e-9, NEVER))


def _point(threshold: float, doubts: Values, has_answer: npt.NDArray[np.bool_], right: Values) -> dict[str, float]:
    answered = doubts < threshold
    wrong = answered & ~(has_answer & (right > 0))
    return {
        "decline_from": threshold,
        "answerable_answered": float(answered[has_answer].mean()),
        "unanswerable_refused": float((~answered[~has_answer]).mean()),
        "wrong_of_answered": float(wrong.sum() / answered.sum()) if answered.any() else 0.0,
    }


def _auroc(signal: Values, has_answer: npt.NDArray[np.bool_]) -> float:
    """Return how often the signal is higher for a question without an answer than for one with; ties count half."""
    without, having = signal[~has_answer][:, None], signal[has_answer][None, :]
    return float(((without > having) + 0.5 * (without == having)).mean())


def _warnings(has_answer: npt.NDArray[np.bool_]) -> list[str]:
    fewest = int(min(has_answer.sum(), (~has_answer).sum()))
    if fewest >= FEW:
        return []
    return [f"only {fewest} questions of one kind: take the threshold as a rough guide, {FEW} of each are the least."]


def abstention_table(found: Mapping[str, Any]) -> Table:
    """Lay out what :func:`abstention_object` returns."""
    table = Table("answer.decline_from", "answerable answered", "unanswerable refused", "wrong of those answered")
    for point in found["curve"]:
        mark = " ←" if point == found["best"] else ""
        numbers = [point[name] for name in ("answerable_answered", "unanswerable_refused", "wrong_of_answered")]
        table.add_row(f"{point['decline_from']:.4g}{mark}", *[f"{number:.2f}" for number in numbers])
    return table
