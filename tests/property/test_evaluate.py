"""Whatever the ranking: measures stay within bounds, follow their formula, and reward moving the right thing up."""

from itertools import pairwise
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.evaluate.questions import Evidence, Question, locate, rank_passages
from rag.evaluate.retrieval import score
from rag.evaluate.statistics import compare, interval
from rag.types import Chunk, Hit

names = st.lists(st.sampled_from([f"d{number}" for number in range(30)]), unique=True)
grades = st.dictionaries(st.sampled_from([f"d{number}" for number in range(30)]), st.integers(0, 3), min_size=1)


@settings(deadline=None, max_examples=200)
@given(ranking=names, judged=grades)
def test_ndcg_is_the_formula_and_all_measures_are_shares(ranking: list[str], judged: dict[str, int]) -> None:
    (row,) = score({"q": ranking}, {"q": judged | {"d0": 1}}).values()
    gains = [(judged | {"d0": 1}).get(name, 0) for name in ranking[:10]]
    ideal = sorted((judged | {"d0": 1}).values(), reverse=True)[:10]
    discounted = [sum(gain / log2(place + 2) for place, gain in enumerate(some)) for some in (gains, ideal)]
    assert row["ndcg@10"] == pytest.approx(discounted[0] / discounted[1], abs=1e-6)
    assert all(0 <= value <= 1 + 1e-9 for value in row.values())
    assert row["recall@10"] <= row["recall@100"]


@settings(deadline=None)
@given(ranking=names.filter(lambda found: len(found) > 1), place=st.integers(1, 29))
def test_moving_the_relevant_one_up_never_hurts(ranking: list[str], place: int) -> None:
    place = min(place, len(ranking) - 1)
    moved = [*ranking[: place - 1], ranking[place], ranking[place - 1], *ranking[place + 1 :]]
    judged = {"q": {ranking[place]: 1}}
    before, after = score({"q": ranking}, judged)["q"], score({"q": moved}, judged)["q"]
    assert all(after[name] >= before[name] for name in before)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_intervals_hold_the_mean_and_comparing_is_symmetric(pairs: list[tuple[float, float]]) -> None:
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    low, high = interval(first)
    assert low - 1e-9 <= sum(first) / len(first) <= high + 1e-9
    there, back = compare(first, second), compare(second, first)
    assert 0 < there.p <= 1
    assert there.value == pytest.approx(-back.value)
    assert there.p == pytest.approx(back.p, abs=0.02)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 40), st.data())
def test_some_chunk_of_any_cutting_holds_a_quote(length: int, size: int, data: st.DataObject) -> None:
    """So no way of cutting makes a question unanswerable."""
    text = "".join(chr(ord("a") + number % 26) + str(number) for number in range(length))
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    targets, _ = locate([Question("q", "?", (Evidence("s", quote),))], {"s": text}.get)
    cuts = [*range(0, len(text), size), len(text)]
    hits = [
        Hit(begin, Chunk(begin, end, text[begin:end]), 1, "s", "", "c", 1.0, 0.0, 0.0) for begin, end in pairwise(cuts)
    ]
    ranking, judgements = rank_passages(hits, targets["q"])
    assert [name for name, _ in ranking if name in judgements]
    assert len(judgements) == 1
