"""
Which rows each optimiser step reads, decided for the whole run before it starts.

So a run that is resumed at step k reads exactly what the uninterrupted one would have read: the order is no state.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import pairwise

import numpy as np

WINDOW_STEPS = 32
"""
Rows of this many steps are sorted by length before they are cut into steps, so that a step holds rows of like length
and little padding; which rows come together, and the order of the steps, still change from pass to pass.
"""


def plan_steps(
    lengths: Sequence[int],
    batch_size: int,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    seed: int = 0,
    families: Sequence[Hashable] | None = None,
) -> list[list[int]]:
    """
    Return the rows of every step.

    Args:
        lengths: tokens of each row, at least one row.
        batch_size: rows per step.
        steps: number of steps, over as many passes as they take.
        epochs: number of passes instead; a fraction reads a part of the rows once more, and so does a last step that
            would have fewer rows than the others.
        seed: of the order.
        families: of each row; rows of a family stay together. None draws every row by itself.

    Raises:
        ValueError: neither or both of ``steps`` and ``epochs`` are given.
    """
    if (steps is None) == (epochs is None):
        raise ValueError("give either steps or epochs")
    steps = steps or max(1, math.ceil((epochs or 0) * len(lengths) / batch_size - 1e-9))
    wanted = steps * batch_size
    members: dict[Hashable, list[int]] = {}
    for row, family in enumerate(families or range(len(lengths))):
        members.setdefault(family, []).append(row)
    longest = [0] * len(lengths)
    for rows in members.values():
        most = max(lengths[row] for row in rows)
        for row in rows:
            longest[row] = most
    stream = np.fromiter(_passes(list(members.values()), seed), np.int64, wanted)
    planned: list[list[int]] = []
    for begin, end in pairwise(_windows(len(lengths), batch_size, wanted)):
        rows = sorted(stream[begin:end].tolist(), key=longest.__getitem__)
        cut = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
        planned += [cut[at] for at in np.random.default_rng([seed, begin]).permutation(len(cut))]
    return planned


def _windows(rows: int, batch_size: int, wanted: int) -> list[int]:
    """
    Return where windows begin and end in the stream of ``wanted`` rows.

    A step whose rows come from two passes is a window of its own, so that no other step reads a row twice.
    """
    edges = {0, wanted}
    for begin in range(0, wanted, rows):
        first, last = -(-begin // batch_size) * batch_size, (begin + rows) // batch_size * batch_size
        edges |= {*range(first, last, WINDOW_STEPS * batch_size), last}
    return sorted(edge for edge in edges if edge <= wanted)


def _passes(families: Sequence[Sequence[int]], seed: int) -> Iterator[int]:
    number = 0
    while True:
        for family in np.random.default_rng([seed, 0, number]).permutation(len(families)):
            yield from families[family]
        number += 1
