"""Which answers are given again, and to whom."""

from __future__ import annotations

from models.base import SamplingParams, Token
from models.repeats import MAX_ANSWERS, Repeats

SAID = (Token(7, "Yes", -0.1), Token(2, "", -0.2, "stop"))
GREEDY = SamplingParams(max_tokens=8)


def test_answer_is_given_again_only_to_the_same_request_of_the_same_scope() -> None:
    repeats = Repeats()
    repeats.keep(Repeats.request([1, 2], GREEDY, "me", ("terse", "a1")), SAID)
    assert repeats.find(Repeats.request([1, 2], GREEDY, "me", ("terse", "a1"))) == SAID
    for other in (
        Repeats.request([1, 3], GREEDY, "me", ("terse", "a1")),
        Repeats.request([1, 2], SamplingParams(max_tokens=9), "me", ("terse", "a1")),
        Repeats.request([1, 2], GREEDY, "you", ("terse", "a1")),
        Repeats.request([1, 2], GREEDY, None, ("terse", "a1")),
        Repeats.request([1, 2], GREEDY, "me", ("terse", "b2")),
    ):
        assert repeats.find(other) == ()


def test_answer_that_may_be_another_next_time_is_not_kept() -> None:
    repeats = Repeats()
    drawn = SamplingParams(temperature=1.0)
    repeats.keep(Repeats.request([1], drawn, "me", ()), SAID)
    assert repeats.find(Repeats.request([1], drawn, "me", ())) == ()
    seeded = Repeats.request([1], SamplingParams(temperature=1.0, seed=3), "me", ())
    repeats.keep(seeded, SAID)
    assert repeats.find(seeded) == SAID


def test_answers_used_longest_ago_go_first() -> None:
    repeats = Repeats()
    asked = [Repeats.request([number], GREEDY, "me", ()) for number in range(MAX_ANSWERS + 1)]
    for request in asked[:-1]:
        repeats.keep(request, SAID)
    repeats.find(asked[0])
    repeats.keep(asked[-1], SAID)
    assert [bool(repeats.find(request)) for request in (asked[0], asked[1], asked[-1])] == [True, False, True]
