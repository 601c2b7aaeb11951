"""White space that runs down between columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rag.load.pdf_span import Span
from rag.load.pdf_tables import Item

Gutter = tuple[float, float]
"""From where to where it reaches across the page, in points."""

_MANY_ROWS = 5
_REACHING_OVER = 5
"""One in so many rows, and at least one of a few, may reach over a gutter: a header, or a remark."""


def gaps(items: Sequence[Item], width: float) -> list[Gutter]:
    """Return the white space between items, where it is wide enough."""
    found: list[Gutter] = []
    end = float("inf")
    for item in sorted(items, key=lambda item: item.left):
        if item.left - end >= width:
            found.append((end, item.left))
        end = item.right if end == float("inf") else max(end, item.right)
    return found


def narrowed(gutters: Sequence[Gutter], band: Sequence[Item], width: float) -> list[Gutter]:
    """Return what further items leave of gutters, where it is still wide enough."""
    kept = list(gutters)
    for item in band:
        kept = [
            part
            for start, end in kept
            for part in ((start, min(end, item.left)), (max(start, item.right), end))
            if part[1] - part[0] >= width
        ]
    return sorted(set(kept))


def lost(gutters: Sequence[Gutter], kept: Sequence[Gutter]) -> list[Gutter]:
    """Return the gutters of which nothing is kept."""
    return [(start, end) for start, end in gutters if not any(start <= a and b <= end for a, b in kept)]


def column_gaps(rows: Sequence[Sequence[Span]], width: float) -> list[Gutter]:
    """Return the white space between the columns of rows; headers and remarks may reach over some of it."""
    rows = [row for row in rows if len(row) > 1]
    allowed = max(len(rows) // _REACHING_OVER, int(len(rows) >= _MANY_ROWS))
    ends = sorted([(line.left, 1) for row in rows for line in row] + [(line.right, -1) for row in rows for line in row])
    found: list[Gutter] = []
    covered = 0
    for (x, change), (following, _) in pairwise(ends):
        covered += change
        if covered > allowed:
            continue
        if found and found[-1][1] == x:
            found[-1] = found[-1][0], following
        else:
            found.append((x, following))
    kept: list[Gutter] = []
    for gap in found:
        if gap[1] - gap[0] < width or not _is_beside(gap, rows):
            continue
        if kept and not _is_between(kept[-1][1], gap[0], rows):
            kept[-1] = max(kept[-1], gap, key=lambda gutter: gutter[1] - gutter[0])
        else:
            kept.append(gap)
    return kept


def _is_beside(gap: Gutter, rows: Sequence[Sequence[Span]]) -> bool:
    """Tell whether several rows, or all of them, have text on both sides of a gap."""
    left = sum(any(line.right <= gap[0] for line in row) for row in rows)
    right = sum(any(line.left >= gap[1] for line in row) for row in rows)
    return min(left, right) >= min(2, len(rows))


def _is_between(left: float, right: float, rows: Sequence[Sequence[Span]]) -> bool:
    """Tell whether in several rows, or all of them, text begins between one gap and the next."""
    within = sum(any(left <= line.left < right for line in row) for row in rows)
    return within >= min(2, len(rows))
