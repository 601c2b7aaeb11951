"""
The recommendation: what was measured, weighed by what is required, in plain sentences.

A winner must be shown to be better than the model as it is. Among ways that are not shown to differ, the one that
takes least to build and keep is advised; requirements (facts that change, seconds, budget) rule ways out first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from finetune.config import GateSettings
from scripts.decide.arms import BY_NAME, label
from scripts.decide.compare import Difference, Pair
from scripts.decide.config import Requirements
from scripts.decide.freshness import Freshness
from scripts.decide.limits import Limit
from scripts.decide.requirements import Prior

LITTLE = 0.5
"""Below this share of right answers the best way is not a good one."""

ALLOWED_FORGETTING = GateSettings().max_forgetting

Verdict = Literal["winner", "no difference shown", "nothing can be concluded"]


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
    """

    standings: Sequence[Standing]
    pairs: Mapping[Pair, Difference]
    limits: Sequence[Limit]
    requirements: Requirements
    prior: Prior
    freshness: Freshness | None
    margin: float


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
    forbidden = {name for limit in found.limits for name in limit.forbids}
    names = [one.name for one in found.standings]
    again = _again(found)
    if not names or all(name in forbidden for name in names):
        reasons = tuple(limit.sentence for limit in found.limits if limit.forbids)
        return Recommendation("nothing can be concluded", None, None, None, reasons, None, again)
    ruled_out = _ruled_out(found, forbidden)
    open_to = [one for one in found.standings if one.name not in ruled_out]
    sentences = [f"{label(name)} is ruled out: {reason}." for name, reason in ruled_out.items()]
    if not open_to:
        told = (*sentences, "No way that was measured meets the requirements; relax one, or try another model.")
        return Recommendation("nothing can be concluded", None, None, None, told, None, again)
    ranked = sorted(open_to, key=lambda one: (-one.right, _effort(one)))
    best = ranked[0]
    level = [one for one in ranked if one is best or not _between(found, one.name, best.name).is_shown]
    beating = [one for one in level if _beats_base(found, one.name)]
    advised = min(beating if _beats_base(found, best.name) and not _has_base(level) else level, key=_effort)
    others = [one for one in ranked if one is not advised]
    runner_up = others[0] if others else None
    if _is_winner(found, advised, ranked):
        verdict: Verdict = "winner"
        sentences = [*_why_winner(found, advised, runner_up), *sentences]
    else:
        verdict = "no difference shown"
        sentences = [*_why_none(found, advised, ranked), *sentences]
    return Recommendation(
        verdict,
        advised.name if verdict == "winner" else None,
        runner_up.name if runner_up else None,
        advised.name,
        (*sentences, *_beside(found, advised)),
        _more(found, advised, best, ranked),
        again,
    )


