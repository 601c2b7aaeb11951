"""
The order in which the parts of a PDF page are read: columns one after the other, tables row by row.

A page is cut into bands by the white space that runs across it, and neighbouring bands with the same white space
running down between them are taken together. What stands on both sides of that is either columns of prose, which are
read one after the other, or belongs together side by side: a table, or labels with their values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean, median

from rag.load.pdf_gutters import Gutter, column_gaps, gaps, lost, narrowed
from rag.load.pdf_lines import LIST_MARK, width_in_letters
from rag.load.pdf_rtl import is_right_to_left
from rag.load.pdf_span import Span
from rag.load.pdf_tables import Item, Table, aligned_table, rows_of

Row = list[Span]

_GUTTER = 0.6
"""White space this wide, in letter sizes, may keep columns apart."""
_SETTLED_ROWS = 3
"""White space beside so many rows is no accident."""
_MANY = 3
"""So many columns make a table, and a line that reaches over some others does not end it."""
_PROSE_LETTERS = 18
_PROSE_FILL = 0.55
_PROSE_LINES = 3
"""So many letters a line, filling so much of the column, over so many lines, are prose."""
_ALIGNED = 0.6
"""Share of the lines that have one beside them where columns are meant to be read across."""
_FEW = 0.3
"""A column with so few of the lines of its neighbours, which are prose, is beside them by chance."""
_SAME_BASELINE = 0.2
_NEAR = 2.5
"""Lines above columns belong to them if they are no further off than so many times a gutter's width."""
_LARGER = 1.1
_APART = 2.0
"""Rows of a table are at most so many times further apart than usual."""
_DEEPEST = 8
_MOST_ITEMS = 3_000
"""A page with more lines is a drawing or a trap; it is read from top to bottom."""


def arrange(items: Sequence[Item], depth: int = 0) -> Iterator[list[Row] | Table]:
    """
    Put the parts of a page into reading order.

    Args:
        items: lines and tables.
        depth: how many columns these items are inside of.

    Yields:
        Tables, and between them runs of rows that follow one another in one column.
    """
    if len(items) > _MOST_ITEMS:
        yield from _cut_at_tables(items)
        return
    size = median([item.size for item in items if isinstance(item, Span)] or [10.0])
    run: list[Row] = []
    for part in _parts(items, _GUTTER * size, depth):
        if isinstance(part, Table):
            if run:
                yield run
            yield part
            run = []
        else:
            run += part
    if run:
        yield run


def _parts(items: Sequence[Item], width: float, depth: int) -> Iterator[list[Row] | Table]:
    for group, gutters in _groups(_bands(items), width):
        columns = _columns(group, gutters)
        if len(columns) < 2 or depth >= _DEEPEST:
            yield from _cut_at_tables(group)
        elif _are_read_apart(columns):
            backwards = is_right_to_left("".join(item.text for item in group if isinstance(item, Span)))
            for column in reversed(columns) if backwards else columns:
                yield from arrange(column, depth + 1)
        else:
            for rows in _segments(rows_of(item for item in group if isinstance(item, Span))):
                yield aligned_table(rows, column_gaps(rows, width)) or rows


def _cut_at_tables(items: Sequence[Item]) -> Iterator[list[Row] | Table]:
    run: list[Span] = []
    for item in sorted(items, key=lambda item: item.top):
        if isinstance(item, Span):
            run.append(item)
            continue
        yield rows_of(run)
        run = []
        yield item
    yield rows_of(run)


def _bands(items: Sequence[Item]) -> list[list[Item]]:
    """Cut where white space runs all the way across."""
    bands: list[list[Item]] = []
    bottom = 0.0
    for item in sorted(items, key=lambda item: item.top):
        if bands and item.top < bottom:
            bands[-1].append(item)
            bottom = max(bottom, item.bottom)
        else:
            bands.append([item])
            bottom = item.bottom
    return bands


def _groups(bands: list[list[Item]], width: float) -> Iterator[tuple[list[Item], list[Gutter]]]:
    """Take neighbouring bands together as long as white space of a width runs down through all of them."""
    group: list[list[Item]] = []
    gutters: list[Gutter] = []
    for band in bands:
        own = gaps(band, width)
        if gutters:
            kept = narrowed(gutters, band, width)
            if len(band) == 1 and len(kept) >= _MANY:  # a remark between the rows of a table
                group.append(band)
                continue
            if kept and not any(_is_settled(gutter, group) for gutter in lost(gutters, kept)):
                group.append(band)
                gutters = kept
                continue
            tail = _cut_tail(group, band)
            yield [item for one in group for item in one], gutters
            group, gutters = tail, []
        if own:
            lead, own = _cut_lead(group, own, band, width)
            if group:
                yield [item for one in group for item in one], []
            group, gutters = [*lead, band], own
        else:
            group.append(band)
    if group:
        yield [item for one in group for item in one], gutters


