"""
OpenDocument texts and presentations: blocks in the order of the file, with all changes accepted.

Headers come before the text and footers behind it, each once; notes, comments and text boxes follow the paragraph that
refers to them. The table of contents only repeats the headings, and is left out. Each slide is a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from models.base import InputError
from rag.load.blocks import Blocks
from rag.load.odf_package import CONTENT, OdfPackage
from rag.load.odf_styles import STYLE, TEXT, Level, OdfStyles, number_label, whole
from rag.load.odf_words import DRAW, OFFICE, Words
from rag.load.properties import is_filled_in
from rag.load.text import one_line
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_EQUATION = f"{_MATH}math"
_ROW_GROUPS = {f"{_TABLE}{name}" for name in ("table-header-rows", "table-rows", "table-row-group")}
_LEFT_OUT = {
    *(f"{TEXT}{name}" for name in ("tracked-changes", "sequence-decls", "variable-decls", "user-field-decls")),
    *(f"{TEXT}{name}" for name in ("table-of-content", "illustration-index", "table-index", "object-index")),
    *(f"{OFFICE}forms", f"{_PRESENTATION}notes", f"{DRAW}image"),
}
_ELSEWHERE = {"title", "date-time", "footer", "header", "page-number"}
_MOST_LEVELS = 10
_MOST_COLUMNS = 200
_MOST_ROWS = 1000


def read(data: bytes, name: str) -> Extracted:
    """
    Read a text document or a presentation.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """
    package = OdfPackage(data)
    content, styles = package.part(CONTENT), package.part("styles.xml")
    roots = [root for root in (styles, content) if root is not None]
    body = None if content is None else content.find(f"{OFFICE}body")
    if body is None:
        raise InputError("is damaged: it has no body.")
    writer = _Writer(package, OdfStyles(*roots))
    if body.find(f"{OFFICE}presentation") is not None:
        for number, page in enumerate(body.iter(f"{DRAW}page"), 1):
            writer.write_slide(page, number)
    else:
        margins = [] if styles is None else list(styles.iterfind(f"{OFFICE}master-styles/{STYLE}master-page/*"))
        writer.write_margins(margins, "header")
        writer.write(body)
        writer.write_margins(margins, "footer")
    title, metadata = package.properties()
    return writer.blocks.extracted(title or writer.title, metadata)


class _Writer:
    """Writes the blocks of a document, in their order, whatever they are nested in."""

    def __init__(self, package: OdfPackage, styles: OdfStyles) -> None:
        self._package = package
        self._styles = styles
        self._notes = 0
        self._outline: list[int] = []
        self._counts: dict[str, int] = {}  # how far the lists of a style have counted
        self._cells = 0  # how many cells enclose what is being written
        self.blocks = Blocks()
        self.title = ""

    def write(self, container: Element) -> None:
        """Write what stands in an element."""
        for element in container.iterchildren("*"):
            self._block(element)

    def write_margins(self, margins: list[Element], kind: str) -> None:
        """Write all headers or all footers, those with the same words once."""
        shown = [e for e in margins if local_name(e).startswith(kind) and e.get(f"{STYLE}display") != "false"]
        for text in dict.fromkeys(map(self._text_of, shown)):
            self.blocks.paragraph(text)

    def write_slide(self, page: Element, number: int) -> None:
        """Write a slide: its title, the rest, its notes."""
        self.blocks.page()
        self.blocks.section(f"Slide {number}", 1)
        kinds = {frame: frame.get(f"{_PRESENTATION}class") for frame in page.iterchildren("*")}
        for frame, kind in kinds.items():
            if kind == "title":
                self.blocks.heading(self._text_of(frame), 1)
        for frame, kind in kinds.items():
            if kind not in _ELSEWHERE:
                self._block(frame)
        for frame in page.iterfind(f"{_PRESENTATION}notes/{DRAW}frame[@{_PRESENTATION}class='notes']"):
            if notes := self._text_of(frame):
                self.blocks.paragraph(f"Notes: {notes}")

    def _block(self, element: Element) -> None:
        tag = element.tag
        if tag == f"{TEXT}p":
            self._paragraph(element)
        elif tag == f"{TEXT}h":
            self._heading(element)
        elif tag == f"{TEXT}list":
            self._list(element, [], "")
        elif tag == f"{_TABLE}table":
            self._table(element)
        elif tag == f"{OFFICE}annotation":
            self._comment(element)
        elif tag == f"{DRAW}object":
            self._object(element)
        elif tag in (f"{_SVG}title", f"{_SVG}desc"):
            description = one_line(element.text or "")
            self.blocks.paragraph("" if is_filled_in(description) else f"Picture: {description}")
        elif tag not in _LEFT_OUT:
            self.write(element)

    def _paragraph(self, paragraph: Element, marker: str = "", depth: int = 0) -> None:
        """Write a paragraph, which is an item of a list if it has a marker."""
        words = self._words(paragraph)
        if marker:
            self.blocks.item(words.text, depth, marker)
        elif self._styles.is_title(paragraph.get(f"{TEXT}style-name", "")):
            self.title = self.title or one_line(words.text)
            self.blocks.heading(words.text, 1)
        else:
            self.blocks.paragraph(words.text)
        self._appendages(words)

    def _heading(self, heading: Element) -> None:
        level = whole(heading.get(f"{TEXT}outline-level"), _MOST_LEVELS)
        label = ""
        if heading.get(f"{TEXT}is-list-header") != "true":
            start = self._styles.outline.get(level, Level()).start
            skipped = [1] * (level - 1 - len(self._outline))
            count = self._outline[level - 1] + 1 if len(self._outline) >= level else start
            self._outline = [*self._outline[: level - 1], *skipped, count]
            label = number_label(self._styles.outline, self._outline)
        words = self._words(heading)
        self.blocks.heading(f"{label} {words.text}" if words.text.strip() else "", level)
        self._appendages(words)

    def _words(self, paragraph: Element) -> Words:
        words = Words(paragraph, self._styles, self._notes + 1)
        self._notes += len(words.notes)
        return words

    def _appendages(self, words: Words) -> None:
        """Write what hangs on a paragraph."""
        number = self._notes - len(words.notes)
        for frame in words.frames:
            self._block(frame)
        for count, note in enumerate(words.notes, number + 1):
            body = note.find(f"{TEXT}note-body")
            self.blocks.paragraph("" if body is None else f"[^{count}]: {self._text_of(body)}")
        for comment in words.comments:
            self._comment(comment)

    def _comment(self, comment: Element) -> None:
        author = one_line(comment.findtext(_CREATOR) or "")
        self.blocks.paragraph(f"Comment{f' ({author})' * bool(author)}: {self._text_of(comment)}")

    def _list(self, element: Element, above: list[int], inherited: str) -> None:
        """Write a list; ``above`` are the numbers of the items around it, ``inherited`` is the style of their list."""
        style = element.get(f"{TEXT}style-name", inherited)
        levels, level = self._styles.levels(style), len(above) + 1
        count = levels.get(level, Level()).start - 1
        if element.get(f"{TEXT}continue-numbering") == "true" or element.get(f"{TEXT}continue-list"):
            count = self._counts.get(style, count)
        for item in element.iterchildren(f"{TEXT}list-item", f"{TEXT}list-header"):
            if start := item.get(f"{TEXT}start-value"):
                count = whole(start) - 1
            first = next(item.iterchildren("*"), None)
            labelled = first is not None and first.tag == f"{TEXT}p" and item.tag == f"{TEXT}list-item"
            count += labelled
            marker = number_label(levels, [*above, count]) or "-"
            for child in item.iterchildren("*"):
                if child.tag == f"{TEXT}list":
                    self._list(child, [*above, count], style)
                elif child is first and labelled:
                    self._paragraph(child, marker, len(above))
                else:
                    self._block(child)
        self._counts[style] = count

    def _object(self, reference: Element) -> None:
        """Write an embedded object: the words and numbers of a chart, a table, or an equation as it was typed."""
        root = self._package.part(f"{reference.get(_LINK, '').removeprefix('./')}/{CONTENT}")
        if root is None:
            return
        if root.tag == _EQUATION:
            typed = root.findtext(f".//{_MATH}annotation") or "".join(root.itertext())
            self.blocks.paragraph(" ".join(typed.split()))
        else:
            self.write(root)

    def _table(self, table: Element) -> None:
        """Write a table of data as one, and what a table only arranges on the page block by block."""
        lines = list(_rows_of(table))
        if _is_arranging(lines):
            for cell in (cell for line in lines for cell in line.iterchildren(f"{_TABLE}table-cell")):
                self.write(cell)
        elif self._cells:
            self.blocks.inner_table(self._rows(lines))
        else:
            self.blocks.table(self._rows(lines))

    def _rows(self, lines: list[Element]) -> list[list[str]]:
        """Return the cells' texts; one that reaches over several rows is repeated, so that each row says everything."""
        rows: list[list[str]] = []
        hanging: dict[int, tuple[int, str]] = {}  # column -> how many rows below its cell still covers, and its text
        for line in lines:
            row: list[str] = []
            for cell in line.iterchildren(f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                below, text = hanging.pop(len(row), (0, ""))
                if cell.tag == f"{_TABLE}table-cell":
                    below, text = whole(cell.get(f"{_TABLE}number-rows-spanned")), self._cell_text(cell)
                if below > 1:
                    hanging[len(row)] = (below - 1, text)
                row += [text] * whole(cell.get(f"{_TABLE}number-columns-repeated"), _MOST_COLUMNS)
            rows += [row[:_MOST_COLUMNS]] * whole(line.get(f"{_TABLE}number-rows-repeated"), _MOST_ROWS)
        return rows

    def _cell_text(self, cell: Element) -> str:
        self._cells += 1
        text = self._text_of(cell)
        self._cells -= 1
        return text.removeprefix("- ") if "\n" not in text else text  # a list of one item is none

    def _text_of(self, container: Element) -> str:
        """Return the text of a cell, a note, a comment, a header or a footer."""
        outer, self.blocks = self.blocks, Blocks()
        self.write(container)
        inner, self.blocks = self.blocks, outer
        return inner.text


def _rows_of(table: Element) -> Iterator[Element]:
    """Yield the rows of a table, also those that are grouped."""
    for child in table.iterchildren("*"):
        if child.tag == f"{_TABLE}table-row":
            yield child
        elif child.tag in _ROW_GROUPS:
            yield from _rows_of(child)


def _is_arranging(lines: list[Element]) -> bool:
    """Tell whether a table has a single row or column, or other tables in every second row."""
    widest = max((sum(1 for _ in line.iterchildren(f"{_TABLE}table-cell")) for line in lines), default=0)
    nesting = sum(next(line.iterdescendants(f"{_TABLE}table"), None) is not None for line in lines)
    return len(lines) <= 1 or widest <= 1 or 2 * nesting >= len(lines)
