"""
Tables of a PDF page: ruled ones from their drawn lines, others from columns that keep apart over several rows.

A grid of lines is not always a table (charts, forms and boxes around a page are drawn the same way), so what it holds
has to look like one; where it does not, its text is left to be read as lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median

from rag.load.pdf_grids import Grid, grids
from rag.load.pdf_joining import joined
from rag.load.pdf_marks import Rule
from rag.load.pdf_rtl import is_right_to_left
from rag.load.pdf_span import SOFT_HYPHEN, Span
from rag.load.tables import markdown_table

_OVER_EDGE_POINTS = 3.0
_SAME_EDGE_POINTS = 4.0
_ASTRAY = 0.15
"""Share of a table's lines that may reach over the edges of their cells."""
_MOST_CELL_LINES = 20
"""A cell with more lines is a page or a column in a frame."""
_LEAST_FILLED = 0.3
_LONG_CELL = 40
"""Letters that a cell of a table without lines holds on average at most."""
_LABELS = 0.6
"""Share of a column's cells that end in a colon where it holds labels."""
_SAME_ROW = 0.35
_CONTINUED = 0.8
"""A row so much closer to the one above than rows usually are goes on in the same cells."""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table where it stands; positions as in :class:`~rag.load.pdf_span.Span`.

    Attributes:
        rows: the cells' text; all rows are of one length.
        edges: where the columns are, for finding a table that goes on on the next page.
    """

    rows: list[list[str]]
    left: float
    right: float
    top: float
    bottom: float
    edges: tuple[float, ...] = ()


Item = Span | Table
"""What a page is made of."""


def ruled_tables(
    lines: Sequence[Span], horizontal: Sequence[Rule], vertical: Sequence[Rule]
) -> tuple[list[Table], list[Span]]:
    """Find the tables that drawn lines make; returned with the lines of text that are in none."""
    tables: list[Table] = []
    rest = list(lines)
    for grid in grids(horizontal, vertical):
        inside = [(cell, line) for line in rest if (cell := grid.at((line.left + line.right) / 2, _middle(line)))]
        cells: defaultdict[tuple[int, int], list[Span]] = defaultdict(list)
        for cell, line in inside:
            cells[cell].append(line)
        if _is_table(grid, cells):
            tables.append(_ruled_table(grid, cells))
            taken = {id(line) for _, line in inside}
            rest = [line for line in rest if id(line) not in taken]
    return tables, rest


def _middle(line: Span) -> float:
    return (line.top + line.bottom) / 2


def _is_table(grid: Grid, cells: dict[tuple[int, int], list[Span]]) -> bool:
    held = Counter(row for row, _ in cells)
    if sum(count > 1 for count in held.values()) < 2:
        return False
    if max(map(len, cells.values())) > _MOST_CELL_LINES:
        return False
    distinct = {cell for row in grid.cells for cell in row}
    if len(cells) < _LEAST_FILLED * len(distinct):
        return False
    extents = _extents(grid)
    lines = [(extents[cell], line) for cell, held in cells.items() for line in held]
    astray = sum(
        line.left < left - _OVER_EDGE_POINTS or line.right > right + _OVER_EDGE_POINTS for (left, right), line in lines
    )
    return astray <= _ASTRAY * len(lines)


def _extents(grid: Grid) -> dict[tuple[int, int], tuple[float, float]]:
    """Return from where to where each cell reaches."""
    extents: dict[tuple[int, int], tuple[float, float]] = {}
    for row in grid.cells:
        for column, cell in enumerate(row):
            left, right = extents.get(cell, (grid.xs[column], grid.xs[column + 1]))
            extents[cell] = min(left, grid.xs[column]), max(right, grid.xs[column + 1])
    return extents


def _ruled_table(grid: Grid, cells: dict[tuple[int, int], list[Span]]) -> Table:
    """Write out the cells; one that spans rows is repeated in each, so that each row says everything."""
    texts = {cell: _cell(lines) for cell, lines in cells.items()}
    rows = [[texts.get(cell, "") if column == cell[1] else "" for column, cell in enumerate(row)] for row in grid.cells]
    return Table(_tidied(rows), grid.xs[0], grid.xs[-1], grid.ys[0], grid.ys[-1], grid.xs)


def _cell(lines: Iterable[Span]) -> str:
    """Write the lines of one cell as one text."""
    text = ""
    for row in rows_of(lines):
        for line in row:
            text = joined(text, line.text) if text else line.text
    return text.replace(SOFT_HYPHEN, "-")


def rows_of(lines: Iterable[Span]) -> list[list[Span]]:
    """Group lines that stand side by side, from the top; those of a row are in reading order."""
    rows: list[list[Span]] = []
    for line in sorted(lines, key=lambda line: line.baseline):
        if rows and line.baseline - rows[-1][-1].baseline <= _SAME_ROW * max(line.size, rows[-1][-1].size):
            rows[-1].append(line)
        else:
            rows.append([line])
    for row in rows:
        row.sort(key=lambda line: line.left, reverse=is_right_to_left("".join(line.text for line in row)))
    return rows


def _tidied(rows: list[list[str]]) -> list[list[str]]:
    """Drop columns that are empty throughout; the first column is the one that is read first."""
    filled = [column for column in range(len(rows[0])) if any(row[column] for row in rows)]
    if is_right_to_left("".join(cell for row in rows for cell in row)):
        filled.reverse()
    return [[row[column] for column in filled] for row in rows if any(row)]


def aligned_table(rows: Sequence[Sequence[Span]], gutters: Sequence[tuple[float, float]]) -> Table | None:
    """
    Read rows whose columns keep apart as a table.

    Args:
        rows: lines of text side by side, from the top.
        gutters: the white space between the columns.

    Returns:
        The table; None where two columns, long texts or labels speak against one.
    """
    edges = [(start + end) / 2 for start, end in gutters]
    cells = [[[line for line in row if _column(line, edges) == c] for c in range(len(edges) + 1)] for row in rows]
    texts = [[_cell(cell) for cell in row] for row in cells]
    texts = _continued(texts, [mean(line.baseline for line in row) for row in rows])
    several = [row for row in texts if sum(map(bool, row)) > 1]
    held = [cell for row in texts for cell in row if cell]
    if len(several) < (2 if len(edges) > 1 else 3) or mean(map(len, held)) > _LONG_CELL:
        return None
    lines = [line for row in rows for line in row]
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    top, bottom = min(line.top for line in lines), max(line.bottom for line in lines)
    return Table(_tidied(texts), left, right, top, bottom, tuple(edges))


def _column(line: Span, edges: Sequence[float]) -> int:
    return sum(edge < line.left for edge in edges)


def _continued(texts: list[list[str]], baselines: list[float]) -> list[list[str]]:
    """Join rows that go on in the cells of the row above: they stand closer together than rows do."""
    steps = [below - above for above, below in pairwise(baselines)]
    usual = median(steps) if steps else 0.0
    rows = texts[:1]
    for row, step in zip(texts[1:], steps, strict=True):
        fits = all(above or not here for above, here in zip(rows[-1], row, strict=True))
        if step < _CONTINUED * usual and fits:
            rows[-1] = [f"{above} {here}".strip() for above, here in zip(rows[-1], row, strict=True)]
        else:
            rows.append(row)
    return rows


def with_header_of(before: Table, table: Table) -> Table:
    """Return a table with the header of the one that ended the page before, if it is the rest of that one."""
    header = before.rows[0]
    same = len(before.edges) == len(table.edges) and len(header) == len(table.rows[0])
    near = same and all(abs(a - b) <= _SAME_EDGE_POINTS for a, b in zip(before.edges, table.edges, strict=True))
    return replace(table, rows=[header, *table.rows]) if near and table.rows[0] != header else table


def written(table: Table) -> str:
    """Write a table as Markdown; labels with their values as lines instead, because no row of those is a header."""
    labels = [_is_labels([row[column] for row in table.rows]) for column in range(len(table.rows[0]))]
    if not labels[0] or all(labels):
        return markdown_table(table.rows)
    lines: list[str] = []
    for row in table.rows:
        labelled = False
        for cell, is_label in zip(row, labels, strict=True):
            if is_label:
                labelled = bool(cell)
            if cell and (is_label or not labelled):
                lines.append(cell)
            elif cell:
                lines[-1] += f" {cell}"
    return "\n".join(lines)


def _is_labels(cells: Sequence[str]) -> bool:
    held = [cell for cell in cells if cell]
    return sum(cell.endswith((":", "：")) for cell in held) > _LABELS * len(held)
