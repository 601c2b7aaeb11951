"""Whether several systems did the same work: as many tokens read and written, and the evidence among what was read."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PROMPT_TOLERANCE = 0.15
"""Wordings and cuts differ; a median prompt this much longer or shorter than ours is another amount of work."""

EVIDENCE_TOLERANCE = 0.15
"""Share of the questions: what finds the evidence less often reads other passages."""

QUOTED_SHARE = 0.5
"""A passage holds a quote if it has at least this share of its words in a row of their own."""


@dataclass(frozen=True, slots=True)
class Answered:
    """
    What a system did for one question.

    Attributes:
        prompt_tokens: read by the model.
        new_tokens: written by it.
        has_evidence: whether the passages that it read hold what answers the question.
        first_token_s: from the question to the first piece of text.
        total_s: from the question to the last.
        processor_s: seconds that cores worked meanwhile; other work on the machine changes it little.
    """

    prompt_tokens: int
    new_tokens: int
    has_evidence: bool
    first_token_s: float
    total_s: float
    processor_s: float


def holds(passage: str, quote: str) -> bool:
    """Return whether a passage holds a quote, or the larger part of it if a cut went through."""
    words, quoted = _words(passage), _words(quote)
    text = " ".join(words)
    least = max(1, round(QUOTED_SHARE * len(quoted)))
    return f" {' '.join(quoted[:least])} " in f" {text} " or f" {' '.join(quoted[-least:])} " in f" {text} "


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def differences(systems: Mapping[str, Sequence[Answered]], reference: str, new_tokens: int) -> dict[str, list[str]]:
    """
    Tell in which way systems did other work than one of them.

    Args:
        systems: their answers to the same questions, by name.
        reference: what they are compared with.
        new_tokens: how many tokens every answer has.

    Returns:
        Sentences by system; a system without any did the same work.
    """
    tokens, found = _prompt(systems[reference]), _evidence(systems[reference])
    told: dict[str, list[str]] = {}
    for name, answers in systems.items():
        said = []
        if wrong := sum(answer.new_tokens != new_tokens for answer in answers):
            said.append(f"{wrong} of {len(answers)} answers have not {new_tokens} tokens")
        if abs(_prompt(answers) / tokens - 1) > PROMPT_TOLERANCE:
            said.append(f"its prompts have {_prompt(answers):.0f} tokens, {tokens:.0f} with {reference} (medians)")
        if found - _evidence(answers) > EVIDENCE_TOLERANCE:
            said.append(
                f"it reads the evidence for {_evidence(answers):.0%} of the questions, {reference} for {found:.0%}"
            )
        told[name] = said
    return told


def _prompt(answers: Sequence[Answered]) -> float:
    return statistics.median(answer.prompt_tokens for answer in answers)


def _evidence(answers: Iterable[Answered]) -> float:
    return statistics.fmean(answer.has_evidence for answer in answers)
