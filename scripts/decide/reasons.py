"""Why a way is advised, what it costs and what is still open, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from finetune.config import GateSettings
from scripts.decide.arms import BY_NAME, label
from scripts.decide.evidence import Evidence, Standing

LITTLE = 0.5
"""Below this share of right answers the best way is not a good one."""

ALLOWED_FORGETTING = GateSettings().max_forgetting


def of_winner(found: Evidence, winner: Standing, runner_up: Standing | None) -> list[str]:
    """Say why a way was chosen, and what the next best one lacks."""
    sentences = [f"Take {label(winner.name)}."]
    if winner.name != "base" and found.has_base:
        sentences.append(_gain(found, winner.name, "base"))
    if runner_up is not None and runner_up.name != "base":
        shown = found.is_better(winner.name, runner_up.name)
        sentences.append((_gain if shown else _open)(found, winner.name, runner_up.name))
        if not shown:
            less = f"Of the two, {label(winner.name)} takes less to build and to keep."
            unproven = f"{capital(label(runner_up.name))} is not shown to beat the model as it is."
            sentences.append(less if effort(winner) < effort(runner_up) else unproven)
    return sentences


def of_none(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> list[str]:
    """Say what kept the measurement from showing a difference, and what to take meanwhile."""
    rival = open_rival(found, advised, ranked)
    if rival is not None:
        told = _open(found, advised.name, rival)
    else:
        told = f"{capital(label(advised.name))} is the only way left."
    return [
        "No difference shown.",
        told,
        f"Until more questions show one, take what costs least: {label(advised.name)}.",
    ]


def open_rival(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> str | None:
    """Return the best arm that the advised one is not told apart from, or the base; None where it is from all."""
    rivals = [one.name for one in ranked if one is not advised]
    if found.has_base and advised.name != "base" and "base" not in rivals:
        rivals.append("base")
    return next((name for name in rivals if not found.between(advised.name, name).is_shown), None)


def more_questions(found: Evidence, advised: Standing, ranked: Sequence[Standing]) -> int | None:
    """Return how many more questions would settle what is open; None where nothing is, or where that cannot be told."""
    rival = open_rival(found, advised, ranked)
    if rival is None:
        return None
    pair = found.between(advised.name, rival)
    if pair.is_within(found.margin) or pair.needed == 0:
        return None
    return max(pair.needed - pair.questions, 0) or None


def _gain(found: Evidence, better: str, worse: str) -> str:
    """Say how much better one arm is."""
    pair = found.between(worse, better)
    return (
        f"{capital(label(better))} {_more(found, pair.value)} than {label(worse)} (95 % interval {100 * pair.low:.1f} "
        f"to {100 * pair.high:.1f}, {pair.questions} questions, {pair.documents} independent groups)."
    )


def _open(found: Evidence, one: str, other: str) -> str:
    """Say that two arms are not shown to differ."""
    pair = found.between(one, other)
    between = f"between {label(one)} and {label(other)}"
    if pair.is_within(found.margin):
        return f"{capital(between)} there is no difference of {100 * found.margin:.0f} points or more."
    if pair.needed == 0:
        return f"{capital(between)} no question made a difference."
    if pair.value < 0:
        one, other, pair = other, one, found.between(other, one)
    luck = f", which may be luck among {len(found.pairs)} comparisons" if pair.low > 0 else ""
    told = (
        f"No difference shown {between}: {label(other)} {_more(found, pair.value)} "
        f"(95 % interval {100 * pair.low:.1f} to {100 * pair.high:.1f}){luck}."
    )
    if pair.needed <= pair.questions:
        return told
    points = 100 * max(pair.value, found.margin)
    return f"{told} To show one of {points:.0f} points, some {pair.needed} questions would be needed."


def _more(found: Evidence, value: float) -> str:
    if found.counts_points:
        return f"scores {100 * value:.0f} of 100 points more"
    return f"answers {100 * value:.0f} of 100 more questions rightly"


def of_choice(found: Evidence, advised: Standing, names: Sequence[str]) -> list[str]:
    """
    Say how good the choice is at all, what it costs, and whether it is what the requirements spoke for.

    Args:
        found: what was measured.
        advised: the choice.
        names: of the ways that nothing rules out.
    """
    scored = f"scores {100 * advised.right:.0f} of 100 points"
    right = scored if found.counts_points else f"answers {100 * advised.right:.0f} of 100 questions rightly"
    sentences = [f"{capital(label(advised.name))} {right}."]
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
    return [*sentences, _beside_the_prior(found, advised, names)]


def _beside_the_prior(found: Evidence, advised: Standing, names: Sequence[str]) -> str:
    expected = found.prior.way
    ways = ("both", "grounded") if expected == "both" else (expected,)
    if advised.name in ways:
        return "This is what the requirements spoke for."
    spoke = f"The requirements spoke for {label(expected)}"
    if not found.measured.intersection(ways):
        return f"{spoke}, which was not measured."
    left = [way for way in ways if way in names]
    if not left:
        return f"{spoke}, which is ruled out here."
    if all(found.is_better(advised.name, way) for way in left):
        return f"{spoke}; the measurement does not bear that out."
    return f"{spoke}, which is not shown to be better."


def again(found: Evidence) -> tuple[str, ...]:
    """Say when to decide again."""
    wanted = found.requirements
    told = ["the base model or the embedder is exchanged", "questions come in that the test set does not know"]
    if wanted.changes != "never":
        told.append("a tenth of the documents has changed, or the replayed edits give old answers")
    if wanted.format:
        told.append("the required form changes")
    return tuple(told)


def effort(one: Standing) -> int:
    """Return what an arm takes to build and keep."""
    return BY_NAME[one.name].effort


def capital(text: str) -> str:
    """Return a sentence's beginning."""
    return text[0].upper() + text[1:]
