"""Calls of several threads made as one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from models.together import PATIENCE_S, Together

MANY = 6
Result = TypeVar("Result")


def doubled(batch: list[int]) -> list[int | Exception]:
    return [ValueError(f"{number} is negative") if number < 0 else 2 * number for number in batch]


def run(number: int, work: Callable[[int], Result]) -> list[Result]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, range(number)))


def test_together_gives_each_thread_its_own_result() -> None:
    batches: list[int] = []

    def work(batch: list[int]) -> list[int | Exception]:
        batches.append(len(batch))
        return doubled(batch)

    together = Together(work, MANY)
    all_there = threading.Barrier(MANY)

    def answer(number: int) -> int:
        with together.place():
            all_there.wait(10)
            return sum(together.do(number) for _ in range(20))

    assert run(MANY, answer) == [40 * number for number in range(MANY)]
    assert sum(batches) == 20 * MANY
    assert MANY in batches
    assert len(batches) < 20 * MANY


def test_together_does_not_wait_for_long_for_one_who_has_a_place_and_hands_nothing_in() -> None:
    together = Together(doubled, 2)
    with together.place(), together.place():
        assert together.do(3) == 6


def test_together_tells_a_failure_to_whom_it_concerns() -> None:
    together = Together(doubled, 2)
    ready = threading.Barrier(2)

    def answer(number: int) -> int:
        with together.place():
            ready.wait(10)
            return together.do(-1 if number == 0 else number)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(answer, 0), pool.submit(answer, 1)
    with pytest.raises(ValueError, match="-1 is negative"):
        first.result()
    assert second.result() == 2
    assert together.do(4) == 8


def test_together_brings_together_who_came_while_the_other_was_worked_for() -> None:
    batches: list[int] = []

    def slowly(batch: list[int]) -> list[int | Exception]:
        batches.append(len(batch))
        time.sleep(3 * PATIENCE_S)
        return doubled(batch)

    together = Together(slowly, 2)
    first_is_at_work = threading.Event()

    def answer(number: int) -> None:
        with together.place():
            if number == 1:
                first_is_at_work.wait(10)
            for _ in range(12):
                first_is_at_work.set()
                together.do(number)

    run(2, answer)
    assert batches.count(2) >= 4  # and not in turns, each alone


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt("out of memory")])
def test_together_tells_everybody_when_all_of_the_work_fails_and_goes_on(error: BaseException) -> None:
    def work(batch: list[int]) -> list[int]:
        if 0 in batch:
            raise error
        return batch

    together = Together(work, MANY)
    ready = threading.Barrier(MANY)

    def answer(number: int) -> str:
        with together.place():
            ready.wait(10)
            try:
                return str(together.do(number))
            except BaseException as told:
                return str(told)

    told = run(MANY, answer)
    assert told[0] == "out of memory"
    assert all(text in ("out of memory", str(number)) for number, text in enumerate(told))
    assert together.do(1) == 1


def test_place_is_waited_for_and_given_back() -> None:
    together = Together(doubled, 1)
    order: list[str] = []
    first = together.place()
    first.__enter__()

    def second() -> None:
        with together.place():
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    thread.join(0.1)
    order.append("first")
    first.__exit__(None, None, None)
    thread.join(10)
    assert order == ["first", "second"]
