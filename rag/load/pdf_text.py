"""
The text of a PDF file, put together page by page.

Paragraphs and tables that go on on the next page are put together across it; where each page begins in the text stays
known.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import cached_property

from rag.load.pdf_headings import Placed
from rag.load.pdf_joining import joined
from rag.load.pdf_layout import arrange
from rag.load.pdf_margins import without_repeats
from rag.load.pdf_page import Page
from rag.load.pdf_prose import Paragraph, goes_on, paragraphs
from rag.load.pdf_span import SOFT_HYPHEN, Span
from rag.load.pdf_tables import Table, rows_of, ruled_tables, with_header_of, written

_WORD = re.compile(r"\w+(?:-\w+)*")
_PARAGRAPH_BREAK = "\n\n"


class PdfText:
    """
    Text that grows by pages.

    Args:
        pages: what is on them.
        until: ``time.monotonic()`` from which on pages are written line by line, and marked as plain.

    Attributes:
        page_starts: offset at which each page begins.
        placed: the paragraphs, in order.
    """

    def __init__(self, pages: Sequence[Page], until: float = float("inf")) -> None:
        self._pages = pages
        self.page_starts: list[int] = []
        self.placed: list[Placed] = []
        self._parts: list[str] = []
        self._length = 0
        self._last: Paragraph | Table | None = None
        self._is_page_open = True
        lines = without_repeats([page.lines for page in pages], [(page.top, page.bottom) for page in pages])
        slanted = without_repeats([page.others for page in pages], [(0.0, 0.0)] * len(pages))
        for page, kept, others in zip(pages, lines, slanted, strict=True):
            page.is_plain |= time.monotonic() > until
            self._write(page, kept, others)

    @property
    def first_page(self) -> list[Paragraph]:
        """The paragraphs that begin on the first page."""
        end = self.page_starts[1] if len(self.page_starts) > 1 else self._length + 1
        return [item.paragraph for item in self.placed if item.start < end]

    def __str__(self) -> str:
        return "".join(self._parts).replace(SOFT_HYPHEN, "-")

    def _write(self, page: Page, lines: list[Span], others: list[Span]) -> None:
        self._is_page_open = False
        if page.is_plain:
            self._write_lines(lines)
        else:
            self._write_arranged(page, lines, others)
        if not self._is_page_open:
            self.page_starts.append(self._length)

    def _write_lines(self, lines: list[Span]) -> None:
        if lines:
            self._append("\n".join(line.text for line in lines), _PARAGRAPH_BREAK)
            self._last = None

    def _write_arranged(self, page: Page, lines: list[Span], others: list[Span]) -> None:
        tables, rest = ruled_tables(lines, page.horizontal, page.vertical)
        for part in [*arrange([*tables, *rest]), rows_of(others)]:
            if isinstance(part, Table):
                self._write_table(part)
            else:
                for paragraph in paragraphs(part, self._is_word):
                    self._write_paragraph(paragraph)
        for comment in page.comments:
            self._append(comment, _PARAGRAPH_BREAK)
            self._last = None

    def _write_table(self, table: Table) -> None:
        if not self._is_page_open and isinstance(self._last, Table):
            table = with_header_of(self._last, table)
        self._append(written(table), _PARAGRAPH_BREAK)
        self._last = table

    def _write_paragraph(self, paragraph: Paragraph) -> None:
        last = self._last
        if not (isinstance(last, Paragraph) and goes_on(last, paragraph)):
            self.placed.append(Placed(self._append(paragraph.text, _PARAGRAPH_BREAK), paragraph))
            self._last = paragraph
            return
        rest = paragraph.text
        self._length -= len(last.text)
        last.text = joined(last.text, rest, self._is_word)
        last.lines, last.is_open = last.lines + paragraph.lines, paragraph.is_open
        self._length += len(last.text)
        self._parts[-1] = last.text
        if not self._is_page_open:
            self.page_starts.append(self._length - len(rest))
            self._is_page_open = True

    def _append(self, text: str, separator: str) -> int:
        """Put a text behind the others; return the offset at which it begins."""
        if self._parts:
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        if not self._is_page_open:
            self.page_starts.append(start)
            self._is_page_open = True
        self._parts.append(text)
        self._length += len(text)
        return start

    def _is_word(self, word: str) -> bool:
        return word.lower() in self._words

    @cached_property
    def _words(self) -> set[str]:
        """The words of the document, but for those that a line's end may have divided."""
        words: set[str] = set()
        divided = False
        for line in (line for page in self._pages for line in page.lines):
            found = _WORD.findall(line.text.lower())
            ends_divided = line.text.endswith(("-", SOFT_HYPHEN))
            words.update(found[divided : len(found) - ends_divided])
            divided = ends_divided
        return words
