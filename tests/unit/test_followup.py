"""Follow-up questions, made whole for retrieval."""

import pytest

from models.base import Message
from rag.followup import MAX_CHARACTERS, in_place, questions_before, standalone
from rag.types import Chunk, Hit

FIRST = "How many days of leave do I get when my grandmother has died?"


def turns(*questions):
    return [turn for question in questions for turn in (Message("user", question), Message("assistant", "3 days [1]"))]


@pytest.mark.parametrize(
    "question",
    ["And my brother?", "What about a cousin?", "Do they have to be taken in one piece?", "Is it paid?", "Why?"],
)
def test_standalone_puts_a_follow_up_behind_the_question_it_follows(question):
    assert standalone(question, turns(FIRST)) == f"{FIRST} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How long must a password be for an administrator's account?",
        "A passenger left a mobile phone on board; for how long do we hold on to it?",
    ],
)
def test_standalone_leaves_a_question_that_is_understood_alone(question):
    assert standalone(question, turns(FIRST)) == question


def test_standalone_follows_a_chain_of_follow_ups():
    assert standalone("Is it paid?", turns(FIRST, "And my brother?")) == f"{FIRST} And my brother? Is it paid?"


def test_standalone_forgets_what_was_before_a_new_subject():
    other = "At what wind speed does the ferry Turnstone stay in harbour?"
    assert standalone("And the Dunlin?", turns(FIRST, other)) == f"{other} And the Dunlin?"


def test_standalone_reads_no_answers():
    history = [Message("system", "Be brief."), Message("assistant", "Hello, ask me about leave.")]
    assert standalone("And then?", history) == "And then?"


def test_standalone_of_an_endless_chain_stays_searchable():
    assert len(standalone("And more?", turns(FIRST, *["And this one?"] * 500))) == MAX_CHARACTERS


def hit(start, end, document=1):
    chunk = Chunk(start=start, end=end, text="x" * (end - start))
    return Hit(start, chunk, document, "a.md", "A", "default", 1.0, 1.0, 1.0)


def test_passages_that_are_held_keep_their_places_and_new_ones_follow():
    held = (hit(0, 10), hit(20, 40), hit(0, 10, document=2))
    assert in_place(held, [hit(20, 30), hit(50, 60)], 3) == (*held, hit(50, 60))
    assert in_place(held, [hit(0, 10), hit(20, 40)], 3) == held


def test_passages_begin_anew_with_another_subject_or_when_they_are_too_many():
    held = (hit(0, 10), hit(20, 40))
    other = [hit(0, 10, document=3), hit(15, 30)]
    assert in_place(held, other, 3) == tuple(other)
    too_many = [hit(0, 10), hit(50, 60), hit(70, 80), hit(90, 95)]
    assert in_place(held, too_many, 2) == tuple(too_many)
    assert in_place((), other, 3) == tuple(other)


def test_questions_before_are_the_last_ones_made_whole():
    history = turns(FIRST, "And my brother?", "Is it paid?")
    assert questions_before(history) == [f"{FIRST} And my brother?", f"{FIRST} And my brother? Is it paid?"]
    assert questions_before([]) == []