def _is_winner(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> bool:
    """Tell whether an arm is shown to beat the base, or, if it is the base, every other one."""
    if advised.name == "base" or not _has_base(found.standings):
        rivals = [one.name for one in ranked if one is not advised]
        return bool(rivals) and all(_better(found, advised.name, rival) for rival in rivals)
    return _better(found, advised.name, "base")


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
    return all(_better(found, name, other) for other in untrained)


def _why_winner(found: Evidence, winner: Standing, runner_up: Standing | None) -> list[str]:
    sentences = []
    if winner.name != "base" and _has_base(found.standings):
        sentences.append(_gain(found, winner.name, "base"))
    sentences.insert(0, f"Take {label(winner.name)}.")
    if runner_up is not None and runner_up.name != "base":
        shown = _better(found, winner.name, runner_up.name)
        sentences.append((_gain if shown else _open)(found, winner.name, runner_up.name))
        if not shown and _effort(winner) < _effort(runner_up):
            sentences.append(f"Of the two, {label(winner.name)} takes less to build and to keep.")
        elif not shown:
            sentences.append(f"{_capital(label(runner_up.name))} is not shown to beat the model as it is.")
    return sentences


def _why_none(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> list[str]:
    sentences = ["No difference shown."]
    best = next((one for one in ranked if one is not advised), None)
    if best is not None:
        sentences.append(_open(found, advised.name, best.name))
    else:
        only = _capital(label(advised.name))
        sentences.append(f"{only} is the only way left, and not shown to be better than the model as it is.")
    sentences.append(f"Until more questions show one, take what costs least: {label(advised.name)}.")
    return sentences


def _gain(found: Evidence, better: str, worse: str) -> str:
    """Say how much better one arm is."""
    pair = _between(found, worse, better)
    return (
        f"{_capital(label(better))} answers {100 * pair.value:.0f} of 100 more questions rightly than {label(worse)} "
        f"(95 % interval {100 * pair.low:.1f} to {100 * pair.high:.1f}, {pair.questions} questions, "
        f"{pair.documents} independent groups)."
    )


def _open(found: Evidence, one: str, other: str) -> str:
    """Say that two arms are not shown to differ."""
    pair = _between(found, one, other)
    between = f"between {label(one)} and {label(other)}"
    if pair.is_within(found.margin):
        return f"{_capital(between)} there is no difference of {100 * found.margin:.0f} points or more."
    if pair.needed == 0:
        return f"{_capital(between)} no question made a difference."
    if pair.value < 0:
        one, other, pair = other, one, _between(found, other, one)
    luck = f", which may be luck among {len(found.pairs)} comparisons" if pair.low > 0 else ""
    return (
        f"No difference shown {between}: {label(other)} answers {100 * pair.value:.0f} of 100 more questions rightly "
        f"(95 % interval {100 * pair.low:.1f} to {100 * pair.high:.1f}){luck}. To show one of "
        f"{100 * max(pair.value, found.margin):.0f} points, some {pair.needed} questions would be needed."
    )


def _beside(found: Evidence, advised: Standing) -> list[str]:
    """Say how good the choice is at all, what it costs, and whether it is what the requirements spoke for."""
    sentences = [f"{_capital(label(advised.name))} answers {100 * advised.right:.0f} of 100 questions rightly."]
    if advised.right < LITTLE:
        sentences.append("That is little: a larger model may gain more than any of these ways.")
    built = f"; building it took {advised.built_s:.0f} s" if advised.built_s else ""
    sentences.append(f"A thousand questions take it {1000 * advised.mean_s:.0f} s, one after the other{built}.")
    if advised.forgetting_nats is not None and advised.forgetting_nats > ALLOWED_FORGETTING:
        sentences.append(
            f"It forgets: general text became {advised.forgetting_nats:.2f} nats a token harder to predict, where "
            f"{ALLOWED_FORGETTING:g} are usually allowed. Use it for this task only, or train it more gently."
        )
    if found.freshness and advised.name in found.freshness.by_arm:
        fresh, edits = found.freshness.fresh(advised.name), len(found.freshness.by_arm[advised.name])
        sentences.append(f"After the documents were edited, it gave the new fact in {fresh} of {edits} cases.")
    way = "both" if advised.name == "grounded" else advised.name
    if way == found.prior.way:
        sentences.append("This is what the requirements spoke for.")
    else:
        expected = label(found.prior.way)
        sentences.append(f"The requirements spoke for {expected}; the measurement does not bear that out.")
    return sentences


def _more(found: Evidence, advised: Standing, best: Standing, ranked: Sequence[Standing]) -> int | None:
    """Return how many more questions would settle the closest open comparison."""
    rival = best if best is not advised else next((one for one in ranked if one is not advised), None)
    if rival is None:
        return None
    pair = _between(found, advised.name, rival.name)
    if pair.is_shown or pair.is_within(found.margin) or pair.needed == 0:
        return None
    return max(pair.needed - pair.questions, 0) or None


def _again(found: Evidence) -> tuple[str, ...]:
    wanted = found.requirements
    told = ["the base model or the embedder is exchanged", "questions come in that the test set does not know"]
    if wanted.changes != "never":
        told.append("a tenth of the documents has changed, or the replayed edits give old answers")
    if wanted.format:
        told.append("the required form changes")
    return tuple(told)


def _between(found: Evidence, one: str, other: str) -> Difference:
    """Return the second arm less the first, in whichever order they were compared."""
    if (one, other) in found.pairs:
        return found.pairs[one, other]
    pair = found.pairs[other, one]
    low, high = pair.narrow
    return Difference(
        -pair.value, -pair.high, -pair.low, (-high, -low), pair.p, pair.needed, pair.questions, pair.documents
    )


def _better(found: Evidence, one: str, other: str) -> bool:
    pair = _between(found, other, one)
    return pair.is_shown and pair.value > 0


def _beats_base(found: Evidence, name: str) -> bool:
    return name != "base" and _has_base(found.standings) and _better(found, name, "base")


def _has_base(standings: Sequence[Standing]) -> bool:
    return any(one.name == "base" for one in standings)


def _effort(one: Standing) -> int:
    return BY_NAME[one.name].effort


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
