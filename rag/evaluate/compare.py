"""Compare two runs on the questions that both were asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.base import InputError
from rag.evaluate import statistics
from rag.evaluate.statistics import FEW, Difference

PRIMARY = "ndcg@10"
"""The measure of retrieval that a conclusion is drawn from; the others describe."""

Scores = Mapping[str, Mapping[str, float]]
"""Each measure, by query."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two runs side by side.

    Attributes:
        primary: the measure that a conclusion is drawn from; the others describe.
        differences: by measure, of the measures that both runs have for every query compared.
        queries: how many both were asked.
        only_first: how many only the first was asked; they are left out.
        only_second: how many only the second was asked.
    """

    primary: str
    differences: Mapping[str, Difference]
    queries: int
    only_first: int
    only_second: int

    def conclusion(self) -> str:
        """Say in a sentence what may be concluded of the second run."""
        one = self.differences[self.primary]
        size = f"{one.value:+.3f} {self.primary} (95 % interval {one.low:+.3f} to {one.high:+.3f}, p = {one.p:.4f})"
        if self.queries < FEW:
            return f"Nothing can be concluded from {self.queries} questions, fewer than {FEW}: {size}."
        if one.is_shown:
            return f"The second is {'better' if one.value > 0 else 'worse'}: {size}, {self.queries} questions."
        needed = f"; to show one of this size, about {one.needed:,} questions would be needed" if one.needed else ""
        return f"No difference shown with {self.queries} questions: {size}{needed}."


def compare_runs(first: Scores, second: Scores, primary: str = PRIMARY) -> Comparison:
    """
    Compare two runs, question by question; questions that do not have the primary measure in both are left out.

    Args:
        first: of the one run.
        second: of the other.
        primary: the measure that a conclusion is drawn from.

    Raises:
        InputError: they have no query with the primary measure in common.
    """
    both = [query for query in first if primary in first[query] and primary in second.get(query, {})]
    rows = [(first[query], second[query]) for query in both]
    names = [name for name in (rows[0][0] if rows else ()) if all(name in one and name in other for one, other in rows)]
    if not both:
        known = sorted({name for scores in (*first.values(), *second.values()) for name in scores})
        raise InputError(
            f"the two runs have no query with {primary} in common (measured: {', '.join(known)}); write both with "
            "`python -m rag.evaluate … --per-query FILE`, and choose another with --measure."
        )
    differences = {
        name: statistics.compare([one[name] for one, _ in rows], [other[name] for _, other in rows]) for name in names
    }
    return Comparison(primary, differences, len(both), len(first) - len(both), len(second) - len(both))
