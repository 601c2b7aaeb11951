"""
How doubtful it is that passages hold an answer: what the model says, and how near the nearest of them is.

Both in log-odds: where one is undecided, the other decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rag.types import Hit

NEARNESS, USUAL = 5.0, 0.54
"""
How much a cosine counts beside the model's log-odds, and the one at which the model's word alone counts: chosen on 138
held-out questions with the default embedder and the shipped adapter, and checked on others.
"""

LEAST = 1e-9


def doubt(refusal_probability: float, hits: Sequence[Hit]) -> float:
    """
    Return how doubtful it is that there is an answer, in ``(0, 1)``.

    Args:
        refusal_probability: how likely the model finds it that the passages hold none.
        hits: the passages; without any, the model's word alone counts.
    """
    return _probability(_log_odds(refusal_probability) - _nearness(hits))


def refused_from(threshold: float, hits: Sequence[Hit]) -> float:
    """Return the model's probability at which the doubt about these passages reaches a threshold."""
    return _probability(_log_odds(threshold) + _nearness(hits))


def _nearness(hits: Sequence[Hit]) -> float:
    return NEARNESS * (max((hit.dense for hit in hits), default=USUAL) - USUAL)


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, LEAST), 1 - LEAST)
    return math.log(bounded / (1 - bounded))


def _probability(log_odds: float) -> float:
    return min(max(1 / (1 + math.exp(-log_odds)), LEAST), 1 - LEAST)
