"""
Drawn lines to grids: which of them meet, and which cells they enclose.

A grid is taken apart along every line's position; neighbouring cells without a line between them are one cell that
spans several columns or rows. Lines at the outside may be missing, as they often are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rag.load.pdf_marks import SHORTEST_POINTS, Rule

_MEETING_POINTS = 3.0
"""Lines this close meet; borders are drawn as two lines, and lines end short of one another."""
_COVERED = 0.6
"""A line separates two cells if it runs along this much of their common side."""
_MOST_RULES = 1_000
_MOST_CELLS = 10_000


@dataclass(frozen=True, slots=True)
class Grid:
    """
    A grid of cells.

    Attributes:
        xs: where columns begin and end, ascending, in points.
        ys: where rows begin and end, downwards.
        cells: by row and column, the row and column of the upper left corner of the cell that covers the place.
    """

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]

    def at(self, x: float, y: float) -> tuple[int, int] | None:
        """Return the row and column of a point; None outside."""
        row, column = bisect_right(self.ys, y) - 1, bisect_right(self.xs, x) - 1
        if 0 <= row < len(self.cells) and 0 <= column < len(self.cells[0]):
            return self.cells[row][column]
        return None


def grids(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[Grid]:
    """Find the grids that drawn lines make; each has at least two columns and two rows."""
    across, down = _merged(horizontal), _merged(vertical)
    if len(across) < 2 or not down or max(len(across), len(down)) > _MOST_RULES:
        return []
    found = (_grid(*connected) for connected in _connected(across, down))
    return [grid for grid in found if grid]


def _merged(rules: Sequence[Rule]) -> list[Rule]:
    """Join the pieces of each line, and drop what is too short to bound a cell."""
    lines: list[list[Rule]] = []
    for rule in sorted(rules):
        if lines and rule.at - lines[-1][0].at <= _MEETING_POINTS:
            lines[-1].append(rule)
        else:
            lines.append([rule])
    return [rule for line in lines for rule in _pieces(line) if rule.end - rule.start >= SHORTEST_POINTS]


def _pieces(line: list[Rule]) -> Iterator[Rule]:
    at = sum(rule.at for rule in line) / len(line)
    start, end = float("nan"), float("-inf")
    for rule in sorted(line, key=lambda rule: rule.start):
        if rule.start > end + _MEETING_POINTS:
            if end > float("-inf"):
                yield Rule(at, start, end)
            start = rule.start
        end = max(end, rule.end)
    yield Rule(at, start, end)


def _connected(across: list[Rule], down: list[Rule]) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Group the lines that meet, directly or through others."""
    h, v = np.array(across), np.array(down)
    meet = (
        (v[:, 0] >= h[:, 1:2] - _MEETING_POINTS)
        & (v[:, 0] <= h[:, 2:3] + _MEETING_POINTS)
        & (h[:, 0:1] >= v[:, 1] - _MEETING_POINTS)
        & (h[:, 0:1] <= v[:, 2] + _MEETING_POINTS)
    )
    waiting = set(range(len(across)))
    while waiting:
        rows, columns = {waiting.pop()}, set[int]()
        while True:
            columns = set(np.flatnonzero(meet[sorted(rows)].any(axis=0)).tolist())
            reached = set(np.flatnonzero(meet[:, sorted(columns)].any(axis=1)).tolist()) | rows
            if reached == rows:
                break
            rows = reached
        waiting -= rows
        yield [across[i] for i in sorted(rows)], [down[i] for i in sorted(columns)]


def _grid(across: list[Rule], down: list[Rule]) -> Grid | None:
    if not down:
        return None
    xs = _bounds([rule.at for rule in down], [end for rule in across for end in rule[1:]])
    ys = _bounds([rule.at for rule in across], [end for rule in down for end in rule[1:]])
    columns, rows = len(xs) - 1, len(ys) - 1
    if columns < 2 or rows < 2 or columns * rows > _MOST_CELLS:
        return None
    beside = _separators(down, xs, ys)
    below = _separators(across, ys, xs)
    corner = {(row, column): (row, column) for row in range(rows) for column in range(columns)}
    for row, column in corner:
        if column and not beside[column][row]:
            _join(corner, (row, column - 1), (row, column))
        if row and not below[row][column]:
            _join(corner, (row - 1, column), (row, column))
    return Grid(xs, ys, tuple(tuple(_root(corner, (r, c)) for c in range(columns)) for r in range(rows)))


def _bounds(positions: list[float], ends: list[float]) -> tuple[float, ...]:
    """Return the positions of lines, and where the lines across them end if that is further out."""
    bounds: list[float] = []
    for position in sorted([*positions, min(ends), max(ends)]):
        if not bounds or position - bounds[-1] > _MEETING_POINTS:
            bounds.append(position)
    return tuple(bounds)


def _separators(rules: list[Rule], bounds: Sequence[float], sides: Sequence[float]) -> list[list[bool]]:
    """Tell for each bound, and each stretch along it, whether a line is drawn there."""
    drawn = [[0.0] * (len(sides) - 1) for _ in bounds]
    for rule in rules:
        nearest = min(range(len(bounds)), key=lambda i: abs(bounds[i] - rule.at))
        for i, (start, end) in enumerate(pairwise(sides)):
            drawn[nearest][i] += max(0.0, min(end, rule.end) - max(start, rule.start)) / (end - start)
    return [[share >= _COVERED for share in line] for line in drawn]


def _root(corner: dict[tuple[int, int], tuple[int, int]], cell: tuple[int, int]) -> tuple[int, int]:
    while corner[cell] != cell:
        cell = corner[cell]
    return cell


def _join(corner: dict[tuple[int, int], tuple[int, int]], first: tuple[int, int], second: tuple[int, int]) -> None:
    first, second = sorted((_root(corner, first), _root(corner, second)))
    corner[second] = first
