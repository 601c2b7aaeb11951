"""A document's text, put together block by block by the readers of formats that are no text themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rag.load.tables import markdown_table
from rag.load.text import clean, one_line
from rag.load.values import Extracted
from rag.types import Heading, MetadataValue

_INDENT = "  "
_TRAILING_SPACE = re.compile(r"[ \t]+(?=\n|\Z)")
_LOWEST_LEVEL = 6
_EXPONENT = re.compile(r"[-+−]?(\d+|[A-Za-z])")


class Blocks:
    """Collects headings, paragraphs, list items, tables and pages in their order; empty ones leave no trace."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._page_starts: list[int] = []
        self._begun_pages = 0  # pages that have no block yet
        self._section = ("", 0)  # the heading that the next block gets
        self._title = ""
        self._after_item = False

    def heading(self, text: str, level: int) -> None:
        """Add a heading; ``level`` counts from 1, and whatever lies below 6 becomes 6."""
        words = " ".join(clean(text).split())
        if words:
            self._section = ("", 0)
            start = self._emit(words)
            self._headings.append(Heading(start, max(1, min(level, _LOWEST_LEVEL)), one_line(words)))
            if level == 1:
                self._title = self._title or one_line(words)

    def section(self, name: str, level: int) -> None:
        """
        Begin a section that has a name rather than a title, such as a sheet, or a slide that only has a number.

        The name becomes a heading when the first block of the section comes; a heading takes its place. Without it the
        section would be taken to belong under the last heading before.
        """
        self._section = (name, level)

    def paragraph(self, text: str) -> None:
        """Add a paragraph; its own line breaks stay."""
        self._block(text)

    def item(self, text: str, depth: int = 0, marker: str = "-") -> None:
        """Add an item of a list that lies within ``depth`` others; items follow each other without a blank line."""
        outer = _INDENT * depth
        lines = _tidy(text).replace("\n", f"\n{outer}{_INDENT}")
        self._block(f"{outer}{marker} {lines}" if lines else "", item=True)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Add a table; its first row becomes the header."""
        self._block(markdown_table(rows))

    def inner_table(self, rows: Sequence[Sequence[str]]) -> None:
        """Add a table that stands in a cell of another in one line: commas between cells, semicolons between rows."""
        lines = (", ".join(filter(None, row)) for row in rows)
        self._block("; ".join(filter(None, lines)))

    def embed(self, document: Extracted, below: int) -> None:
        """Add a document's text whole; its headings go ``below`` levels down."""
        if text := document.text.rstrip():
            start = self._emit(text)
            self._headings += [
                Heading(start + heading.start, min(heading.level + below, _LOWEST_LEVEL), heading.title)
                for heading in document.headings
            ]

    def page(self) -> None:
        """Begin a page."""
        self._begun_pages += 1

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._parts)

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings so far."""
        return tuple(self._headings)

    def extracted(
        self,
        title: str = "",
        metadata: Mapping[str, MetadataValue] = MappingProxyType({}),
        warnings: tuple[str, ...] = (),
    ) -> Extracted:
        """Return the whole; without a title the first top heading is it."""
        return Extracted(self.text, title or self._title, self.headings, tuple(self._page_starts), metadata, warnings)

    def _block(self, text: str, item: bool = False) -> None:
        block = _tidy(text)
        if block:
            title = self._title
            self.heading(*self._section)
            self._title = title
            self._emit(block, item)

    def _emit(self, block: str, item: bool = False) -> int:
        """Put a block into the text, and return where it begins."""
        separator = "" if not self._parts else "\n" if item and self._after_item else "\n\n"
        start = self._length + len(separator)
        self._page_starts += [start] * self._begun_pages
        self._begun_pages = 0
        self._parts += (separator, block)
        self._length = start + len(block)
        self._after_item = item
        return start


def superscript(text: str) -> str:
    """Mark a raised number or letter: 10^6 must not become 106."""
    return f"^{text}" if _EXPONENT.fullmatch(text.strip()) else text


def _tidy(text: str) -> str:
    return _TRAILING_SPACE.sub("", clean(text)).strip("\n")
