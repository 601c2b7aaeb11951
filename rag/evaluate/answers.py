"""
Measure answers: the same questions to the model alone, with retrieval, with an adapter, and with both.

Every arm answers every question, so that arms are compared question by question. Retrieval is measured apart
(:mod:`rag.evaluate.retrieval`); here it shows as the share of questions whose evidence was given to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.adapter_store import NO_ADAPTER
from models.prompt import abstains, without_markers
from models.squad import contains, f1, same
from rag.answer import last
from rag.evaluate.asked import Asked
from rag.knowledge_base import KnowledgeBase
from rag.types import Answer
from rag.workspace import Workspace

Arm = Literal["base", "retrieval", "adapter", "both"]

SUPPORTED = 0.5
"""A claim counts as supported if its quote holds this share of its words."""

SCOPE = "evaluation"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What one arm made of one question.

    Attributes:
        arm: which.
        asked: the question.
        answer: what came.
        scores: numbers in ``[0, 1]`` by name, only those that the question has; see :func:`score`.
    """

    arm: Arm
    asked: Asked
    answer: Answer
    scores: dict[str, float]

    @property
    def failed(self) -> bool:
        """Whether a person would call it wrong: an answer without the expected words, or one where there is none."""
        return not self.scores.get("contains", self.scores.get("unanswerable_refused", 0.0))

    @property
    def cause(self) -> str:
        """Why it failed: the evidence was not found, it was found and not used, or nothing should have been said."""
        if not self.failed:
            return ""
        if not self.asked.is_answerable:
            return "answered a question that has no answer"
        if self.scores.get("found") == 0:
            return "evidence not found"
        if not self.scores["answerable_answered"]:
            return "declined a question that has an answer"
        return "evidence found, answer wrong" if "found" in self.scores else "answer wrong"


def run(
    workspace: Workspace,
    base: KnowledgeBase,
    asked: Sequence[Asked],
    adapter: str | None,
    arms: Sequence[Arm],
    track: Callable[[Iterable[Asked]], Iterable[Asked]],
) -> list[Outcome]:
    """
    Put every question to every arm, arm by arm in turns, so that no arm has the quieter minutes.

    Args:
        workspace: its model answers.
        base: the collection.
        asked: the questions.
        adapter: for the arms that have one; needed by ``adapter`` and ``both``.
        arms: which.
        track: passes questions on and shows how far it has come.

    Raises:
        ModelError: no adapter of that name.
    """
    outcomes = []
    for one in track(asked):
        for arm in arms:
            chosen = adapter if arm in ("adapter", "both") else NO_ADAPTER
            if arm in ("retrieval", "both"):
                answer = last(base.stream(one.text, adapter=chosen, scope=SCOPE))
            else:
                answer = last(workspace.chat(one.text, adapter=chosen, scope=SCOPE))
            outcomes.append(Outcome(arm, one, answer, score(answer, one)))
    return outcomes


def score(answer: Answer, asked: Asked) -> dict[str, float]:
    """
    Score an answer.

    Returns:
        For a question without an answer, ``unanswerable_refused``. For others ``em``, ``f1`` and ``contains`` (the
        best over the accepted wordings, markers left out) and ``answerable_answered``. With retrieval, ``found`` says
        whether a right document was given to the model; of answers that were given, ``citation_precision`` is the
        share of right documents among the cited ones, ``citation_recall`` whether one is cited, and ``supported`` the
        share of citations whose quote holds half of the claim's words.
    """
    refused = abstains(answer.text)
    if not asked.is_answerable:
        return {"unanswerable_refused": float(refused)}
    said = "" if refused else without_markers(answer.text)
    scores = {
        "em": max(same(said, wanted) for wanted in asked.answers),
        "f1": max(f1(said, wanted) for wanted in asked.answers),
        "contains": max(contains(said, wanted) for wanted in asked.answers),
        "answerable_answered": float(not refused),
    }
    if answer.collection is not None and asked.sources:
        scores["found"] = float(any(hit.source in asked.sources for hit in answer.hits))
        if not refused:
            right = [citation.source in asked.sources for citation in answer.citations]
            scores["citation_precision"] = sum(right) / len(right) if right else 0.0
            scores["citation_recall"] = float(any(right))
    if answer.collection is not None and not refused:
        backed = [citation.support >= SUPPORTED for citation in answer.citations]
        scores["supported"] = sum(backed) / len(backed) if backed else 0.0
    return scores


def row(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the line that ``--per-query`` writes."""
    answer, asked = outcome.answer, outcome.asked
    return {
        "query": asked.id,
        "arm": outcome.arm,
        "text": asked.text,
        "expected": list(asked.answers),
        "answer": answer.text,
        "metrics": outcome.scores,
        "cause": outcome.cause,
        "passages": [hit.source for hit in answer.hits],
        "citations": [{"source": one.source, "quote": one.quote, "support": one.support} for one in answer.citations],
        "refusal_probability": answer.refusal_probability,
        "likelihood": answer.likelihood,
        "best_similarity": max((hit.dense for hit in answer.hits), default=None),
        "first_token_s": answer.timings.first_token_s,
        "total_s": answer.timings.total_s,
        "prompt_tokens": answer.timings.prompt_tokens,
    }
