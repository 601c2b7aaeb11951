"""Which earlier reading a prompt goes on from, and which it never may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models import prefix
from models.engine import Logits
from models.prefix import EVERYBODY, PrefixCache


class Reading:
    def read(self, ids: Sequence[int]) -> Logits:
        return np.zeros(1, np.float32)


def test_prefix_is_the_longest_of_the_same_scope_and_adapter() -> None:
    cache = PrefixCache()
    head, mine, longer, adapted = Reading(), Reading(), Reading(), Reading()
    cache.keep([1, 2], EVERYBODY, (), head)
    cache.keep([1, 2, 3, 9], "me", (), mine)
    cache.keep([1, 2, 3, 4, 9], "me", (), longer)
    cache.keep([1, 2, 3, 4, 5, 6], "me", ("terse",), adapted)
    assert cache.longest([1, 2, 3, 4, 5, 6, 7], "me", ()) == (longer, 4)
    assert cache.longest([1, 2, 3, 9, 9], "me", ()) == (mine, 4)
    assert cache.longest([1, 2, 3, 4, 5, 6, 7], "me", ("terse",)) == (adapted, 6)
    assert cache.longest([1, 2, 3, 4, 5, 6, 7], "you", ()) == (head, 2)
    assert cache.longest([1, 2, 3], "me", ("other",)) == (None, 0)
    assert cache.longest([7], "me", ()) == (None, 0)


def test_prefix_leaves_a_token_to_read() -> None:
    cache, reading = PrefixCache(), Reading()
    cache.keep([1, 2, 3], "me", (), reading)
    assert cache.longest([1, 2, 3], "me", ()) == (reading, 2)
    assert cache.longest([1], "me", ()) == (None, 0)


def test_reading_takes_the_place_of_the_one_that_it_continues() -> None:
    cache, short, long = PrefixCache(), Reading(), Reading()
    cache.keep([1, 2], EVERYBODY, (), short)
    cache.keep([1, 2], "me", (), short)
    cache.keep([1, 2, 3], "me", (), long)
    assert [kept.reading for kept in cache._kept] == [short, long]
    assert cache.longest([1, 2, 9], "me", ())[1] == 2


def test_reading_is_let_go_by_its_scope_and_as_a_whole_only() -> None:
    cache, head, mine = PrefixCache(), Reading(), Reading()
    cache.keep([1, 2], EVERYBODY, (), head)
    cache.keep([1, 2, 3], "me", (), mine)
    assert not cache.let_go(head, 2, EVERYBODY)
    assert not cache.let_go(head, 2, "me")
    assert not cache.let_go(mine, 2, "me")
    assert not cache.let_go(mine, 3, "you")
    assert not cache.let_go(Reading(), 3, "me")
    assert cache.longest([1, 2, 3, 4], "me", ()) == (mine, 3)
    assert cache.let_go(mine, 3, "me")
    assert cache.longest([1, 2, 3, 4], "me", ()) == (head, 2)


def test_readings_are_bounded_and_those_used_longest_ago_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "MAX_READINGS", 2)
    monkeypatch.setattr(prefix, "MAX_TOKENS", 5)
    cache, first, second, third = PrefixCache(), Reading(), Reading(), Reading()
    cache.keep([1, 1], "me", (), first)
    cache.keep([2, 2], "me", (), second)
    assert cache.longest([1, 1, 1], "me", ())[0] is first
    cache.keep([3, 3], "me", (), third)
    assert cache.longest([2, 2, 2], "me", ()) == (None, 0)
    assert cache.longest([1, 1, 1], "me", ())[0] is first
    cache.keep([4] * 4, "me", (), Reading())
    assert cache.longest([1, 1, 1], "me", ()) == (None, 0)
