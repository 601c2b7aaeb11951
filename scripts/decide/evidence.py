"""What a recommendation rests on: how the arms stand, how they compare, and what cannot be concluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.decide.compare import Difference, Pair
from scripts.decide.config import Requirements
from scripts.decide.freshness import Freshness
from scripts.decide.limits import Limit
from scripts.decide.requirements import Prior


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How an arm stands, as far as the recommendation looks at it.

    Attributes:
        name: of the arm.
        right: mean of the number that decides.
        p95_s: seconds within which 95 % of its answers were complete.
        mean_s: seconds of an answer on average.
        built_s: seconds that indexing and training took; 0 where it needs none, or they were done elsewhere.
        forgetting_nats: how much harder general text became to predict, per token; None where that is not known.
    """

    name: str
    right: float
    p95_s: float
    mean_s: float = 0.0
    built_s: float = 0.0
    forgetting_nats: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What a recommendation rests on.

    Attributes:
        standings: of every arm that was measured.
        pairs: the arms compared, in the order of ``standings``.
        limits: what cannot be concluded.
        requirements: what the task asks for.
        prior: what these speak for.
        freshness: what became of edits; None where none were replayed.
        margin: the smallest difference that would matter.
        counts_points: whether the number that decides is a share of each answer, and no count of right ones.
    """

    standings: Sequence[Standing]
    pairs: Mapping[Pair, Difference]
    limits: Sequence[Limit]
    requirements: Requirements
    prior: Prior
    freshness: Freshness | None
    margin: float
    counts_points: bool = False

    @property
    def measured(self) -> set[str]:
        """The names of the arms."""
        return {one.name for one in self.standings}

    @property
    def has_base(self) -> bool:
        """Whether the model as it is was measured."""
        return "base" in self.measured

    @property
    def forbidden(self) -> set[str]:
        """The arms about which nothing can be concluded."""
        return {
            name
            for limit in self.limits
            for name in limit.forbids
            if name in self.measured and not (limit.yields_to_gain and self.beats_base(name))
        }

    def between(self, one: str, other: str) -> Difference:
        """Return the second arm less the first, in whichever order they were compared."""
        return self.pairs[one, other] if (one, other) in self.pairs else self.pairs[other, one].turned()

    def is_better(self, one: str, other: str) -> bool:
        """Whether the first arm is shown to be better than the second."""
        pair = self.between(other, one)
        return pair.is_shown and pair.value > 0

    def beats_base(self, name: str) -> bool:
        """Whether an arm is shown to be better than the model as it is."""
        return name != "base" and self.has_base and self.is_better(name, "base")
