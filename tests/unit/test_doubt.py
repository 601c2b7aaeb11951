"""How the model's word and the nearest passage make up the doubt that there is an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rag.doubt import USUAL, doubt, refused_from
from rag.types import Chunk, Hit

PROBABILITIES = some.floats(1e-4, 1 - 1e-4)


def near(cosine: float) -> list[Hit]:
    chunk = Chunk(0, 3, "Yes")
    return [Hit(row, chunk, row, "a.md", "A", "c", 1.0, dense, 1.0) for row, dense in ((1, -1.0), (2, cosine))]


def test_usual_passage_leaves_the_models_word_as_it_is() -> None:
    assert doubt(0.3, near(USUAL)) == pytest.approx(0.3)
    assert doubt(0.3, []) == pytest.approx(0.3)


def test_nearer_passage_is_less_doubtful_and_a_farther_one_more() -> None:
    assert doubt(0.5, near(0.9)) < 0.2 < doubt(0.5, near(USUAL)) < 0.8 < doubt(0.5, near(0.2))


def test_certainties_stay_probabilities() -> None:
    assert 0 < doubt(0.0, near(1.0)) < doubt(1.0, near(-1.0)) < 1
    assert 0 < refused_from(0.0, near(-1.0)) < refused_from(1.0, near(1.0)) < 1


@given(PROBABILITIES, PROBABILITIES, some.floats(-1, 1))
def test_question_is_declined_where_its_doubt_reaches_it(said: float, threshold: float, cosine: float) -> None:
    hits = near(cosine)
    if abs(doubt(said, hits) - threshold) > 1e-6:
        assert (said >= refused_from(threshold, hits)) == (doubt(said, hits) >= threshold)
