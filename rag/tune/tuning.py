"""Tune one collection: try settings on copies of it, and keep what held-out questions show to be better."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.base import Embedder, InputError
from models.config import merge
from rag.config import Settings
from rag.evaluate.measure import question_warnings, text_reader
from rag.evaluate.questions import Question, locate
from rag.tune.candidates import Candidate, chunk_axes, described, retrieval_axes
from rag.tune.choose import Outcome, choose
from rag.tune.remember import RememberingEmbedder, searched_texts
from rag.tune.trials import Trial, Trials
from rag.workspace import Workspace

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tuned:
    """
    What became of a collection.

    Attributes:
        outcome: what was tried and found.
        own: the collection's own settings now.
        warnings: sentences on the questions.
    """

    outcome: Outcome
    own: dict[str, dict[str, Any]]
    warnings: list[str]


def tune_collection(
    settings: Settings, embedder: Embedder, questions: Sequence[Question], without: int, *, chunking: bool, say: Say
) -> Tuned:
    """
    Choose settings for the configured collection, and keep them if they are better than what it has.

    Args:
        settings: everybody's.
        embedder: the one that made the collection's vectors.
        questions: about the collection, at least two.
        without: questions that had no evidence.
        chunking: also try other ways of cutting, which have to be embedded.
        say: told what is done and what it will take.

    Raises:
        InputError: fewer than two questions, no such collection, or questions about other documents.
    """
    if len(questions) < 2:
        raise InputError("one question cannot be divided into two halves; write some more, twenty at least.")
    remembering = RememberingEmbedder(embedder)
    with _opened(settings, remembering) as (workspace, copies):
        base = workspace.collection(settings.collection)
        info = workspace.store.documents.collection(settings.collection)
        targets, lost = locate(questions, text_reader(base))
        default = Candidate(base.settings.chunk, base.settings.retrieval)
        characters = remembering.learn(workspace.store, info)
        speed = remembering.characters_per_second(searched_texts(workspace.store, info))
        axes = chunk_axes(remembering.max_tokens) if chunking else ()
        cuts = sum(len(list(axis.around(default))) for axis in axes)
        if cuts:
            say(f"Cutting {info.chunks} chunks in up to {cuts} other ways: at most {cuts * characters / speed:.0f} s.")
        trials = Trials(base, copies, remembering, speed, targets, (question.text for question in questions))
        outcome = choose(
            default,
            (*axes, *retrieval_axes(reranker=workspace.models.reranker is not None)),
            questions,
            _telling(trials, default, say),
        )
        own = dict(info.settings)
        if outcome.is_gain:
            changes = outcome.best.candidate.changes(default)
            own = merge(own, changes)
            workspace.store.documents.set_collection_settings(info.id, own)
            if "chunk" in changes:
                say("Cutting the collection's documents in the new way.")
                workspace.reembed(settings.collection)
    return Tuned(outcome, own, question_warnings(questions, without, lost))


@contextmanager
def _opened(settings: Settings, embedder: Embedder) -> Iterator[tuple[Workspace, Workspace]]:
    """Open the data directory, and an empty one that is thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        beside = settings.model_copy(update={"data_dir": Path(scratch)})
        with Workspace(settings, embedder=embedder) as workspace:
            reranker = workspace.models.reranker
            with Workspace(beside, embedder=embedder, reranker=reranker) as copies:
                yield workspace, copies


def _telling(trials: Trials, default: Candidate, say: Say) -> Callable[[Candidate, Sequence[Question]], Trial]:
    def attempt(candidate: Candidate, questions: Sequence[Question]) -> Trial:
        say(f"{len(questions)} questions, {described(candidate.changes(default))}")
        return trials.run(candidate, questions)

    return attempt
