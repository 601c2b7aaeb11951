"""Headings of a PDF file: from its outline, else from letters that are larger or bolder than the text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from rag.load.pdf_prose import Paragraph
from rag.load.pdf_span import Span
from rag.load.text import one_line
from rag.types import Heading

_LOWEST_LEVEL = 6
_MOST_BOOKMARKS = 10_000
_LARGER = 1.12
"""Headings' letters are so many times the size of the text's, or bold."""
_SAME_SIZE = 0.95
_TITLE_LARGER = 1.2
_LONGEST = 150
_MOST_LINES = 3
_LEAST_LETTERS = 2
_TITLE_LETTERS = 4
_MOST_SHARE = 0.5
"""More of the text than this is not headings: such a style belongs to the text, as on slides."""
_NO_HEADING = re.compile(r".*[.,;]$|[•‣◦⁃∙●○■□▪▫*–—-]\s", re.DOTALL)


Style = tuple[float, bool]


class Placed(NamedTuple):
    """A paragraph, and the offset in the document's text at which it begins."""

    start: int
    paragraph: Paragraph


def outline_headings(
    document: pdfium.PdfDocument, text: str, page_starts: Sequence[int], placed: Sequence[Placed]
) -> list[Heading]:
    """
    Find the outline's titles in the text of the pages they point to; one that is not there is put where it points.

    Args:
        document: the file.
        text: the text of all pages.
        page_starts: offset at which each page begins.
        placed: the paragraphs of the text.
    """
    ends = [*page_starts[1:], len(text)]
    found: dict[Heading, None] = {}  # a set that keeps its order
    for _, bookmark in zip(range(_MOST_BOOKMARKS), document.get_toc(), strict=False):
        title = _title(bookmark)
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        if not title or page is None or page >= len(page_starts):
            continue
        start, end = page_starts[page], ends[page]
        words = r"\s+".join(map(re.escape, title.split()))
        match = re.compile(rf"^(?:\S{{1,12}}\s+){{,2}}{words}", re.IGNORECASE | re.MULTILINE).search(text, start, end)
        match = match or re.compile(words, re.IGNORECASE).search(text, start, end)
        if match:
            start = max(start, text.rfind("\n", start, match.start()) + 1)
        else:
            first, last = (bisect_left(placed, offset, key=lambda item: item.start) for offset in (start, end))
            start = _pointed_at(destination, placed[first:last], start)
        found[Heading(start, min(bookmark.level + 1, _LOWEST_LEVEL), title)] = None
    return sorted(found, key=lambda heading: (heading.start, heading.level))


def _pointed_at(destination: pdfium.PdfDest, placed: Sequence[Placed], start: int) -> int:
    """Return where the first paragraph begins that is not above the height which a bookmark points to."""
    view, position = destination.get_view()
    height = position[1] if view == pdfium_c.PDFDEST_VIEW_XYZ and len(position) > 1 else None
    if height is None or not placed:
        return start
    return next((item.start for item in placed if item.paragraph.top >= -height), start)


def _title(bookmark: pdfium.PdfBookmark) -> str:
    try:
        return one_line(bookmark.get_title())
    except UnicodeDecodeError:
        return ""


def styled_headings(placed: Sequence[Placed], lines: Sequence[Span]) -> list[Heading]:
    """
    Find short paragraphs in letters that are larger or bolder than usual; the larger, the higher their level.

    Args:
        placed: the paragraphs of the text.
        lines: all lines, those of tables included.
    """
    styles = _usual_style([item.paragraph for item in placed]), _usual_style(lines)
    (small, large), bold = sorted(size for size, _ in styles), all(bold for _, bold in styles)
    found = [item for item in placed if _stands_out(item.paragraph, large, _LARGER * large if bold else small)]
    letters = sum(len(line.text) for line in lines)
    for kept in (found, [item for item in found if item.paragraph.size >= _LARGER * large]):
        if sum(len(item.paragraph.text) for item in kept) <= _MOST_SHARE * letters:
            levels = _levels([item.paragraph for item in kept])
            return [Heading(item.start, levels[_style(item.paragraph)], one_line(item.paragraph.text)) for item in kept]
    return []


def large_title(first_page: Sequence[Paragraph]) -> str:
    """Return what stands in the largest letters of a page, if they are larger than usual."""
    lines = [item for item in first_page if sum(map(str.isalpha, item.text)) >= _TITLE_LETTERS]
    if not lines:
        return ""
    largest = max(lines, key=lambda item: item.size)
    usual, _ = _usual_style(lines)
    return one_line(largest.text) if largest.size >= _TITLE_LARGER * usual else ""


def _usual_style(lines: Iterable[Span | Paragraph]) -> Style:
    """Return the size of most letters, in points, and whether most are bold."""
    sizes: Counter[float] = Counter()
    bold = letters = 0
    for item in lines:
        sizes[_rounded(item.size)] += len(item.text)
        letters += len(item.text)
        bold += len(item.text) * item.bold
    return max(sizes, key=lambda size: sizes[size], default=0.0), 2 * bold > letters


def _rounded(size: float) -> float:
    return round(2 * size) / 2


def _style(item: Paragraph) -> Style:
    return _rounded(item.size), item.bold


def _stands_out(item: Paragraph, usual: float, usual_bold: float) -> bool:
    """Tell whether a paragraph is short, and larger than usual or, from some size on, bold."""
    if item.is_row or item.lines > _MOST_LINES or len(item.text) > _LONGEST or _NO_HEADING.match(item.text):
        return False
    if sum(map(str.isalpha, item.text)) < _LEAST_LETTERS:
        return False
    return item.size >= _LARGER * usual or (item.bold and _rounded(item.size) >= usual_bold)


def _levels(headings: Sequence[Paragraph]) -> dict[Style, int]:
    """Give each style its level; sizes that differ little are one."""
    levels: dict[Style, int] = {}
    level, size = 0, float("inf")
    for style in sorted({_style(item) for item in headings}, reverse=True):
        if style[0] < _SAME_SIZE * size:
            level, size = level + 1, style[0]
        levels[style] = min(level, _LOWEST_LEVEL)
    return levels
