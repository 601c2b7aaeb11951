"""The measures, against cases worked out by hand."""

from math import log2

import pytest

from rag.evaluate.retrieval import NAMES, means, score


def test_measures_are_those_of_the_textbook() -> None:
    ranking = ["x", "good", "y", "fair", *(f"z{number}" for number in range(20)), "late"]
    (row,) = score({"q": ranking}, {"q": {"good": 3, "fair": 1, "late": 2, "never": 1, "bad": 0}}).values()
    gained = 3 / log2(3) + 1 / log2(5)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4) + 1 / log2(5)
    assert row["ndcg@10"] == pytest.approx(gained / ideal, abs=1e-6)
    assert row["recall@10"] == pytest.approx(2 / 4)
    assert row["recall@100"] == pytest.approx(3 / 4)
    assert row["mrr@10"] == pytest.approx(1 / 2)
    assert row["map"] == pytest.approx((1 / 2 + 2 / 4 + 3 / 25) / 4)
    assert tuple(row) == NAMES


def test_mrr_looks_at_ten_places_only() -> None:
    ranking = [f"z{number}" for number in range(10)]
    assert score({"q": [*ranking, "good"]}, {"q": {"good": 1}})["q"]["mrr@10"] == 0
    assert score({"q": [*ranking[:9], "good"]}, {"q": {"good": 1}})["q"]["mrr@10"] == pytest.approx(0.1)


def test_query_without_a_ranking_scores_nothing() -> None:
    scores = score({"one": ["a"]}, {"one": {"a": 1}, "other": {"a": 1}})
    assert scores["one"] == dict.fromkeys(NAMES, 1.0)
    assert scores["other"] == dict.fromkeys(NAMES, 0.0)
    assert means(scores) == dict.fromkeys(NAMES, 0.5)


def test_places_behind_the_hundredth_are_not_read() -> None:
    ranking = [f"z{number}" for number in range(100)]
    assert score({"q": [*ranking, "good"]}, {"q": {"good": 1}})["q"] == dict.fromkeys(NAMES, 0.0)
