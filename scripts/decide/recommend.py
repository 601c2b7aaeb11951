"""
The recommendation: what was measured, weighed by what is required.

A winner must be shown to be better than the model as it is. Among ways that are not shown to differ, the one that
takes least to build and keep is advised; requirements (facts that change, seconds, budget) rule ways out first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.decide import reasons
from scripts.decide.arms import BY_NAME, label
from scripts.decide.evidence import Evidence, Standing
from scripts.decide.reasons import effort

Verdict = Literal["winner", "no difference shown", "nothing can be concluded"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """
    What is advised.

    Attributes:
        verdict: whether a winner is named.
        winner: the arm; None where none is named.
        runner_up: the next best; None where there is none.
        advised: the arm to take for the time being: the winner, or the simplest of those not shown to differ.
        sentences: why, for people.
        more_questions: how many more test questions would settle it; None where nothing is open.
        again: when to decide again.
    """

    verdict: Verdict
    winner: str | None
    runner_up: str | None
    advised: str | None
    sentences: tuple[str, ...]
    more_questions: int | None
    again: tuple[str, ...]


def recommend(found: Evidence) -> Recommendation:
    """Weigh what was measured."""
    forbidden = found.forbidden
    rivals = [one.name for one in found.standings if one.name != "base"]
    if not found.standings or "base" in forbidden or (rivals and forbidden.issuperset(rivals)):
        return _nothing(found, [limit.sentence for limit in found.limits if limit.forbids])
    ruled_out = _ruled_out(found, forbidden)
    open_to = [one for one in found.standings if one.name not in ruled_out]
    sentences = [f"{label(name)} is ruled out: {reason}." for name, reason in ruled_out.items()]
    if not open_to:
        return _nothing(
            found, [*sentences, "No way that was measured meets the requirements; relax one, or try another model."]
        )
    ranked = sorted(open_to, key=lambda one: (-one.right, effort(one)))
    best = ranked[0]
    level = [one for one in ranked if one is best or not found.between(one.name, best.name).is_shown]
    beating = [one for one in level if found.beats_base(one.name)]
    has_base = any(one.name == "base" for one in level)
    advised = min(beating if found.beats_base(best.name) and not has_base else level, key=effort)
    runner_up = next((one for one in ranked if one is not advised), None)
    wins = _is_winner(found, advised, ranked)
    why = reasons.of_winner(found, advised, runner_up) if wins else reasons.of_none(found, advised, ranked)
    return Recommendation(
        "winner" if wins else "no difference shown",
        advised.name if wins else None,
        runner_up.name if runner_up else None,
        advised.name,
        (*why, *sentences, *reasons.of_choice(found, advised, [one.name for one in open_to])),
        reasons.more_questions(found, advised, ranked),
        reasons.again(found),
    )


def _nothing(found: Evidence, why: Sequence[str]) -> Recommendation:
    return Recommendation("nothing can be concluded", None, None, None, tuple(why), None, reasons.again(found))


def _is_winner(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> bool:
    """Tell whether an arm is shown to beat the base, or, if it is the base, every other one."""
    if advised.name == "base" or not found.has_base:
        rivals = [one.name for one in ranked if one is not advised]
        return bool(rivals) and all(found.is_better(advised.name, rival) for rival in rivals)
    return found.is_better(advised.name, "base")


def _ruled_out(found: Evidence, forbidden: set[str]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    wanted = found.requirements
    measured = {one.name for one in found.standings}
    for one in found.standings:
        searches = BY_NAME[one.name].searches
        if one.name in forbidden:
            reasons[one.name] = "nothing can be concluded about it"
        elif wanted.latency_s is not None and one.p95_s > wanted.latency_s:
            reasons[one.name] = f"95 % of its answers take up to {one.p95_s:.2f} s; {wanted.latency_s:g} s are allowed"
        elif wanted.changes == "often" and found.freshness and found.freshness.stale(one.name):
            stale, edits = found.freshness.stale(one.name), len(found.freshness.by_arm[one.name])
            reasons[one.name] = f"after the documents changed it gave the old fact in {stale} of {edits} cases"
        elif wanted.changes == "often" and wanted.facts and not searches and "retrieval" in measured:
            reasons[one.name] = "the facts change often, and it does not read the documents"
        elif wanted.budget == "small" and BY_NAME[one.name].trained and not _worth_training(found, one.name):
            reasons[one.name] = "the budget is small, and training is not shown to gain anything over what needs none"
    return reasons


def _worth_training(found: Evidence, name: str) -> bool:
    untrained = [one.name for one in found.standings if BY_NAME[one.name].trained is None]
    return all(found.is_better(name, other) for other in untrained)
