"""
Word documents: the text in its order with all changes accepted, through the XML of the package.

Headers come before the text and footers behind it, each once; notes, comments and text boxes follow the paragraph that
refers to them. The table of contents only repeats the headings, and is left out.
"""

from __future__ import annotations

import re

from models.base import InputError
from rag.load.blocks import Blocks
from rag.load.docx_styles import Numbering, Styles, W, number, value
from rag.load.docx_words import Words, shown_children
from rag.load.drawings import Drawings
from rag.load.opc import RELATIONSHIP, Package
from rag.load.text import one_line
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name

_CONTENTS = re.compile(r"toc (\d|heading)")
_TEXT_BOX = f"{W}txbxContent"
_MOST_COLUMNS = 200


def read(data: bytes, name: str) -> Extracted:
    """
    Read a Word document.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """
    package = Package(data)
    root = package.part(package.main)
    body = root.find(f"{W}body")
    if body is None:
        raise InputError(f"is no Word document: its main part is a {local_name(root)!r}.")
    writer = _Writer(package)
    writer.write_margin(body, "header")
    writer.write(body)
    writer.write_margin(body, "footer")
    title, metadata = package.properties()
    return writer.blocks.extracted(title or writer.title, metadata, writer.warnings)


class _Writer:
    """Writes the blocks of a document, in their order, whatever they are nested in."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._styles = Styles(self._first_part("styles"))
        self._numbering = Numbering(self._first_part("numbering"), self._styles)
        self._comments = self._by_identifier("comments")
        self._notes = {kind: self._by_identifier(kind) for kind in ("footnotes", "endnotes")}
        self._marks: dict[tuple[str, str], str] = {}
        self._drawings = Drawings(package, package.main)
        self._cells = 0  # how many cells enclose what is being written
        self.blocks = Blocks()
        self.title = ""
        self.warnings: tuple[str, ...] = ()

    def write(self, container: Element) -> None:
        """Write what stands in an element: paragraphs, tables, and wrappings around them."""
        for element in shown_children(container):
            if element.tag == f"{W}p":
                self._paragraph(element)
            elif element.tag == f"{W}tbl":
                self._table(element)
            elif element.tag == f"{W}altChunk":
                self.warnings = ("holds another file that is only joined when Word opens it; that was not read.",)
            elif element.tag != f"{W}sectPr" and not _is_left_out(element):
                self.write(element)

    def write_margin(self, body: Element, kind: str) -> None:
        """Write all headers or all footers of a document, those with the same words once."""
        seen: set[str] = set()
        for reference in body.iter(f"{W}{kind}Reference"):
            part = self._package.target(self._package.main, reference.get(f"{RELATIONSHIP}id"))
            text = self._text_of(self._package.part(part)) if part else ""
            if text not in seen:
                seen.add(text)
                self.blocks.paragraph(text)

    def _paragraph(self, paragraph: Element) -> None:
        words = Words(paragraph, self._marks)
        label = self._numbering.label(paragraph)
        style = self._styles.name(paragraph)
        if _CONTENTS.fullmatch(style):
            return
        if style == "title" and not self.title:
            self.title = one_line(words.text)
        level = self._styles.heading_level(paragraph)
        marker, depth = label or ("", 0)
        if not words.text.strip():
            self.blocks.paragraph(marker if self._cells and marker != "-" else "")  # a column that only has numbers
        elif level:
            self.blocks.heading(f"{marker.lstrip('-')} {words.text}", level)
        elif marker:
            self.blocks.item(words.text, depth, marker)
        else:
            self.blocks.paragraph(words.text)
        self._appendages(words)

    def _appendages(self, words: Words) -> None:
        """Write what hangs on a paragraph."""
        for frame in words.frames:
            for box in _text_boxes(frame):
                self.write(box)
            self._drawings.write(frame, self.blocks)
        for note in words.notes:
            kind, identifier = note
            if identifier in self._notes[kind]:
                self.blocks.paragraph(f"{self._marks[note]}: {self._text_of(self._notes[kind][identifier])}")
        for identifier in words.comments:
            if identifier in self._comments:
                comment = self._comments[identifier]
                author = comment.get(f"{W}author", "")
                self.blocks.paragraph(f"Comment{f' ({author})' * bool(author)}: {self._text_of(comment)}")

    def _table(self, table: Element) -> None:
        """Write a table of data as one, and what a table only arranges on the page block by block."""
        lines = [line for line in _descend(table, "tr") if line.find(f"{W}trPr/{W}del") is None]
        if _is_arranging(lines):
            for cell in (cell for line in lines for cell in _descend(line, "tc")):
                self.write(cell)
        elif self._cells:
            self.blocks.inner_table(self._rows(lines))
        else:
            self.blocks.table(self._rows(lines))

    def _rows(self, lines: list[Element]) -> list[list[str]]:
        """Return the cells' texts; one that reaches over several rows is repeated, so that each row says everything."""
        rows: list[list[str]] = []
        for line in lines:
            row = [""] * min(number(value(line.find(f"{W}trPr"), "gridBefore")), _MOST_COLUMNS)
            for cell in _descend(line, "tc"):
                properties = cell.find(f"{W}tcPr")
                merged = None if properties is None else properties.find(f"{W}vMerge")
                continues = merged is not None and merged.get(f"{W}val", "continue") == "continue"
                above = rows[-1][len(row)] if continues and rows and len(row) < len(rows[-1]) else ""
                span = min(number(value(properties, "gridSpan"), 1), _MOST_COLUMNS)
                row += [above or self._cell_text(cell), *[""] * (span - 1)]
            rows.append(row[:_MOST_COLUMNS])
        return rows

    def _cell_text(self, cell: Element) -> str:
        self._cells += 1
        text = self._text_of(cell)
        self._cells -= 1
        return text

    def _text_of(self, container: Element) -> str:
        """Return the text of a cell, a note, a comment, a header or a footer."""
        outer, self.blocks = self.blocks, Blocks()
        self.write(container)
        inner, self.blocks = self.blocks, outer
        return inner.text

    def _first_part(self, kind: str) -> Element | None:
        names = self._package.related(self._package.main, kind)
        return self._package.part(names[0]) if names else None

    def _by_identifier(self, kind: str) -> dict[str, Element]:
        """Return the notes or comments of a part."""
        root = self._first_part(kind)
        return {} if root is None else {element.get(f"{W}id", ""): element for element in root.iterchildren("*")}


