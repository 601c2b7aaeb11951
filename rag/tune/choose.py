"""
Choose settings: climb on one half of the questions, then ask the other half whether the gain is real.

Only the second half decides. The best of many candidates on a few questions is partly luck, so its figure on the half
that chose it proves nothing (on five public sets, tuned settings kept 67 to 95 % of their gain on other questions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluate.compare import PRIMARY, Comparison, compare_runs
from rag.evaluate.questions import Question
from rag.tune.candidates import Axis, Candidate
from rag.tune.trials import Trial

SEED = 0

FEW = 20
"""From fewer questions than this nothing is concluded."""

Try = Callable[[Candidate, Sequence[Question]], Trial]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What tuning found.

    Attributes:
        trials: every candidate on the tuning half, in the order tried; the first is the default.
        best: the best of them.
        held_out: the default against the best on the other half.
        questions: of both halves.
    """

    trials: list[Trial]
    best: Trial
    held_out: Comparison
    questions: int

    @property
    def is_gain(self) -> bool:
        """Whether the best is better than the default by more than luck."""
        one = self.held_out.differences[PRIMARY]
        return self.questions >= FEW and one.is_shown and one.value > 0

    def conclusion(self) -> str:
        """Say in a sentence what may be concluded."""
        one, n = self.held_out.differences[PRIMARY], self.held_out.queries
        size = f"{one.value:+.3f} {PRIMARY} (95 % interval {one.low:+.3f} to {one.high:+.3f}, p = {one.p:.3f})"
        if self.questions < FEW:
            return f"Nothing can be concluded from {self.questions} questions, fewer than {FEW}; the default stays."
        if self.best is self.trials[0]:
            return f"Nothing was better than the default on {self.questions - n} questions; it stays."
        if self.is_gain:
            return f"The gain is there on {n} held-out questions too: {size}."
        if one.is_shown:
            return f"What was best on the other half is worse on {n} held-out questions: {size}; the default stays."
        needed = f" About {2 * one.needed:,} questions, half of them held out, would show a gain of that size."
        return f"No difference shown with {n} held-out questions: {size}; the default stays." + (
            needed if one.value > 0 else ""
        )


def halve(questions: Iterable[Question]) -> tuple[list[Question], list[Question]]:
    """Deal the questions into two halves, those that a program wrote evenly among them; the same way every time."""
    asked = list(questions)
    order = np.random.default_rng(SEED).permutation(len(asked)).tolist()
    shuffled = sorted((asked[number] for number in order), key=lambda question: question.synthetic)
    return shuffled[::2], shuffled[1::2]


def choose(default: Candidate, axes: Iterable[Axis], questions: Sequence[Question], attempt: Try) -> Outcome:
    """
    Change one setting after the other, each time keeping the best value, then test the result.

    Args:
        default: where to begin, and what the result is compared with.
        axes: the settings, in the order in which they are changed.
        questions: at least two.
        attempt: measures a candidate on some questions.
    """
    tuning, held_out = halve(questions)
    best = attempt(default, tuning)
    trials = [best]
    for axis in axes:
        step = [attempt(candidate, tuning) for candidate in axis.around(best.candidate)]
        trials += step
        best = max([best, *step], key=lambda trial: trial.means[PRIMARY])  # of equals the first, which changes least
    before = attempt(default, held_out)
    after = before if best is trials[0] else attempt(best.candidate, held_out)
    return Outcome(trials, best, compare_runs(before.scores, after.scores), len(questions))
