"""Rows of cells as a Markdown table: one line a row, so that a row that is found can be read on its own."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """
    Write a table; its first row becomes the header.

    Args:
        rows: the cells, row by row; short rows are filled up, line ends and bars in cells are made harmless.

    Returns:
        The table without a line end at its end; empty when all cells are.
    """
    width = max(map(len, rows), default=0)
    lines = [_line([*map(_cell, row), *[""] * (width - len(row))]) for row in rows if any(map(str.strip, row))]
    return "\n".join([lines[0], _line(["---"] * width), *lines[1:]]) if lines else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
