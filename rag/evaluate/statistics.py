"""
What a number of questions allows to say: intervals, and whether a difference is more than luck.

The unit is the question. Intervals are bootstrap percentiles, the test exchanges the two scores of a question (both
as Smucker, Allan and Carterette compare them for retrieval, CIKM 2007); a fixed seed makes them repeatable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
RESAMPLES = 9_999
"""With so many draws the ends of an interval and a p-value near .05 are repeatable to about .004."""

SEED = 0
BATCH_CELLS = 10_000_000
"""So many numbers are drawn at a time, 80 MB."""

FEW = 30
"""Below so many questions figures are shown, but no winner."""

POWER = 1.96 + 0.84
"""Normal quantiles of a two-sided 5 % and of a power of 80 %; their sum stands in every formula for a sample size."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """
    Two ways compared on the same questions.

    Attributes:
        first: mean of the first.
        second: mean of the second.
        value: second less first.
        low: lower end of the 95 % interval of ``value``.
        high: upper end.
        p: how often chance alone brings a difference of this size, in ``(0, 1]``.
        needed: questions that would be needed to show a difference of this size; 0 where there is none.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    needed: int

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than luck: p below .05, and an interval without 0."""
        return self.p < SIGNIFICANT and (self.low > 0 or self.high < 0)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """
    Return the 95 % bootstrap interval of a mean.

    Args:
        values: one for each question, at least one; a single one is its own interval.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return float(sample[0]), float(sample[0])
    found = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_batch(len(sample)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=SEED,
    ).confidence_interval
    return float(found.low), float(found.high)


def compare(first: Sequence[float], second: Sequence[float]) -> Difference:
    """
    Compare two ways on the same questions, in the same order.

    Args:
        first: a score for each question, at least one.
        second: the other's.
    """
    before, after = (np.asarray(values, dtype=np.float64) for values in (first, second))
    differences = after - before
    low, high = interval(differences.tolist())
    return Difference(
        first=float(before.mean()),
        second=float(after.mean()),
        value=float(differences.mean()),
        low=low,
        high=high,
        p=_p_value(differences),
        needed=questions_needed(differences),
    )


def questions_needed(differences: Values) -> int:
    """
    Return how many questions would show a mean difference as large as this one in four of five tries.

    ``((1.96 + 0.84) * sd / mean) ** 2``, the sample size of a paired test with two sides of 5 % and a power of 80 %.

    Args:
        differences: one for each question, shape ``(n,)``.
    """
    mean = float(differences.mean())
    if len(differences) < 2 or mean == 0:
        return 0
    return max(2, math.ceil((POWER * float(differences.std(ddof=1)) / mean) ** 2))


def _p_value(differences: Values) -> float:
    """Exchange the two scores of questions at random, all ways where there are few; one question shows nothing."""
    if len(differences) < 2:
        return 1.0
    result = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        _mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_batch(len(differences)),
        rng=SEED,
    )
    return float(result.pvalue)


def _mean_difference(one: Values, other: Values, axis: int) -> Any:  # noqa: ANN401 - an array or a number, as scipy asks
    return (one - other).mean(axis=axis)


def _batch(questions: int) -> int:
    return max(1, BATCH_CELLS // questions)
