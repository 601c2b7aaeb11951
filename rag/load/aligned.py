"""Tables that say where each cell ends rather than how many columns it spans, as older word processors write them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

_SAME_TWIPS = 60
"""A millimetre: edges that differ by less are meant to be one."""
_MOST_COLUMNS = 200


class Cell(NamedTuple):
    """
    A cell.

    Attributes:
        text: what is in it.
        right: where its right edge is, in twips from any fixed place.
        continues: whether it goes on with the cell above.
    """

    text: str
    right: int
    continues: bool = False


def aligned(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """Return the texts with an empty one for each further column of a wide cell, and a high cell's in each row."""
    columns: list[int] = []
    for edge in sorted({cell.right for row in rows for cell in row}):
        if not columns or edge > columns[-1] + _SAME_TWIPS:
            columns.append(edge)
    if len(columns) > _MOST_COLUMNS:
        return [[cell.text for cell in row] for row in rows]
    above: list[str] = []
    lines = []
    for row in rows:
        line: list[str] = []
        for cell in row:
            start = len(line)
            text = above[start] if cell.continues and start < len(above) else cell.text
            line += [text, *[""] * (bisect_right(columns, cell.right) - 1 - start)]
        lines.append(line)
        above = line
    return lines
