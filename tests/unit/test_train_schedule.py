"""The order of the rows is decided before a run: fair, repeatable, and of like length within a step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.schedule import plan_steps


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=80),
    batch=st.integers(1, 9),
    epochs=st.sampled_from([0.5, 1.0, 2.0, 3.25]),
    seed=st.integers(0, 5),
)
def test_every_row_is_read_as_often_as_the_others(lengths: list[int], batch: int, epochs: float, seed: int) -> None:
    steps = plan_steps(lengths, batch, epochs=epochs, seed=seed)
    counts = Counter(row for step in steps for row in step)
    read = sum(counts.values())
    assert 0 <= read - epochs * len(lengths) < batch
    assert max(counts.values()) - min(counts[row] for row in range(len(lengths))) <= 1
    assert all(len(step) == batch for step in steps)
    assert steps == plan_steps(lengths, batch, epochs=epochs, seed=seed)


def test_steps_are_counted_and_filled_over_passes() -> None:
    steps = plan_steps([5] * 7, 3, steps=10)
    assert [len(step) for step in steps] == [3] * 10
    assert min(Counter(row for step in steps for row in step).values()) == 4


def test_only_a_step_between_two_passes_can_read_a_row_twice() -> None:
    steps = plan_steps([5] * 90, 8, epochs=4)
    assert sum(len(set(step)) < len(step) for step in steps) <= 3
    assert all(len(set(step)) == 8 for step in plan_steps([5] * 80, 8, epochs=4))


def test_rows_of_a_step_have_like_lengths_and_another_seed_another_order() -> None:
    lengths = np.random.default_rng(0).integers(10, 400, 2000).tolist()
    steps = plan_steps(lengths, 16, epochs=1, seed=0)
    padded = sum(max(lengths[row] for row in step) * len(step) for step in steps)
    assert padded < 1.1 * sum(lengths)
    assert steps != plan_steps(lengths, 16, epochs=1, seed=1)
    firsts = [lengths[step[0]] for step in steps]
    assert firsts != sorted(firsts)


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_rows_of_a_family_stay_together(sizes: list[int], seed: int) -> None:
    families = [name for name, size in enumerate(sizes) for _ in range(size)]
    lengths = np.random.default_rng(seed).integers(10, 400, len(families)).tolist()
    (order,) = plan_steps(lengths, len(families), epochs=1, seed=seed, families=families)
    met = [families[row] for row in order]
    assert sorted(order) == list(range(len(families)))
    assert len([name for name, before in zip(met, [None, *met], strict=False) if name != before]) == len(sizes)


@pytest.mark.parametrize("amount", [{}, {"steps": 1, "epochs": 1.0}])
def test_length_of_a_run_is_given_once(amount: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="either steps or epochs"):
        plan_steps([1], 1, **amount)  # type: ignore[arg-type] # pairs of these are what is tested
