"""From elements to plain text: blocks apart by blank lines, list items on lines, tables as Markdown tables."""

from __future__ import annotations

import re

import lxml.html
from lxml import etree

from rag.load.properties import is_filled_in
from rag.load.tables import markdown_table
from rag.load.text import clean, one_line
from rag.types import Heading

_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_LISTS = {"ul", "ol", "menu"}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main", "p", "pre"),
    *("section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", *_HEADINGS, *_LISTS),
}
_HEADED = "caption or thead or (tr|tbody/tr)[1]/th"
_ARRANGING = (
    f"@role='presentation' or (.//table and not({_HEADED})) or .//pre[contains(., '\n')] or .//blockquote"
    " or .//*[self::h1 or self::h2 or self::h3]"
)
_WHITE = re.compile(r"[ \t\n\r\f\xa0]+")
_EXPONENT = re.compile(r"[-+−]?(\d+|[A-Za-z])")
_INDENT = "  "
_MOST_COLUMNS = 200
_MOST_DIGITS = 6


class TextBuilder:
    """
    Writes the text of elements; whatever begins or ends a block closes the paragraph that is being collected.

    Args:
        in_cell: whether the elements are in a table, so that no other can be written there.
    """

    def __init__(self, in_cell: bool = False) -> None:
        self._in_cell = in_cell
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._inline: list[str] = []
        self._since: list[tuple[int, str]] = []  # paragraphs since the last heading began: where they are, and what
        self._lists: list[int | None] = []  # the next item's number in each open list; None where items have none
        self._marker = ""
        self._tight = False  # whether the next block goes on the next line, without a blank line between

    def write(self, root: lxml.html.HtmlElement) -> None:
        """Write an element and all that is in it."""
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "end":
                self._end(str(element.tag))
                self._collect(element.tail if element is not root else "")
            elif self._start(element):
                walk.skip_subtree()
            else:
                self._collect(element.text)
        self._flush()

    def result(self) -> tuple[str, tuple[Heading, ...]]:
        """Return the text and its headings."""
        return "".join(self._parts), tuple(self._headings)

    def _start(self, element: lxml.html.HtmlElement) -> bool:
        """Open an element; True if it has been written whole."""
        tag = element.tag
        if tag == "br":
            self._inline.append("\n")
        elif tag == "img" and not is_filled_in(description := one_line(element.get("alt") or "")):
            self._inline.append(f" {description} ")  # formulas are often pictures
        elif tag == "math" and (formula := element.get("alttext") or element.findtext(".//annotation") or ""):
            self._collect(formula)
            return True
        elif tag == "sup" and _EXPONENT.fullmatch((element.text or "").strip()):
            self._inline.append("^")  # 10^6 must not become 106
        if tag not in _BLOCKS:
            return False
        self._flush()
        if tag == "pre":
            self._emit(clean(_verbatim(element)))
            return True
        if tag == "table" and not self._in_cell and (rows := _rows(element)):
            self._emit(one_line(element.findtext("caption") or ""))
            self._emit(markdown_table(rows))
            return True
        self._enter(element)
        return False

    def _enter(self, element: lxml.html.HtmlElement) -> None:
        """Note what an opening block means for the paragraphs in it."""
        tag = element.tag
        if tag in _LISTS:
            self._lists.append(_number(element, "start", 1) if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            if number is None:
                self._marker = "- "
            else:
                number = _number(element, "value", number)
                self._marker = f"{number}. "
                self._lists[-1] = number + 1
        elif tag == "dd":
            self._tight = True
        elif tag in _HEADINGS:
            self._since.clear()

    def _end(self, tag: str) -> None:
        """Close an element."""
        if tag not in _BLOCKS:
            return
        self._flush()
        if tag in _HEADINGS and self._since:
            title = one_line(" ".join(text for _, text in self._since))
            self._headings.append(Heading(self._since[0][0], _HEADINGS[tag], title))
            self._since.clear()
        elif tag in _LISTS:
            self._lists.pop()
            self._tight = bool(self._lists)
        elif tag == "li":
            self._marker = ""

    def _collect(self, text: str | None) -> None:
        if text:
            self._inline.append(_WHITE.sub(" ", text))

    def _flush(self) -> None:
        """End the paragraph that is being collected, if there is one."""
        if not self._inline:
            return
        lines = [_WHITE.sub(" ", line).strip() for line in "".join(self._inline).split("\n")]
        self._inline.clear()
        if text := clean("\n".join(lines)).strip():
            self._emit(text, indented=True)

    def _emit(self, text: str, indented: bool = False) -> None:
        """Put a block into the text; paragraphs in lists get the marker and the indentation."""
        if not text:
            return
        block = text
        if indented and (self._marker or self._lists):
            outer = _INDENT * max(0, len(self._lists) - 1)
            block = outer + (self._marker or _INDENT) + text.replace("\n", f"\n{outer}{_INDENT}")
            self._marker = ""
        separator = "" if not self._parts else "\n" if self._tight else "\n\n"
        self._since.append((self._length + len(separator), text))
        self._parts += (separator, block)
        self._length += len(separator) + len(block)
        self._tight = bool(self._lists)


def _verbatim(pre: lxml.html.HtmlElement) -> str:
    """Return preformatted text as it is, line breaks included."""
    for line_break in pre.iter("br"):
        line_break.text = "\n"
    return pre.text_content().strip("\n").rstrip()


def _rows(table: lxml.html.HtmlElement) -> list[list[str]]:
    """Return the cells of a table of data; nothing for a table that only arranges blocks on the page."""
    if table.xpath(_ARRANGING):
        return []
    rows: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column -> how many rows below its cell still covers, and its text
    lines = [line for line in table.iter("tr") if next(line.iterancestors("table")) is table]
    for line in lines:
        row: list[str] = []
        cells = list(line.iterchildren("td", "th"))
        for cell in cells:
            _hang(row, hanging)
            text, below = _cell_text(cell), _span(cell, "rowspan") - 1
            if below:
                hanging[len(row)] = (below, text)
            row += [text, *[""] * (_span(cell, "colspan") - 1)]
        _hang(row, hanging)
        if line is lines[-1] or not cells or any(_span(cell, "rowspan") == 1 for cell in cells):
            rows.append(row[:_MOST_COLUMNS])  # else the next row says all of it again
    return rows if max(map(len, rows), default=0) > 1 else []


def _hang(row: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    """Continue a row with the cells that reach down into it, so that each row says everything."""
    while len(row) in hanging:
        column = len(row)
        below, text = hanging.pop(column)
        if below > 1:
            hanging[column] = (below - 1, text)
        row.append(text)


def _cell_text(cell: lxml.html.HtmlElement) -> str:
    builder = TextBuilder(in_cell=True)
    builder.write(cell)
    return builder.result()[0]


def _span(cell: lxml.html.HtmlElement, attribute: str) -> int:
    """Return over how many columns or rows a cell reaches."""
    return max(1, min(_number(cell, attribute, 1), _MOST_COLUMNS))


def _number(element: lxml.html.HtmlElement, attribute: str, usual: int) -> int:
    """Return an attribute that is a whole number, if it has one."""
    value = (element.get(attribute) or "").strip()
    return int(value) if value.isdecimal() and len(value) < _MOST_DIGITS else usual