def _is_arranging(lines: list[Element]) -> bool:
    """Tell whether a table has a single row or column, or other tables in every second row."""
    widest = max((len(_descend(line, "tc")) for line in lines), default=0)
    nesting = sum(next(line.iterdescendants(f"{W}tbl"), None) is not None for line in lines)
    return len(lines) <= 1 or widest <= 1 or 2 * nesting >= len(lines)


def _is_left_out(element: Element) -> bool:
    """Tell whether a content control holds the table of contents, or nothing but what should be filled in."""
    properties = element.find(f"{W}sdtPr")
    if properties is None:
        return False
    gallery = value(properties.find(f"{W}docPartObj"), "docPartGallery")
    return gallery == "Table of Contents" or properties.find(f"{W}showingPlcHdr") is not None


def _descend(element: Element, name: str) -> list[Element]:
    """Return the rows of a table or the cells of a row, also those inside content controls."""
    found: list[Element] = []
    for child in shown_children(element):
        if child.tag == f"{W}{name}":
            found.append(child)
        elif child.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}customXml", f"{W}ins"):
            found += _descend(child, name)
    return found


def _text_boxes(element: Element) -> list[Element]:
    """Return the text boxes of a drawing; those inside others are written with them."""
    boxes: list[Element] = []
    for child in shown_children(element):
        boxes += [child] if child.tag == _TEXT_BOX else _text_boxes(child)
    return boxes
