"""One PDF page, measured: lines of text, lines that are drawn, what was put on it later, and whether it is a scan."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field

import pypdfium2 as pdfium

from rag.load.pdf_lines import lines
from rag.load.pdf_marks import Rule, read_marks
from rag.load.pdf_notes import read_notes
from rag.load.pdf_span import Span, turned
from rag.load.pdf_words import read_words
from rag.load.text import clean

_SCAN_SHARE = 0.5
"""A picture that covers so much of a page may be a scan of it."""
_SCAN_LETTERS = 100
"""A scan with fewer letters on it has no text layer, only a stamp or a page number."""
_PICTURE_SHARE = 0.02
_OUTLINED_PATHS = 50
"""A page without text but with so many shapes may show letters drawn as shapes."""
_UNKNOWN_SHARE = 0.3
_MOST_LETTERS = 100_000
_LINE_END_HYPHEN = re.compile(r"[\x02\ufffe]\s*")
"""PDFium's marks for a hyphen at the end of a line; the lines around it are joined already."""


@dataclass(slots=True)
class Page:
    """
    What is on a page; positions as in :class:`~rag.load.pdf_span.Span`.

    Attributes:
        lines: text in the direction of most of the page's text.
        horizontal: lines drawn across the page.
        vertical: lines drawn down the page.
        others: text in other directions.
        comments: what was noted on the page.
        top: where the page begins.
        bottom: where it ends.
        is_picture: whether its text, or most of it, is only to be seen in a picture.
        is_plain: whether its lines are in the order of the file, and their places made up.
        is_unknown: whether the file does not say what most of its letters mean.
    """

    lines: list[Span] = field(default_factory=list)
    horizontal: list[Rule] = field(default_factory=list)
    vertical: list[Rule] = field(default_factory=list)
    others: list[Span] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    top: float = 0.0
    bottom: float = 0.0
    is_picture: bool = False
    is_plain: bool = False
    is_unknown: bool = False

    @property
    def letters(self) -> int:
        """Number of letters in the page's own direction."""
        return sum(len(line.text) for line in self.lines)


def read_page(document: pdfium.PdfDocument, index: int) -> Page:
    """
    Measure a page; one with more letters than any page has is only read.

    Args:
        document: the file; its form, if it has one, is initialised.
        index: of the page, from 0.

    Raises:
        pdfium.PdfiumError: the page is damaged.
    """
    with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
        if text_page.count_chars() > _MOST_LETTERS:
            return _plain(text_page.get_text_bounded())
        width, height = page.get_size()
        marks = read_marks(page.raw, width, height)
        found = read_words(text_page.raw, invisible=marks.picture_share >= _SCAN_SHARE)
        notes = read_notes(page.raw, document.formenv.raw if document.formenv else None, found.direction)
        left, bottom, right, top = page.get_bbox()
    horizontal, vertical = marks.rules(found.direction)
    corners = [turned(x, y, found.direction) for x in (left, right) for y in (bottom, top)]
    (left, top), (right, bottom) = map(min, zip(*corners, strict=True)), map(max, zip(*corners, strict=True))
    words = found.words.pop(found.direction, [])
    main = [
        word for word in words if left < word.right and word.left < right and top < word.bottom and word.top < bottom
    ]
    main += notes.spans
    letters = sum(len(word.text) for word in main)
    is_scan = marks.picture_share >= _SCAN_SHARE and letters < _SCAN_LETTERS
    shows = marks.picture_share >= _PICTURE_SHARE or marks.paths >= _OUTLINED_PATHS
    return Page(
        lines(main, vertical),
        horizontal,
        vertical,
        [line for words in found.words.values() for line in lines(words, [])],
        notes.comments,
        top,
        bottom,
        is_scan or (not letters and shows),
        is_unknown=found.unknown > _UNKNOWN_SHARE,
    )


def read_plain_page(document: pdfium.PdfDocument, index: int) -> Page:
    """
    Read a page's text without measuring it: its lines in the order of the file, in a fraction of the time.

    Raises:
        pdfium.PdfiumError: the page is damaged.
    """
    with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
        return _plain(text_page.get_text_bounded())


def _plain(text: str) -> Page:
    texts = filter(None, map(str.strip, clean(_LINE_END_HYPHEN.sub("-\n", text)).split("\n")))
    spans = [Span(line, 0.0, 5.0 * len(line), 12.0 * number, 10.0) for number, line in enumerate(texts, 1)]
    return Page(spans, bottom=12.0 * (len(spans) + 1), is_plain=True)
