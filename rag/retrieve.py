"""
Find the passages for a question: nearest vectors and matching words, ranked as one list, then merged.

Every candidate gets both scores, also those that only one search brought in. A chunk's vector says nothing of what its
document is about, so the similarity of the document's first chunk weighs in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from models.base import Embedder, InputError, Reranker, Vectors
from rag.config import RetrievalSettings
from rag.index import CollectionIndex
from rag.index.snapshot import Snapshot
from rag.merge import collapse, join
from rag.rank import fuse, smooth
from rag.store import Store
from rag.store.records import CollectionInfo, Ids
from rag.types import Filter, Hit, Scored

logger = logging.getLogger(__name__)

MAX_QUESTION_CHARACTERS = 20_000

_BESIDE = ThreadPoolExecutor(max_workers=4, thread_name_prefix="nearest")
"""Vectors are searched beside words; both searches leave Python's lock."""


def retrieve(
    question: str,
    k: int,
    *,
    store: Store,
    index: CollectionIndex,
    collection: CollectionInfo,
    embedder: Embedder,
    settings: RetrievalSettings,
    reranker: Reranker | None = None,
    where: Filter | None = None,
    readable: Ids | None = None,
) -> list[Hit]:
    """
    Return the best passages of a collection for a question.

    Args:
        question: any text.
        k: how many chunks, ``>= 1``; fewer passages come back when some follow each other, or fewer may be read.
        store: where passages are read.
        index: the collection's indexes.
        collection: the collection.
        embedder: the one that made the collection's vectors.
        settings: how many candidates, and the weights.
        reranker: reads the best passages again, if there is one.
        where: which documents may be found; it restricts both searches, not their result.
        readable: rows of the documents that the reader may read; what words weigh is counted over these. None for all.

    Returns:
        Hits, best first.

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
    documents = readable
    if where is not None:
        documents = store.documents.matching(collection.id, where)
        documents = documents if readable is None else np.intersect1d(documents, readable)
    scored = search(
        question, query, k, store=store, index=index, settings=settings, documents=documents, readable=readable
    )
    hits = collapse(_read(scored, k, store, collection), max(k, settings.rerank if reranker else 0))
    if reranker:
        hits = rerank(question, hits, settings.rerank, reranker)
    hits = join(hits[:k], store.passages.slice)
    logger.debug(
        "retrieved %d passages: embedding %.4f s, search %.4f s",
        len(hits),
        embedded - started,
        time.perf_counter() - embedded,
    )
    return hits


def rerank(question: str, hits: Sequence[Hit], depth: int, reranker: Reranker) -> list[Hit]:
    """
    Let a reranker order the best hits; its score is added to theirs, so that the others stay behind them.

    Args:
        question: any text.
        hits: best first.
        depth: how many of them it reads.
        reranker: the reranker.
    """
    read = hits[:depth]
    relevance = reranker.score(question, [hit.chunk.searched_text(hit.title) for hit in read]).tolist()
    scored = [
        replace(hit, score=hit.score + relevant, relevance=relevant)
        for hit, relevant in zip(read, relevance, strict=True)
    ]
    return [*sorted(scored, key=lambda hit: -hit.score), *hits[depth:]]


def _read(scored: list[Scored], k: int, store: Store, collection: CollectionInfo) -> Iterator[Hit]:
    """Yield hits, read from the store in blocks of ``k``, as far as they are asked for."""
    for start in range(0, len(scored), k):
        yield from store.passages.hits(scored[start : start + k], collection.name)


def search(
    question: str,
    query: Vectors,
    k: int,
    *,
    store: Store,
    index: CollectionIndex,
    settings: RetrievalSettings,
    documents: Ids | None = None,
    readable: Ids | None = None,
) -> list[Scored]:
    """
    Return the candidates for a question whose vector, shape ``(dim,)``, is known; see :func:`retrieve`.

    Returns:
        At least the best ``k``, best first; equal scores are ordered by chunk row.
    """
    now = index.current().for_reader(readable)
    allowed = now.allowed(documents)
    depth = max(k, settings.candidates)
    nearest = _BESIDE.submit(now.nearest, query, depth, allowed)
    matching, matching_scores = now.matching(question, depth, allowed)
    near, _ = nearest.result()
    rows = np.union1d(near, matching)
    if not len(rows):
        return []
    vectors = store.passages.vectors(rows, len(query))
    cosines = vectors @ query
    words = _complete(rows, matching, matching_scores, question, now)
    near_the_question = (1 - settings.opening_weight) * cosines + settings.opening_weight * _openings(
        rows, query, now, store
    )
    scores = smooth(fuse(near_the_question, words, settings.dense_weight), vectors, settings.smoothing)
    order = np.lexsort((rows, -scores))
    return [Scored(int(rows[i]), float(scores[i]), float(cosines[i]), float(words[i])) for i in order]


def _openings(rows: Ids, query: Vectors, now: Snapshot, store: Store) -> Vectors:
    """Return, for each chunk row, the cosine of its document's first chunk; shape ``(len(rows),)``."""
    openings, places = np.unique(now.openings(rows), return_inverse=True)
    cosines: Vectors = store.passages.vectors(openings, len(query)) @ query
    return cosines[places]


def _complete(rows: Ids, found: Ids, scores: Vectors, question: str, now: Snapshot) -> Vectors:
    """Return the BM25 score of each row: the one found, or computed now for the rows not found."""
    complete = np.empty(len(rows), dtype=np.float32)
    complete[np.searchsorted(rows, found)] = scores
    missing = ~np.isin(rows, found, assume_unique=True)
    if missing.any():
        complete[missing] = now.lexical_scores(question, rows[missing])
    return complete
