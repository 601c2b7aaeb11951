"""The table that is being read from Rich Text: its rows say anew each time where their cells end."""

from __future__ import annotations

from rag.load.aligned import Cell, aligned

_FAR_TWIPS = 1 << 20
"""Wider than a page."""


class RtfTable:
    """Gathers cells to rows, and rows to a table."""

    def __init__(self) -> None:
        self._edges: list[tuple[int, bool]] = []  # of the row's cells: where one ends, and if it continues that above
        self._continues = False
        self._row: list[str] = []
        self._rows: list[list[Cell]] = []

    def control(self, word: str, number: int) -> None:
        """Do what a control word says of the next row or cell."""
        if word == "trowd":
            self._edges = []
        elif word == "clvmrg":
            self._continues = True
        elif word == "cellx":
            self._edges.append((number, self._continues))
            self._continues = False
        elif word == "row":
            self._end_row()

    def add(self, text: str) -> None:
        """Add a cell."""
        self._row.append(text)

    def taken(self) -> list[list[str]]:
        """Return the rows, and begin a new table."""
        self._end_row()
        rows, self._rows = self._rows, []
        return aligned(rows)

    def _end_row(self) -> None:
        """End a row; cells of which it is not said where they end lie side by side behind the others."""
        further = range(len(self._edges), len(self._row))
        edges = [*self._edges, *((_FAR_TWIPS * (index + 1), False) for index in further)]
        if self._row:
            self._rows.append([Cell(text, *edge) for text, edge in zip(self._row, edges, strict=False)])
        self._row = []
