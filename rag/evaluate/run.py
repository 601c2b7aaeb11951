"""Put questions to a collection, and keep for each what was found, how good that is, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.base import InputError
from rag.evaluate.dataset import Judgements
from rag.evaluate.questions import Question, Target, rank_passages
from rag.evaluate.retrieval import DEPTH, score
from rag.evaluate.rows import Problems, Row, read_rows, write_rows
from rag.knowledge_base import KnowledgeBase
from rag.types import Hit

Ranking = list[tuple[str, float]]
"""Ids with scores, best first, each id once."""

DEEPER = 4
"""Each further search asks for so many times the chunks."""

SHOWN = 10
"""So many passages are asked for where a search is timed."""


@dataclass(frozen=True, slots=True)
class Result:
    """
    What came of one question.

    Attributes:
        query: the question's id.
        text: the question.
        scores: by measure, see :data:`rag.evaluate.retrieval.NAMES`.
        ranking: what was found, at most 100.
        seconds: what a search for ten passages took, with embedding the question.
    """

    query: str
    text: str
    scores: Mapping[str, float]
    ranking: Ranking
    seconds: float


class _ResultRow(Row):
    query: str
    metrics: dict[str, float]
    arm: str | None = None


def run_dataset(base: KnowledgeBase, queries: Mapping[str, str], judgements: Judgements) -> list[Result]:
    """
    Rank documents; a document's place is that of its best chunk.

    Args:
        base: the collection.
        queries: text by id, at least one.
        judgements: grade by document source, by query.
    """
    results = []
    for query, text in queries.items():
        hits, seconds = _search(base, text, lambda hits: len({hit.source for hit in hits}))
        best = {hit.source: hit.score for hit in reversed(hits)}
        ranking = [(source, best[source]) for source in dict.fromkeys(hit.source for hit in hits)]
        results.append(_result(query, text, ranking, judgements[query], seconds))
    return results


def run_questions(
    base: KnowledgeBase, questions: Sequence[Question], targets: Mapping[str, Sequence[Target]]
) -> list[Result]:
    """
    Rank chunks, see :func:`rag.evaluate.questions.rank_passages`.

    Args:
        base: the collection.
        questions: at least one.
        targets: where the evidence stands, by question id.
    """
    results = []
    for question in questions:
        hits, seconds = _search(base, question.text, len)
        ranking, judgements = rank_passages(hits, targets[question.id])
        results.append(_result(question.id, question.text, ranking, judgements, seconds))
    return results


def write_results(path: Path, results: Sequence[Result]) -> None:
    """
    Write one line a question: ``query``, ``text``, ``metrics``, ``top`` (``id`` and ``score``), ``seconds``.

    Raises:
        InputError: the file cannot be written.
    """
    lines = [
        {
            "query": result.query,
            "text": result.text,
            "metrics": dict(result.scores),
            "top": [{"id": name, "score": score} for name, score in result.ranking],
            "seconds": result.seconds,
        }
        for result in results
    ]
    write_rows(path, lines)


def read_scores(path: Path, arm: str | None = None) -> dict[str, dict[str, float]]:
    """
    Return the measures by query of a file that ``--per-query`` wrote.

    Args:
        path: the file.
        arm: of measured answers, the only arm to read.

    Raises:
        InputError: lines are malformed or queries stand twice (every line is named), or there is none.
    """
    problems = Problems()
    scores: dict[str, dict[str, float]] = {}
    for line, row in read_rows(path, _ResultRow, problems):
        if arm is not None and row.arm != arm:
            continue
        if row.query in scores:
            hint = "; say which arm with --arms" if row.arm else ""
            problems.add(path, line, f"the query {row.query!r} is taken by an earlier line{hint}")
        scores[row.query] = row.metrics
    problems.raise_if_any()
    if not scores:
        of_it = "" if arm is None else f" of an arm {arm!r}"
        raise InputError(f"{path} holds no results{of_it}; write some with `python -m rag.evaluate … --per-query`.")
    return scores


def _search(base: KnowledgeBase, text: str, places: Callable[[list[Hit]], int]) -> tuple[list[Hit], float]:
    """
    Return chunks for 100 places, or all there are, and what a search takes.

    The first places are those of the collection's own settings; where they are too few, deeper ones add behind them.
    """
    started = time.perf_counter()
    base.search(text, SHOWN)
    seconds = time.perf_counter() - started
    width = base.settings.retrieval.candidates
    hits = base.rank(text, width)
    found, plain = len(hits), _without_reranking(base)
    while found >= width and places(hits) < DEPTH:
        width *= DEEPER
        deeper = plain.rank(text, width)
        known = {hit.chunk_id for hit in hits}
        hits, found = hits + [hit for hit in deeper if hit.chunk_id not in known], len(deeper)
    return hits, seconds


def _without_reranking(base: KnowledgeBase) -> KnowledgeBase:
    retrieval = base.settings.retrieval.model_copy(update={"rerank": 0})
    return base.with_settings(base.settings.model_copy(update={"retrieval": retrieval}))


def _result(query: str, text: str, ranking: Ranking, judgements: Mapping[str, int], seconds: float) -> Result:
    scores = score({query: [name for name, _ in ranking]}, {query: judgements})
    return Result(query, text, scores[query], ranking[:DEPTH], seconds)
