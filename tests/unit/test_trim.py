"""Passages are shortened to whole sentences that hold the question's words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.trim import GAP, trim

PASSAGE = "The office opens at nine. Parking is free. A lost badge costs five pounds. Dogs stay outside. It is a rule."


def test_passages_that_fit_stay_whole() -> None:
    assert trim([PASSAGE, "Short."], "What does a badge cost?", 1000) == [PASSAGE, "Short."]


def test_sentences_with_the_questions_words_are_kept_in_order() -> None:
    (short,) = trim([PASSAGE], "What does a lost badge cost, and is parking free?", 60)
    assert short == "Parking is free. A lost badge costs five pounds."
    (gap,) = trim([PASSAGE], "Does the office take dogs?", 50)
    assert gap == f"The office opens at nine.{GAP}Dogs stay outside."


def test_every_passage_keeps_a_sentence_and_its_share() -> None:
    other = "Leave is granted in writing. Ask your head of department. Nobody else may grant it."
    first, second = trim([PASSAGE, other], "Who grants leave?", 90)
    assert second == "Leave is granted in writing."
    assert first
    assert len(first) < len(PASSAGE)
    assert trim(["One sentence that is far too long to be cut anywhere."], "x", 10) == [
        "One sentence that is far too long to be cut anywhere."
    ]


@given(text=st.text(alphabet="ab. \n", max_size=200), most=st.integers(1, 100))
def test_what_is_left_is_made_of_the_passage(text: str, most: int) -> None:
    (short,) = trim([text], "a b", most)
    assert all(part in text for part in short.split(GAP))
