"""What an Excel workbook holds beside its values: percentages, comments, text boxes and charts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.load.blocks import Blocks
from rag.load.drawings import A, Drawings, paragraph_text
from rag.load.opc import RELATIONSHIP, Package
from rag.load.xml_tree import Element, iterate
from rag.types import MetadataValue

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_TEXT_BODY = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}txBody"
_THREADED = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_STAND_IN = "tc="
"""How the author of a comment is called that only points older programs to a newer one."""
_PERCENT_FORMATS = {"9", "10"}
"""The built-in formats 0% and 0.00% (ECMA-376 part 1, 18.8.30)."""
_FORMULA = b"<f"
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")


@dataclass(frozen=True, slots=True)
class CellNotes:
    """
    What is to be known of a sheet's cells.

    Attributes:
        percentages: row and column, from 0, of the cells that show their number as a percentage.
        uncomputed: how many formulas have no stored result.
    """

    percentages: frozenset[tuple[int, int]] = frozenset()
    uncomputed: int = 0


class Workbook:
    """
    The package of a workbook; of the binary format (``.xlsb``) only the properties are read.

    Args:
        data: the whole file.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """

    def __init__(self, data: bytes) -> None:
        self._package = Package(data)
        self._sheets: dict[str, str] = {}
        if self._package.main.endswith(".xml"):
            for sheet in self._package.part(self._package.main).iterfind(f"{_S}sheets/{_S}sheet"):
                part = self._package.target(self._package.main, sheet.get(f"{RELATIONSHIP}id"))
                self._sheets[sheet.get("name", "")] = part
        self._percent_styles = self._find_percent_styles() if self._sheets else set()

    def properties(self) -> tuple[str, dict[str, MetadataValue]]:
        """Return the title and metadata."""
        return self._package.properties()

    def cells(self, sheet: str) -> CellNotes:
        """Return what is to be known of a sheet's cells."""
        part = self._sheets.get(sheet)
        if not part:
            return CellNotes()
        markup = self._package.data(part)
        if not self._percent_styles and _FORMULA not in markup:
            return CellNotes()
        percentages: set[tuple[int, int]] = set()
        uncomputed = 0
        for row in iterate(markup, part, f"{_S}row"):
            for cell in row:
                if cell.get("s") in self._percent_styles and (place := _place(cell)):
                    percentages.add(place)
                if len(cell) and cell[0].tag == f"{_S}f" and not cell.findtext(f"{_S}v") and cell.get("t") != "str":
                    uncomputed += 1
        return CellNotes(frozenset(percentages), uncomputed)

    def write_attachments(self, sheet: str, blocks: Blocks) -> None:
        """Write what lies on a sheet: its text boxes and charts, and the comments on its cells."""
        part = self._sheets.get(sheet)
        if not part:
            return
        for drawing in self._package.related(part, "drawing"):
            root = self._package.part(drawing)
            for body in root.iter(_TEXT_BODY):
                blocks.paragraph("\n".join(map(paragraph_text, body.iter(f"{A}p"))))
            Drawings(self._package, drawing).write(root, blocks)
        for cell, author, text in [*self._comments(part), *self._threaded_comments(part)]:
            blocks.paragraph(f"Comment on {cell}{f' ({author})' * bool(author)}: {text}")

    def _comments(self, sheet: str) -> Iterator[tuple[str, str, str]]:
        """Yield the comments of a sheet: cell, author, text."""
        for part in self._package.related(sheet, "comments"):
            root = self._package.part(part)
            authors = dict(enumerate(root.iterfind(f"{_S}authors/{_S}author")))
            for comment in root.iterfind(f"{_S}commentList/{_S}comment"):
                number = comment.get("authorId", "")
                author = authors.get(int(number)) if number.isdecimal() else None
                name = "" if author is None else author.text or ""
                if not name.startswith(_STAND_IN):
                    text = "".join(element.text or "" for element in comment.iter(f"{_S}t"))
                    yield comment.get("ref", ""), name, text

    def _threaded_comments(self, sheet: str) -> Iterator[tuple[str, str, str]]:
        people = self._package.related(self._package.main, "person")
        names = {e.get("id"): e.get("displayName", "") for part in people for e in self._package.part(part)}
        for part in self._package.related(sheet, "threadedComment"):
            for comment in self._package.part(part):
                text = comment.findtext(f"{_THREADED}text") or ""
                yield comment.get("ref", ""), names.get(comment.get("personId"), ""), text

    def _find_percent_styles(self) -> set[str]:
        """Return the numbers of the cell styles that show percentages."""
        styles: set[str] = set()
        for part in self._package.related(self._package.main, "styles"):
            root = self._package.part(part)
            formats = _PERCENT_FORMATS | {
                element.get("numFmtId", "")
                for element in root.iterfind(f"{_S}numFmts/{_S}numFmt")
                if "%" in element.get("formatCode", "")
            }
            for number, style in enumerate(root.iterfind(f"{_S}cellXfs/{_S}xf")):
                if style.get("numFmtId") in formats:
                    styles.add(str(number))
        return styles


def _place(cell: Element) -> tuple[int, int] | None:
    """Return a cell's row and column, counted from 0."""
    match = _REFERENCE.fullmatch(cell.get("r", ""))
    if not match:
        return None
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(match[2]) - 1, column - 1
