"""An arm's results: means with their intervals, differences from the base, speed, cost, and failures by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.decide.arms import Arm
from scripts.decide.compare import difference, groups, interval
from scripts.decide.config import Rates
from scripts.decide.costs import J_PER_KWH
from scripts.decide.measure import Scored, table
from scripts.decide.training import Trained

Values = npt.NDArray[np.float64]
THOUSAND = 1000
S_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class ArmResult:
    """
    What an arm did.

    Attributes:
        arm: which.
        scored: every question with its answer, in the order of the test.
        table: each measure as one number per question, NaN where a question does not have it.
        made: how many answers were made in this run; the others were kept from an earlier one.
        trained: its adapter; None without one.
    """

    arm: Arm
    scored: tuple[Scored, ...]
    table: dict[str, Values]
    made: int
    trained: Trained | None

    @property
    def causes(self) -> dict[str, int]:
        """Failures by cause, the most frequent first."""
        return dict(Counter(one.cause for one in self.scored if one.cause).most_common())

    def groups(self, has: npt.NDArray[np.bool_]) -> list[str]:
        """Return what the questions that have a measure are drawn with, see :func:`scripts.decide.compare.groups`."""
        return groups([one.asked for one, there in zip(self.scored, has, strict=True) if there])

    def seconds(self) -> Values:
        """Return how long each answer took."""
        return np.array([one.output.total_s for one in self.scored])


def result(arm: Arm, scored: Sequence[Scored], made: int, trained: Trained | None) -> ArmResult:
    """Gather what an arm did."""
    return ArmResult(arm, tuple(scored), table(scored), made, trained)


def figures(of_arm: ArmResult, base: ArmResult | None, margin: float, rates: Rates) -> dict[str, Any]:
    """
    Return an arm's figures as ``report.json`` holds them.

    Args:
        of_arm: the arm.
        base: the arm that it is compared with; None where it is that itself, or was not measured.
        margin: the smallest difference that would matter.
        rates: what things cost.
    """
    measures = {}
    for name, values in of_arm.table.items():
        has = ~np.isnan(values)
        clusters = of_arm.groups(has)
        measures[name] = {
            "mean": float(values[has].mean()),
            "interval": list(interval(values[has], clusters)),
            "n": int(has.sum()),
            "less_base": _less_base(of_arm, base, name, margin),
        }
    trained = of_arm.trained
    return {
        "label": of_arm.arm.label,
        "measures": measures,
        "forgetting_nats": trained.forgetting_nats if trained else None,
        "adapter": trained.adapter.name if trained else None,
        "speed": _speed(of_arm),
        "cost_per_thousand": per_thousand(of_arm, rates),
        "causes": of_arm.causes,
        "answers_made_now": of_arm.made,
    }


def _less_base(of_arm: ArmResult, base: ArmResult | None, name: str, margin: float) -> dict[str, Any] | None:
    """Return the paired difference from the base, over the questions for which both have the measure."""
    if base is None or name not in base.table:
        return None
    first, second = base.table[name], of_arm.table[name]
    both = ~np.isnan(first) & ~np.isnan(second)
    if not both.any():
        return None
    clusters = of_arm.groups(both)
    found = difference(first[both], second[both], clusters, margin)
    return {"value": found.value, "interval": [found.low, found.high], "n": found.questions}


def _speed(of_arm: ArmResult) -> dict[str, float | None]:
    outputs = [one.output for one in of_arm.scored]
    asked = [output for output in outputs if output.new_tokens]
    peaks = [output.peak_mib for output in outputs if output.peak_mib is not None]
    total = of_arm.seconds()
    return {
        "total_s_p50": float(np.median(total)),
        "total_s_p95": float(np.percentile(total, 95)),
        "first_token_s_p50": float(np.median([output.first_token_s for output in asked])) if asked else None,
        "prompt_tokens_mean": float(np.mean([output.prompt_tokens for output in outputs])),
        "new_tokens_mean": float(np.mean([output.new_tokens for output in outputs])),
        "peak_memory_mib": max(peaks) if peaks else None,
    }


def per_thousand(of_arm: ArmResult, rates: Rates) -> dict[str, float | None]:
    """Return what a thousand questions cost, one after the other."""
    energies = [one.output.energy_j for one in of_arm.scored]
    known = [energy for energy in energies if energy is not None]
    energy_j = THOUSAND * float(np.mean(known)) if known and len(known) == len(energies) else None
    seconds = THOUSAND * float(of_arm.seconds().mean())
    return {"seconds": seconds, "energy_kwh": _kwh(energy_j), "money": money(seconds, energy_j, rates)}


def money(seconds: float, energy_j: float | None, rates: Rates) -> float | None:
    """Return what work costs; None where no rate is given, or the energy has one and is not known."""
    if not rates.machine_hour and not rates.kwh:
        return None
    if rates.kwh and energy_j is None:
        return None
    return seconds / S_PER_HOUR * rates.machine_hour + (energy_j or 0) / J_PER_KWH * rates.kwh


def building(seconds: float | None, energy_j: float | None, rates: Rates) -> dict[str, float | None]:
    """Return what was spent once: on indexing, or on a training."""
    spent = None if seconds is None else money(seconds, energy_j, rates)
    return {"seconds": seconds, "energy_kwh": _kwh(energy_j), "money": spent}


def _kwh(energy_j: float | None) -> float | None:
    return None if energy_j is None else energy_j / J_PER_KWH