def _is_settled(gutter: Gutter, group: list[list[Item]]) -> bool:
    """Tell whether enough rows of prose stand on both sides of a gutter."""
    items = [item for band in group for item in band]
    if mean(len(item.text) if isinstance(item, Span) else _PROSE_LETTERS for item in items) < _PROSE_LETTERS:
        return False
    left = {round(item.top) for item in items if item.right <= gutter[0] + 1}
    right = {round(item.top) for item in items if item.left >= gutter[1] - 1}
    return min(len(left), len(right)) >= _SETTLED_ROWS


def _cut_lead(
    group: list[list[Item]], gutters: list[Gutter], band: list[Item], width: float
) -> tuple[list[list[Item]], list[Gutter]]:
    """Take the last bands off a group that stand in one of the columns that begin below it."""
    lead: list[list[Item]] = []
    below = band
    while group:
        kept = narrowed(gutters, group[-1], width)
        if lost(gutters, kept) or _space(group[-1], below) > _NEAR * width:
            break
        below, gutters = group.pop(), kept
        lead.insert(0, below)
    return lead, gutters


def _cut_tail(group: list[list[Item]], band: list[Item]) -> list[list[Item]]:
    """Take a heading off the end of a group of columns: a line that stands closer to what follows."""
    if len(group) > 1 and len(group[-1]) == 1 and _space(group[-1], band) < _space(group[-2], group[-1]):
        return [group.pop()]
    return []


def _space(above: Sequence[Item], below: Sequence[Item]) -> float:
    return min(item.top for item in below) - max(item.bottom for item in above)


def _columns(items: Sequence[Item], gutters: Sequence[Gutter]) -> list[list[Item]]:
    """Sort items into the columns that gutters keep apart."""
    columns: list[list[Item]] = [[] for _ in range(len(gutters) + 1)]
    for item in items:
        middle = (item.left + item.right) / 2
        columns[sum((start + end) / 2 < middle for start, end in gutters)].append(item)
    return [column for column in columns if column]


def _are_read_apart(columns: Sequence[Sequence[Item]]) -> bool:
    """Tell columns that are read one after the other from those that are read across."""
    if any(isinstance(item, Table) for column in columns for item in column):
        return True
    lines = [[item for item in column if isinstance(item, Span)] for column in columns]
    short = [column for column in lines if not _is_prose(column)]
    if not short or sum(map(_is_list, lines)) > 1:
        return True
    return not any(_goes_with(column, [other for other in lines if other is not column]) for column in short)


def _goes_with(column: Sequence[Span], others: Sequence[Sequence[Span]]) -> bool:
    """Tell whether most lines of a column have one beside them: labels and values do, remarks in a margin do not."""
    if all(_is_prose(other) and len(column) < _FEW * len(other) for other in others):
        return False
    beside = [line for other in others for line in other]
    aligned = sum(any(_is_level(line, one) for one in beside) for line in column)
    return aligned >= _ALIGNED * len(column)


def _is_level(line: Span, other: Span) -> bool:
    return abs(line.baseline - other.baseline) <= _SAME_BASELINE * max(line.size, other.size)


def _is_prose(lines: Sequence[Span]) -> bool:
    if len(lines) < _PROSE_LINES:
        return False
    letters = mean(width_in_letters(line.text) for line in lines)
    width = max(line.right for line in lines) - min(line.left for line in lines)
    return letters >= _PROSE_LETTERS and mean(line.right - line.left for line in lines) >= _PROSE_FILL * width


def _is_list(lines: Sequence[Span]) -> bool:
    return 2 * sum(bool(LIST_MARK.match(line.text)) for line in lines) > len(lines)


def _segments(rows: list[Row]) -> Iterator[list[Row]]:
    """Cut rows where one stands out as a heading, and where they are far apart."""
    usual = median([below[0].baseline - above[0].baseline for above, below in pairwise(rows)] or [0.0])
    size = median(line.size for row in rows for line in row)
    labels = 2 * sum(row[0].bold for row in rows) > len(rows)
    segment: list[Row] = []
    for row in rows:
        heading = len(row) == 1 and ((row[0].bold and not labels) or row[0].size > _LARGER * size)
        far = segment and row[0].baseline - segment[-1][0].baseline > _APART * usual
        if segment and (heading or far):
            yield segment
            segment = []
        segment.append(row)
        if heading:
            yield segment
            segment = []
    if segment:
        yield segment
