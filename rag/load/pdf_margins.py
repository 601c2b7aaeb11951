"""
Running heads and feet: lines that come again in the margins of page after page.

They would stand in the middle of sentences that go on over the page, and every question would find them. The first of
each is kept, because it may name a case number or a version that stands nowhere else; bare page numbers are not.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from rag.load.pdf_span import Span
from rag.load.pdf_tables import rows_of

_MARGIN = 0.12
"""Share of the page's height, at its top and bottom, in which running heads stand."""
_SAME_PLACE_POINTS = 4.0
_PAGE_NUMBER = re.compile(r"^\d{1,5}\b|\b\d{1,5}$|\d{1,5}(?=\D{1,8}\d{1,5}$)")
"""A number at the beginning or the end of a line, or before the number of pages, as in "3 of 9"."""
_LARGEST = 1.35
"""Page numbers are not much larger than usual lines, in their terms; headings with a number ("Lesson 3") are."""
_MOST_LETTERS = 12
"""A line with a page number and no more letters, such as "Page 3 of 9", says nothing else."""
_TWICE, _OFTEN = 2, 3

Key = tuple[bool, int, str]
"""Whether a page number was taken out, the place in the margin, and the text."""


def without_repeats(pages: Sequence[Sequence[Span]], heights: Sequence[tuple[float, float]]) -> list[list[Span]]:
    """
    Leave out the lines that are repeated in the margins.

    Args:
        pages: lines by page.
        heights: where each page begins and ends, downwards, in the coordinates of its lines.
    """
    usual = median(line.size for page in pages for line in page) if any(pages) else 0.0
    margins = [_margins(page, *height) for page, height in zip(pages, heights, strict=True)]
    keys = [
        {id(line): list(_keys(line, number, heights[number][0], usual)) for line in [*head, *foot]}
        for number, (head, foot) in enumerate(margins)
    ]
    counts = Counter(key for page in keys for key in {key for held in page.values() for key in held})
    often = min(_OFTEN, max(_TWICE, len(pages) - 1))
    seen: set[Key] = set()
    kept: list[list[Span]] = []
    for page, (head, foot), page_keys in zip(pages, margins, keys, strict=True):
        repeated = {line: {key for key in held if counts[key] >= _TWICE} for line, held in page_keys.items()}
        surely = {key for held in repeated.values() for key in held if counts[key] >= often}
        outer = [*_outer(rows_of(head), repeated, surely), *_outer(rows_of(foot)[::-1], repeated, surely)]
        dropped = {line for line in outer if seen & repeated[line] or _is_page_number(repeated[line])}
        kept.append([line for line in page if id(line) not in dropped])
        seen.update(key for line in outer for key in repeated[line])
    return kept


def _margins(page: Sequence[Span], top: float, bottom: float) -> tuple[list[Span], list[Span]]:
    """Return the lines at the top and at the bottom of a page."""
    margin = _MARGIN * (bottom - top)
    head = [line for line in page if line.baseline <= top + margin]
    return head, [line for line in page if line.baseline >= bottom - margin and line.baseline > top + margin]


def _outer(inwards: list[list[Span]], repeated: Mapping[int, set[Key]], surely: set[Key]) -> Iterator[int]:
    """Yield the repeated lines between which and the page's edge there is nothing that is not repeated."""
    for row in inwards:
        found = [id(line) for line in row if repeated[id(line)]]
        if not any(repeated[line] & surely for line in found):
            break
        yield from found  # beside a page number, twice is enough: chapters may be short


def _keys(line: Span, page: int, top: float, usual: float) -> Iterator[Key]:
    """Yield what a line has in common with its like on other pages: its place, and its text but for the page number."""
    place = (line.baseline - top) / _SAME_PLACE_POINTS
    number = _PAGE_NUMBER.search(line.text) if line.size <= _LARGEST * usual else None
    for near in (2 * math.floor(place), 2 * math.floor(place + 0.5) + 1):  # what is near shares one of the two
        yield False, near, line.text
        if number:
            yield True, near, f"{line.text[: number.start()]}\0{int(number[0]) - page}\0{line.text[number.end() :]}"


def _is_page_number(keys: Iterable[Key]) -> bool:
    return any(numbered and sum(map(str.isalpha, text)) <= _MOST_LETTERS for numbered, _, text in keys)
