"""Intervals, paired tests, and what they allow to say."""

import numpy as np
import pytest
from scipy import stats

from models.base import InputError
from rag.evaluate.compare import compare_runs
from rag.evaluate.statistics import compare, interval, questions_needed


def test_interval_is_that_of_the_normal_for_many_values() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.2, 400)
    low, high = interval(values.tolist())
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.003)


def test_interval_is_the_same_every_time() -> None:
    assert interval([0.0, 0.3, 1.0, 0.5]) == interval([0.0, 0.3, 1.0, 0.5])


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4, 0.4]])
def test_interval_of_equal_values_is_the_value(values: list[float]) -> None:
    assert interval(values) == pytest.approx((0.4, 0.4))


def test_compare_is_exact_for_few_questions() -> None:
    found = compare([0.0] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert found.p == pytest.approx(2 / 2**6)
    assert (found.first, found.second, found.value) == pytest.approx((0, 0.35, 0.35))
    assert found.is_shown
    assert compare([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.0] * 6).value == pytest.approx(-0.35)


def test_compare_pairs_the_questions() -> None:
    """A small gain on every question is shown, however much the questions differ."""
    before = np.linspace(0, 0.9, 40)
    assert compare(before.tolist(), (before + 0.01).tolist()).is_shown
    assert not stats.ttest_ind(before, before + 0.01).pvalue < 0.5


def test_compare_shows_nothing_in_noise_or_in_one_question() -> None:
    noise = np.random.default_rng(5).normal(0, 1, 60)
    assert not compare([0.0] * 60, (noise - noise.mean() + 0.01).tolist()).is_shown
    assert not compare([0.0], [1.0]).is_shown
    equal = compare([0.5] * 30, [0.5] * 30)
    assert (equal.value, equal.low, equal.high, equal.p, equal.needed) == (0, 0, 0, 1, 0)


def test_questions_needed_have_the_power_that_they_promise() -> None:
    rng = np.random.default_rng(7)
    sample = rng.normal(0, 0.4, 20_000)
    needed = questions_needed(sample - sample.mean() + 0.05)
    assert needed == pytest.approx((2.8 * 0.4 / 0.05) ** 2, rel=0.05)
    found = sum(stats.ttest_1samp(rng.normal(0.05, 0.4, needed), 0).pvalue < 0.05 for _ in range(1000))
    assert found / 1000 == pytest.approx(0.8, abs=0.05)


def scores(values: list[float], first: int = 0) -> dict[str, dict[str, float]]:
    return {f"q{number}": {"ndcg@10": value, "map": value / 2} for number, value in enumerate(values, start=first)}


def test_compare_runs_pairs_by_query_and_counts_the_others() -> None:
    compared = compare_runs(scores([0.1] * 40), scores([0.3] * 45, first=10))
    assert (compared.queries, compared.only_first, compared.only_second) == (30, 10, 15)
    assert compared.differences["map"].value == pytest.approx(0.1)
    assert compared.conclusion().startswith("The second is better: +0.200 ndcg@10")


def test_compare_runs_says_how_many_questions_it_would_take() -> None:
    noise = np.random.default_rng(5).normal(0, 0.3, 60)
    compared = compare_runs(scores([0.0] * 60), scores((noise - noise.mean() + 0.02).tolist()))
    assert compared.conclusion().startswith("No difference shown with 60 questions")
    assert f"about {compared.differences['ndcg@10'].needed:,} questions would be needed" in compared.conclusion()


def test_compare_runs_concludes_nothing_from_few_questions() -> None:
    assert "Nothing can be concluded from 12 questions" in compare_runs(scores([0] * 12), scores([1] * 12)).conclusion()


def test_compare_runs_draws_its_conclusion_from_the_measure_asked_for() -> None:
    first = {"q0": {"f1": 0.1}, "q1": {"unanswerable_refused": 1.0}}
    compared = compare_runs(first, {"q0": {"f1": 0.5}, "q1": {"unanswerable_refused": 1.0}}, "f1")
    assert (compared.queries, compared.primary) == (1, "f1")
    assert compared.differences["f1"].value == pytest.approx(0.4)
    with pytest.raises(InputError, match=r"no query with em in common \(measured: f1, unanswerable_refused\)"):
        compare_runs(first, first, "em")


@pytest.mark.parametrize("other", [scores([0.1], first=9), {"q0": {"map": 0.5}}])
def test_compare_runs_needs_the_same_queries_and_measures(other: dict[str, dict[str, float]]) -> None:
    with pytest.raises(InputError, match="--per-query FILE"):
        compare_runs(scores([0.1]), other)
