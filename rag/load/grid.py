"""Rows of cells without further structure, as sheets and CSV files hold them: what in them is a table, what text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rag.load.blocks import Blocks

Row = Sequence[str]

_NUMBER = re.compile(r"\W*([A-Z]{3}\s*)?\d[\d\W]*([^\W\d_]{1,3}\W*)?")
"""Digits with signs, a currency in front and a unit behind: also dates, amounts of money and percentages."""


def write_grid(rows: Sequence[Row], blocks: Blocks) -> None:
    """
    Write the rows of a sheet: tables with the headers above their columns, and the text between them.

    An empty row ends a table; what follows it belongs to the same table if it has numbers where a header would be.
    Rows with a single cell in front of a table are its title. Columns that are empty everywhere are left out.

    Args:
        rows: the cells, row by row, which need not be of the same length.
        blocks: where they are written.
    """
    table: list[Row] = []
    for group in _groups(rows):
        titles, body = _split_titles(group)
        if not titles and _continues(body, table):
            table += body
            continue
        _write_table(table, blocks)
        blocks.paragraph("\n".join("".join(row) for row in titles))
        *finished, table = _side_by_side(body)
        for other in finished:
            _write_table(other, blocks)
    _write_table(table, blocks)


def _write_table(rows: list[Row], blocks: Blocks) -> None:
    columns = sorted(_columns(rows))
    blocks.table([[row[index] if index < len(row) else "" for index in columns] for row in rows])


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut at empty rows."""
    group: list[Row] = []
    for row in rows:
        if any(map(str.strip, row)):
            group.append(row)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _split_titles(group: list[Row]) -> tuple[list[Row], list[Row]]:
    """Split the rows with a single cell off the beginning; a group that has only such rows is all text."""
    widths = [sum(bool(cell.strip()) for cell in row) for row in group]
    count = next((index for index, width in enumerate(widths) if width > 1), len(group))
    return group[:count], group[count:]


def _continues(body: list[Row], table: list[Row]) -> bool:
    """Tell whether rows begin with no header of their own, and lie under the columns of a table."""
    return bool(table) and not _is_header(body[0]) and _columns(body) <= _columns(table)


def _is_header(row: Row) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    return len(cells) > 1 and not any(map(_NUMBER.fullmatch, cells))


def _side_by_side(body: list[Row]) -> list[list[Row]]:
    """
    Cut at an empty column, where a header begins to its right and further down than what is to its left.

    Elsewhere an empty column is taken for space inside a table: numbers must not be parted from what they count.
    """
    columns = sorted(_columns(body))
    cuts, top = [0], 0
    for left, right in pairwise(columns):
        if right > left + 1:
            first = next(index for index, row in enumerate(body) if _columns([row[right:]]))
            if first > top and _is_header(body[first][right:]):
                cuts, top = [*cuts, right], first
    ends = [*cuts[1:], len(columns) and columns[-1] + 1]
    return [[[""] * start + list(row[start:end]) for row in body] for start, end in zip(cuts, ends, strict=True)]


def _columns(rows: Sequence[Row]) -> set[int]:
    return {index for row in rows for index, cell in enumerate(row) if cell.strip()}
