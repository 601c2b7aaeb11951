"""
From a tree of elements to plain text: blocks apart by blank lines, list items on lines, tables as Markdown tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import lxml.html
from lxml import etree

from rag.load.tables import markdown_table
from rag.load.text import clean, one_line
from rag.types import Heading

_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl"),
    *("dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"),
    *("html", "legend", "li", "main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td"),
    *("tfoot", "th", "thead", "tr", "ul"),
}
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = {"ul", "ol", "menu"}
_WHITE = re.compile(r"[ \t\n\r\f\xa0]+")
_INDENT = "  "
_MOST_COLUMNS = 200


class TextBuilder:
    """Writes elements one after the other; blocks that end close the paragraph that is being collected."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._inline: list[str] = []
        self._headings: list[Heading] = []
        self._lists: list[int] = []  # the number of the next item of each open list; 0 where items are not numbered
        self._marker = ""
        self._tight = False  # whether the next block goes on the next line, without a blank one between

    def write(self, root: lxml.html.HtmlElement) -> None:
        """Write an element and all that is in it."""
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                if self._start(element):
                    walk.skip_subtree()
                else:
                    self._add(element.text)
            else:
                self._end(element)
                self._add(element.tail if element is not root else "")
        self._flush()

    def result(self) -> tuple[str, tuple[Heading, ...]]:
        """Return the text and its headings."""
        return "".join(self._parts), tuple(self._headings)

    def _start(self, element: lxml.html.HtmlElement) -> bool:
        """Open an element; True if it has been written whole."""
        tag = element.tag
        if tag == "br":
            self._inline.append("\n")
        elif tag == "sup" and _WHITE.sub("", element.text or "")[:1].isalnum():
            self._inline.append("^")  # 10^6 must not become 106
        if tag not in _BLOCKS:
            return False
        self._flush()
        if tag == "pre":
            self._emit(_verbatim(element))
            return True
        if tag == "table" and (rows := _rows(element)):
            self._emit_caption(element)
            self._emit(markdown_table(rows))
            return True
        if tag in _LISTS:
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._open_item()
        elif tag == "dd":
            self._tight = True
        return False

    def _end(self, element: lxml.html.HtmlElement) -> None:
        tag = element.tag
        if tag not in _BLOCKS:
            return
        start = self._flush()
        if tag in _HEADINGS and start is not None:
            self._headings.append(Heading(start, _HEADINGS[tag], one_line(element.text_content())))
        if tag in _LISTS and self._lists:
            self._lists.pop()
            self._tight = bool(self._lists)
        elif tag == "li":
            self._marker = ""

    def _open_item(self) -> None:
        if not self._lists:
            self._lists.append(0)  # an item without a list, as careless pages have them
        number = self._lists[-1]
        self._marker = f"{number}. " if number else "- "
        self._lists[-1] = number + 1 if number else 0

    def _add(self, text: str | None) -> None:
        if text:
            self._inline.append(_WHITE.sub(" ", text))

    def _flush(self) -> int | None:
        """End the paragraph; return where it begins in the text, None if there was none."""
        lines = [_WHITE.sub(" ", line).strip() for line in "".join(self._inline).split("\n")]
        self._inline.clear()
        text = clean("\n".join(lines)).strip()
        return self._emit(text) if text else None

    def _emit(self, text: str) -> int | None:
        """Put a block into the text, indented as its list asks for."""
        if not text.strip():
            return None
        indent = ""
        if self._lists:
            outer = _INDENT * (len(self._lists) - 1)
            indent = outer + (self._marker or _INDENT)
            text = indent + text.replace("\n", "\n" + outer + _INDENT)
        separator = "" if not self._parts else "\n" if self._tight else "\n\n"
        start = self._length + len(separator)
        self._parts += (separator, text)
        self._length = start + len(text)
        self._marker = ""
        self._tight = bool(self._lists)
        return start

    def _emit_caption(self, table: lxml.html.HtmlElement) -> None:
        self._emit(one_line(table.findtext("caption") or ""))
