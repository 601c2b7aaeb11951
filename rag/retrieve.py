"""
Find the passages for a question: nearest vectors and matching words, fused.

Fusion is the convex combination with theoretical min-max normalisation (Bruch, Gai, Ingber, arXiv 2210.11934): each
score is put between the lowest value that its scorer can give (-1 for the cosine, 0 for BM25) and the highest among
the candidates, then weighed. Every candidate gets both scores, also those that only one search brought in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np

from models.base import Embedder, InputError, Vectors
from rag.config import RetrievalSettings
from rag.index import CollectionIndex
from rag.store import Store
from rag.store.records import CollectionInfo, Ids
from rag.types import Hit, Scored

logger = logging.getLogger(__name__)

MAX_QUESTION_CHARACTERS = 20_000


def retrieve(
    question: str,
    k: int,
    *,
    store: Store,
    index: CollectionIndex,
    collection: CollectionInfo,
    embedder: Embedder,
    settings: RetrievalSettings,
    documents: Ids | None = None,
) -> list[Hit]:
    """
    Return the best passages of a collection for a question.

    Args:
        question: any text.
        k: how many passages, ``>= 1``; fewer come back when fewer may be read.
        store: where passages are read.
        index: the collection's indexes.
        collection: the collection.
        embedder: the one that made the collection's vectors.
        settings: how many candidates, and the weights.
        documents: rows of the documents that may be found; None for all. They restrict both searches, not their result.

    Returns:
        Hits, best first; equal scores are ordered by chunk row.

    Raises:
        InputError: the question is empty or longer than 20,000 characters.
    """
    if not question.strip():
        raise InputError("the question is empty.")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise InputError(f"the question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are read.")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise InputError("the question holds characters that are no text; type it again.") from error
    started = time.perf_counter()
    query = embedder.embed_query(question)
    embedded = time.perf_counter()
    scored = search(question, query, k, store=store, index=index, settings=settings, documents=documents)
    hits = store.passages.hits(scored, collection.name)
    logger.debug(
        "retrieved %d passages: embedding %.4f s, search %.4f s",
        len(hits),
        embedded - started,
        time.perf_counter() - embedded,
    )
    return hits


def search(
    question: str,
    query: Vectors,
    k: int,
    *,
    store: Store,
    index: CollectionIndex,
    settings: RetrievalSettings,
    documents: Ids | None = None,
) -> list[Scored]:
    """Return the best chunks for a question whose vector, shape ``(dim,)``, is known; see :func:`retrieve`."""
    now = index.current()
    allowed = now.allowed(documents)
    depth = max(k, settings.candidates)
    near, near_cosines = now.nearest(query, depth, allowed)
    matching, matching_scores = now.matching(question, depth, allowed)
    rows = np.union1d(near, matching)
    if not len(rows):
        return []
    cosines = _complete(rows, near, near_cosines, lambda missing: store.passages.vectors(missing, len(query)) @ query)
    words = _complete(rows, matching, matching_scores, lambda missing: now.lexical_scores(question, missing))
    fused = fuse(cosines, words, settings.dense_weight)
    order = np.lexsort((rows, -fused))[:k]
    return [Scored(int(rows[i]), float(fused[i]), float(cosines[i]), float(words[i])) for i in order]


def fuse(cosines: Vectors, words: Vectors, dense_weight: float) -> Vectors:
    """
    Combine two scores of the same candidates.

    Args:
        cosines: cosine similarities, shape ``(n,)``.
        words: BM25 scores, shape ``(n,)``.
        dense_weight: share of the first, in ``[0, 1]``.

    Returns:
        Fused scores in ``[0, 1]``, shape ``(n,)``.
    """
    dense = (cosines + 1) / max(float(cosines.max(initial=-1)) + 1, 1e-9)
    lexical = words / max(float(words.max(initial=0)), 1e-9)
    return dense_weight * dense + (1 - dense_weight) * lexical


def _complete(rows: Ids, found: Ids, scores: Vectors, score: Callable[[Ids], Vectors]) -> Vectors:
    """Return a score for each row: the one found, or the one that ``score`` computes for the rows not found."""
    complete = np.empty(len(rows), dtype=np.float32)
    complete[np.searchsorted(rows, found)] = scores
    missing = ~np.isin(rows, found, assume_unique=True)
    if missing.any():
        complete[missing] = score(rows[missing])
    return complete
