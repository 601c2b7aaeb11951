"""
Arms compared in pairs: paired bootstrap and sign exchange over documents, Holm over all pairs.

Questions about one document are right or wrong together, so the document is drawn, not the question (Miller, arXiv
2411.00640); where no evidence is named every question stands for itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from rag.evaluate.statistics import SEED, SIGNIFICANT
from scripts.decide.task import Asked

DRAWS = 10_000
CELLS = 2_000_000
"""So many numbers are drawn at a time, 16 MB."""

FEWEST_GROUPS = 10
"""From fewer groups nothing can be shown among ten pairs: exchanging the signs of nine of them has too few outcomes."""

EXACT_UP_TO = 12
"""So many documents that differ have all 2^12 exchanges of their signs tried, more are drawn."""

RULE_OF_THREE = 3
"""Where none of ``n`` questions differs, up to ``3 / n`` of all may (95 %)."""

Values = npt.NDArray[np.float64]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """
    Two arms on the same questions.

    Attributes:
        value: mean of the second less the first.
        low: lower end of the 95 % interval.
        high: upper end.
        narrow: the 90 % interval, for saying that two are equivalent.
        p: from exchanging the two arms' scores of whole documents, after Holm over all pairs.
        needed: questions that would show a difference of this size, or of the margin where that is larger, in four
            of five tries, among as many pairs; 0 where the arms did not differ on any question.
        questions: how many were compared.
        documents: how many clusters they make.
    """

    value: float
    low: float
    high: float
    narrow: tuple[float, float]
    p: float
    needed: int
    questions: int
    documents: int

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than luck."""
        return self.p < SIGNIFICANT and (self.low > 0 or self.high < 0)

    def is_within(self, margin: float) -> bool:
        """
        Whether the two are equivalent: the whole 90 % interval lies within a margin that was named before.

        Where no question differs the interval has no width, and then as many questions must have been asked as leave
        no room for such a difference (the rule of three).
        """
        has_room = self.needed == 0 and self.questions * margin < RULE_OF_THREE
        return -margin < self.narrow[0] and self.narrow[1] < margin and not has_room

    def turned(self) -> Difference:
        """Return the first less the second."""
        low, high = self.narrow
        return replace(self, value=-self.value, low=-self.high, high=-self.low, narrow=(-high, -low))


def compare_all(scores: Mapping[str, Values], clusters: Sequence[str], margin: float) -> dict[Pair, Difference]:
    """
    Compare every pair of arms.

    Args:
        scores: for each arm one number per question, in the same order.
        clusters: the document of each question.
        margin: the smallest difference that would matter.

    Returns:
        By (first, second) in the order of ``scores``.
    """
    pairs = list(itertools.combinations(scores, 2))
    raw = {(one, other): difference(scores[one], scores[other], clusters, margin) for one, other in pairs}
    adjusted = _holm([raw[pair].p for pair in pairs])
    harder = (_power(len(pairs)) / _power(1)) ** 2  # the first pair must be shown among all of them
    return {
        pair: replace(raw[pair], p=p, needed=math.ceil(raw[pair].needed * harder))
        for pair, p in zip(pairs, adjusted, strict=True)
    }


def groups(asked: Sequence[Asked]) -> list[str]:
    """Return what each question is drawn with: its document or, where documents are few, the passage it is about."""
    documents = [one.cluster for one in asked]
    if len(set(documents)) >= FEWEST_GROUPS:
        return documents
    return [
        f"{document}: {one.evidence[0].quote}" if one.evidence else document
        for document, one in zip(documents, asked, strict=True)
    ]


def difference(first: Values, second: Values, clusters: Sequence[str], margin: float) -> Difference:
    """Compare two arms on the same questions; ``p`` is of this pair alone."""
    values = second - first
    sums, counts = _by_cluster(values, clusters)
    means = _drawn_means(sums, counts)
    low, high = np.quantile(means, [0.025, 0.975])
    narrow = np.quantile(means, [0.05, 0.95])
    return Difference(
        value=float(values.mean()),
        low=float(low),
        high=float(high),
        narrow=(float(narrow[0]), float(narrow[1])),
        p=_p_value(sums),
        needed=_needed(values, means, margin),
        questions=len(values),
        documents=len(sums),
    )


def interval(values: Values, clusters: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, documents drawn."""
    low, high = np.quantile(_drawn_means(*_by_cluster(values, clusters)), [0.025, 0.975])
    return float(low), float(high)


def _by_cluster(values: Values, clusters: Sequence[str]) -> tuple[Values, Values]:
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    of_each = np.array([names[name] for name in clusters])
    return (
        np.bincount(of_each, weights=values, minlength=len(names)).astype(np.float64),
        np.bincount(of_each, minlength=len(names)).astype(np.float64),
    )


def _drawn_means(sums: Values, counts: Values) -> Values:
    """Draw as many clusters as there are, again and again, and return the mean over the questions of each draw."""
    rng = np.random.default_rng(SEED)
    means = []
    for size in _batches(len(sums)):
        drawn = rng.integers(len(sums), size=(size, len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)


def _batches(clusters: int) -> list[int]:
    """Cut the draws into batches that fit into memory."""
    size = max(1, min(DRAWS, CELLS // clusters))
    return [min(size, DRAWS - begin) for begin in range(0, DRAWS, size)]


def _p_value(sums: Values) -> float:
    """Exchange the two arms' scores of whole documents, all ways where few differ."""
    differing = sums[np.abs(sums) > 1e-12]
    if not len(differing):
        return 1.0
    observed = abs(float(differing.sum())) - 1e-9
    if len(differing) <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(differing))))
        return float(np.mean(np.abs(signs @ differing) >= observed))
    rng = np.random.default_rng(SEED)
    reached = 0
    for size in _batches(len(differing)):
        signs = 2.0 * rng.integers(2, size=(size, len(differing)), dtype=np.int8) - 1
        reached += int(np.sum(np.abs(signs @ differing) >= observed))
    return (reached + 1) / (DRAWS + 1)


def _needed(values: Values, means: Values, margin: float) -> int:
    """``((1.96 + 0.84) * sd / d) ** 2`` of one pair, with the deviation that documents drawn together show."""
    if len(values) < 2 or not np.any(values):
        return 0
    deviation = max(float(means.std()) * math.sqrt(len(values)), float(values.std(ddof=1)))
    return max(2, math.ceil((_power(1) * deviation / max(abs(float(values.mean())), margin)) ** 2))


def _power(pairs: int) -> float:
    """Return the normal quantiles of a two-sided 5 %, shared by so many pairs, and of a power of 80 %, added."""
    return NormalDist().inv_cdf(1 - SIGNIFICANT / 2 / pairs) + NormalDist().inv_cdf(0.8)


def _holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for rank, at in enumerate(order):
        reached = max(reached, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = reached
    return adjusted
