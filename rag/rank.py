"""
Ranking, as arithmetic over the candidates of one question: fuse two scores, then let similar passages back each other.

Fusion is the convex combination with theoretical min-max normalisation (Bruch, Gai, Ingber, arXiv 2210.11934): each
score is put between the lowest value that its scorer can give (-1 for the cosine, 0 for BM25) and the highest among
the candidates, then weighed. Smoothing is score regularisation (Diaz, CIKM 2005): passages with similar content answer
the same questions, so a passage whose neighbours score well is moved up, and one that stands out by chance, down.
"""

from __future__ import annotations

import numpy as np

from models.base import Vectors

POOL = 100
"""So many of the best candidates are smoothed; the others stay behind them."""

NEIGHBOURS = 15
SHARPNESS = 10.0
"""A neighbour whose cosine is lower by 0.1 counts less by a factor of e."""


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


def smooth(scores: Vectors, vectors: Vectors, share: float) -> Vectors:
    """
    Move the best candidates' scores towards those of their nearest neighbours among them.

    Args:
        scores: of the candidates, shape ``(n,)``.
        vectors: theirs, of unit length, shape ``(n, dim)``.
        share: of the neighbours' mean in the new score, in ``[0, 1]``.

    Returns:
        New scores, shape ``(n,)``; candidates outside of the pool keep theirs, which no one in it falls below.
    """
    pool = np.argsort(-scores, kind="stable")[:POOL]
    count = min(NEIGHBOURS, len(pool) - 1)
    if count < 1:
        return scores
    cosines = vectors[pool] @ vectors[pool].T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, nearest, axis=1)
    weights = np.exp(SHARPNESS * (near - near.max(axis=1, keepdims=True)))
    means = (scores[pool][nearest] * weights).sum(axis=1) / weights.sum(axis=1)
    smoothed = scores.copy()
    smoothed[pool] = (1 - share) * scores[pool] + share * means
    return smoothed
