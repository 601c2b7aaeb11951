"""
The measures of retrieval, as NIST's trec_eval computes them (through pytrec-eval-terrier).

nDCG takes the grades themselves as gains, as BEIR reports it; MRR looks at the first ten places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.base import HomegroundError

MEASURES = {"ndcg@10": "ndcg_cut_10", "recall@10": "recall_10", "recall@100": "recall_100", "map": "map"}
"""Our names, and trec_eval's."""

MRR = "mrr@10"
NAMES = ("ndcg@10", "recall@10", "recall@100", MRR, "map")
DEPTH = 100
"""Rankings are read up to here."""


def score(
    rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, float]]:
    """
    Score rankings.

    Args:
        rankings: ids, best first and each once, by query.
        judgements: grade by id, by query; every query has one above 0.

    Returns:
        Each of :data:`NAMES`, in ``[0, 1]``, by query; a query without a ranking has 0 everywhere.

    Raises:
        HomegroundError: trec_eval is not installed.
    """
    try:
        import pytrec_eval  # brings scipy, and has no ready-made package for Linux on ARM
    except ImportError as error:
        raise HomegroundError(
            "measuring retrieval needs trec_eval, which has no ready-made package for this machine; "
            "run `pip install pytrec-eval-terrier` where a C++ compiler is installed."
        ) from error

    def evaluate(depth: int, measures: set[str]) -> dict[str, dict[str, float]]:
        # trec_eval sorts by score, so the place is the score: equal scores keep the order that the product gave them.
        runs = {
            query: {name: float(depth - place) for place, name in enumerate(rankings.get(query, ())[:depth])}
            for query in judgements
        }
        evaluator = pytrec_eval.RelevanceEvaluator(
            {query: dict(grades) for query, grades in judgements.items()}, measures
        )
        found: dict[str, dict[str, float]] = evaluator.evaluate(runs)
        return found

    deep = evaluate(DEPTH, set(MEASURES.values()))
    near = evaluate(10, {"recip_rank"})
    scores = {}
    for query in judgements:
        row = {name: deep[query][theirs] for name, theirs in MEASURES.items()} | {MRR: near[query]["recip_rank"]}
        scores[query] = {name: row[name] for name in NAMES}
    return scores


def means(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over the queries, in the order of :data:`NAMES`."""
    return {name: sum(row[name] for row in scores.values()) / len(scores) for name in NAMES}
