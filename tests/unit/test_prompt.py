"""Prompts fit their budget exactly, and give up the least important things first."""

import pytest

from models.base import InputError, Message
from models.prompt import Passage, fit, fit_plain, grounded, plain
from tests.fakes import ScriptedGenerator

count = ScriptedGenerator(["x"]).count_tokens
PASSAGES = [Passage(f"Title {number}", f"Passage number {number} has some words. " * 5) for number in (1, 2, 3)]
HISTORY = [Message("user", "An earlier question?"), Message("assistant", "An earlier answer.")]


def test_grounded_numbers_the_passages_and_puts_the_question_last() -> None:
    messages = grounded("Where?", PASSAGES)
    assert [message.role for message in messages] == ["system", "user"]
    content = messages[-1].content
    assert content.index("[1] Title 1") < content.index("[2] Title 2") < content.index("[3] Title 3")
    assert content.endswith("\n\nQuestion: Where?")


def test_grounded_begins_a_follow_up_like_the_question_before() -> None:
    (*before, asked), answer = grounded("Where?", PASSAGES), Message("assistant", "There [1].")
    *same, also_asked, also_answered, question = grounded("When?", PASSAGES, [Message("user", "Where?"), answer])
    assert (same, also_asked, also_answered) == (before, asked, answer)
    assert question == Message("user", "Question: When?")


def test_grounded_keeps_the_instructions_before_those_of_the_history() -> None:
    messages = grounded("Where?", PASSAGES, [Message("system", "Answer in rhyme."), *HISTORY])
    assert messages[0].content.endswith("Answer in rhyme.")
    assert messages[1].content.endswith(f"Question: {HISTORY[0].content}")
    assert messages[2] == HISTORY[1]


def test_plain_leaves_the_system_turn_of_the_history_alone() -> None:
    assert [message.role for message in plain("Where?")] == ["system", "user"]
    mine = Message("system", "Answer in rhyme.")
    assert plain("Where?", [mine]) == (mine, Message("user", "Where?"))


def test_fit_takes_everything_when_there_is_room() -> None:
    fitted = fit("Where?", PASSAGES, HISTORY, count, 10_000)
    assert fitted.messages == grounded("Where?", PASSAGES, HISTORY)
    assert fitted.passages == 3
    assert fitted.tokens == count(fitted.messages)


def test_fit_drops_the_worst_passage_first() -> None:
    budget = count(grounded("Where?", PASSAGES[:2], HISTORY))
    fitted = fit("Where?", PASSAGES, HISTORY, count, budget)
    assert (fitted.passages, fitted.tokens) == (2, budget)
    assert fit("Where?", PASSAGES, HISTORY, count, budget - 1).passages == 1


def test_fit_drops_the_oldest_turn_before_the_best_passage() -> None:
    budget = count(grounded("Where?", PASSAGES[:1], HISTORY)) - 1
    assert fit("Where?", PASSAGES, HISTORY, count, budget).messages == grounded("Where?", PASSAGES[:1], [])


def test_fit_cuts_the_only_passage_as_little_as_it_must() -> None:
    whole = count(grounded("Where?", PASSAGES[:1], []))
    fitted = fit("Where?", PASSAGES, [], count, whole - 4)
    assert fitted.passages == 1
    assert whole - 4 - 2 <= fitted.tokens <= whole - 4


def test_fit_refuses_a_question_that_is_too_long() -> None:
    with pytest.raises(InputError, match=r"the question needs \d+ tokens"):
        fit("word " * 500, PASSAGES, HISTORY, count, 200)


def test_fit_plain_refuses_a_question_that_is_too_long() -> None:
    with pytest.raises(InputError, match=r"the question needs \d+ tokens"):
        fit_plain("word " * 500, HISTORY, count, 200)


def test_fit_plain_drops_the_oldest_turns() -> None:
    longer = [Message("user", "The very first question?"), Message("assistant", "The very first answer."), *HISTORY]
    budget = count(plain("Where?", longer)) - 1
    assert fit_plain("Where?", longer, count, budget).messages == plain("Where?", HISTORY)


def test_fit_plain_keeps_the_instructions_of_the_caller() -> None:
    mine = Message("system", "Answer in rhyme.")
    budget = count(plain("Where?", [mine]))
    assert fit_plain("Where?", [mine, *HISTORY], count, budget).messages == plain("Where?", [mine])
