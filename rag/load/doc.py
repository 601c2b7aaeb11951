"""
Word 97 to 2003 (MS-DOC, sections in brackets): the text piece by piece, and what each paragraph is.

Text lies in pieces, with one or two bytes a character [2.8.35]. Pages of 512 bytes say what paragraphs are [2.9.23]; of
their properties those are read that make headings, lists and tables. Notes, comments, text boxes, headers and footers
follow the main text. Lists do not store their numbers, so all their items look alike.

Under this name there are also newer documents, and the web pages that other programs pass off as documents.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

from models.base import InputError
from rag.load import docx, eml, html
from rag.load.aligned import Cell, aligned
from rag.load.blocks import Blocks
from rag.load.ole import CompoundFile, unpack
from rag.load.values import Extracted

_ZIP = b"PK\x03\x04"
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)\b", re.IGNORECASE)
_SAVED_PAGE = re.compile(rb"(?:[\w-]+:[^\n]*\n)*mime-version:", re.IGNORECASE)
_DOCUMENT = ("WordDocument",)
_SIGNATURE, _OLDEST_VERSION = 0xA5EC, 0xC1
_ENCRYPTED, _SECOND_TABLE = 0x0100, 0x0200
_AT_LENGTHS, _AT_STYLES, _AT_PARAGRAPHS, _AT_PIECES = 0x4C, 0xA2, 0x102, 0x1A2
"""Offsets in the file information block [2.5.1] of the texts' lengths and of three places in the table stream."""
_MARGINS = 2
_PARTS = (0, 1, 4, 5, 6, _MARGINS)
"""Of the eight texts: the main one, footnotes, comments, endnotes, text boxes, headers and footers."""
_PAGE_BYTES = 512
_HEADING_STYLES = range(1, 10)
"""The built-in headings have these numbers, whatever they are called [2.9.271]."""
_TITLE_STYLE, _CONTENTS_STYLE = 62, 266
"""Application-defined styles [2.9.260] that are a heading, and based on one without being one."""
_BODY_LEVEL = 10
"""What is no heading; headings have the levels below it."""
_OUTLINE, _IN_TABLE, _ROW_END, _LIST, _DEPTH, _TABLE = 0x2640, 0x2416, 0x2417, 0x460B, 0x260A, 0xD608
"""Single property modifiers [2.6.2]."""
_OPERAND_BYTES = (1, 1, 2, 4, 2, 2, 0, 3)
"""Length of an operand by the highest three bits of its modifier; 0 where it is written in front of the operand."""
_PARAGRAPH = re.compile(r"[^\r\x07\x0c]*[\r\x07\x0c]|[^\r\x07\x0c]+\Z")
_CELL_BYTES, _MERGED, _MERGED_BELOW = 20, 0x60, 0x20
"""Of the description of a cell: its length, and the bits that are set so in a cell that continues the one above."""
_FAR_TWIPS = 1 << 20
"""Wider than a page."""
_CELL_END = "\x07"
_FIELD_MARKS = re.compile("([\x13\x14\x15])")
_CHARACTERS = str.maketrans({"\x0b": "\n", "\x1e": "-", "\x1f": None, "\r": None, "\x07": None, "\x0c": None})


class _Paragraph(NamedTuple):
    """What a paragraph is; ``level`` is None if its style decides, ``depth`` of an item of a list counts from 0."""

    style: int = 0
    level: int | None = None
    in_table: bool = False
    row_end: bool = False
    listed: bool = False
    depth: int = 0
    cells: tuple[tuple[int, bool], ...] = ()  # where the cells of the row end, and whether they continue those above


def read(data: bytes, name: str) -> Extracted:
    """
    Read a Word document.

    Raises:
        InputError: it is encrypted, damaged, older than Word 97, or something else under this name.
    """
    if data.startswith(_ZIP):
        return docx.read(data, name)
    if _PAGE.match(data):
        return html.read(data, name)
    if _SAVED_PAGE.match(data):
        return eml.read_mhtml(data, name)
    file = CompoundFile(data)
    document = file.stream(_DOCUMENT)
    signature, version = unpack("HH", document, 0)
    (flags,) = unpack("H", document, 0x0A)
    if signature != _SIGNATURE or version < _OLDEST_VERSION:
        raise InputError("is in a format older than that of Word 97; save it as .docx.")
    if flags & _ENCRYPTED:
        raise InputError("is encrypted; save it without a password.")
    table = file.stream(("1Table" if flags & _SECOND_TABLE else "0Table",))
    writer = _Writer(_levels(document, table))
    for text, paragraph in _paragraphs(document, table):
        writer.write(text, paragraph)
    writer.end_table()
    title, metadata = file.properties()
    return writer.blocks.extracted(title, metadata)


class _Writer:
    """Writes paragraphs, and gathers those that make tables."""

    def __init__(self, levels: Mapping[int, int]) -> None:
        self.blocks = Blocks()
        self._levels = levels
        self._fields: list[bool] = []  # of the fields that are open, whether their result has begun
        self._cell = ""
        self._row: list[str] = []
        self._rows: list[list[Cell]] = []

    def write(self, raw: str, paragraph: _Paragraph) -> None:
        """Write a paragraph with its end mark."""
        text = self._shown(raw).translate(_CHARACTERS)
        if paragraph.row_end:
            self._end_row(paragraph.cells)
        elif paragraph.in_table and raw.endswith(_CELL_END):
            self._row.append(self._cell + text)
            self._cell = ""
        elif paragraph.in_table:
            self._cell += f"{text}\n"
        else:
            self.end_table()
            level = self._levels.get(paragraph.style, 0) if paragraph.level is None else paragraph.level
            if level:
                self.blocks.heading(text, level)
            elif paragraph.listed:
                self.blocks.item(text, paragraph.depth)
            else:
                self.blocks.paragraph(text)

    def end_table(self) -> None:
        """Write the table before this."""
        self._end_row(())
        self.blocks.table(aligned(self._rows))
        self._rows = []

    def _end_row(self, cells: tuple[tuple[int, bool], ...]) -> None:
        texts = [*self._row, self._cell] if self._cell else self._row
        places = cells if len(cells) == len(texts) else [(_FAR_TWIPS * index, False) for index in range(len(texts))]
        self._rows.append([Cell(text, *place) for text, place in zip(texts, places, strict=True)])
        self._cell, self._row = "", []

    def _shown(self, raw: str) -> str:
        """Return what is seen of a text: of fields the results; they may reach over several paragraphs."""
        shown = []
        for part in _FIELD_MARKS.split(raw):
            if part == "\x13":
                self._fields.append(False)
            elif part == "\x14" and self._fields:
                self._fields[-1] = True
            elif part == "\x15" and self._fields:
                self._fields.pop()
            elif all(self._fields):
                shown.append(part)
        return "".join(shown)


def _paragraphs(document: bytes, table: bytes) -> Iterator[tuple[str, _Paragraph]]:
    """Yield the paragraphs with their end marks: of the main text, then of notes, comments and text boxes."""
    pieces = list(_pieces(document, table))
    starts = list(accumulate((len(text) for text, _, _ in pieces), initial=0))
    text = "".join(text for text, _, _ in pieces)
    ends, properties = _properties(document, table)
    bounds = list(pairwise(accumulate(unpack("8I", document, _AT_LENGTHS), initial=0)))
    margins: set[str] = set()  # every section may have the same
    for part in _PARTS:
        for match in _PARAGRAPH.finditer(text, *bounds[part]):
            if part == _MARGINS and match[0] in margins:
                continue
            margins |= {match[0]} if part == _MARGINS else set()
            last = match.end() - 1
            piece = bisect_right(starts, last) - 1
            _, offset, width = pieces[piece]
            index = bisect_right(ends, offset + (last - starts[piece]) * width)
            yield match[0], properties[index] if index < len(properties) else _Paragraph()


def _levels(document: bytes, table: bytes) -> dict[int, int]:
    """Return the levels of the styles that make headings, by number [2.9.271]."""
    at, _ = unpack("II", document, _AT_STYLES)
    header, count, base_size = unpack("3H", table, at)
    at += 2 + header
    levels = {style: style for style in _HEADING_STYLES}
    bases = {}
    for style in range(count):
        (size,) = unpack("H", table, at)
        if size >= base_size and style not in _HEADING_STYLES:
            kind, base = (word & 0xFFF for word in (unpack("H", table, at + 2)[0], unpack("H", table, at + 4)[0] >> 4))
            if kind == _TITLE_STYLE:
                levels[style] = 1
            elif kind != _CONTENTS_STYLE:
                bases[style] = base
        at += 2 + size
    for _ in range(len(_HEADING_STYLES)):  # a style may be based on one that is based on a heading
        levels |= {style: levels[base] for style, base in bases.items() if base in levels}
    return levels


def _pieces(document: bytes, table: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the pieces of text: characters, where they begin in the document, and bytes a character."""
    at, size = unpack("II", document, _AT_PIECES)
    end = at + size
    while at < end and table[at : at + 1] == b"\x01":  # modifiers for the whole text [2.9.38]
        at += 3 + unpack("H", table, at + 1)[0]
    (size,) = unpack("I", table, at + 1)
    count = (size - 4) // 12
    starts = unpack(f"{count + 1}I", table, at + 5)
    for index, (start, stop) in enumerate(pairwise(starts)):
        (place,) = unpack("I", table, at + 5 + 4 * (count + 1) + 8 * index + 2)
        narrow = bool(place & 1 << 30)
        offset, width = ((place & 0x3FFFFFFF) // 2, 1) if narrow else (place & 0x3FFFFFFF, 2)
        encoded = document[offset : offset + width * max(0, stop - start)]
        yield encoded.decode("cp1252" if narrow else "utf-16-le", errors="replace"), offset, width


def _properties(document: bytes, table: bytes) -> tuple[list[int], list[_Paragraph]]:
    """Return where in the document each run of equal paragraphs ends, ascending, and what they are."""
    at, size = unpack("II", document, _AT_PARAGRAPHS)
    count = (size - 4) // 8
    runs = []
    for (number,) in (unpack("I", table, at + 4 * (count + 1) + 4 * index) for index in range(count)):
        page = document[_PAGE_BYTES * number : _PAGE_BYTES * (number + 1)]
        if len(page) < _PAGE_BYTES:
            raise InputError("is damaged: it ends where its paragraphs are described.")
        for index in range(page[-1]):
            (end,) = unpack("I", page, 4 * (index + 1))
            runs.append((end, _paragraph(page, 2 * unpack("B", page, 4 * (page[-1] + 1) + 13 * index)[0])))
    runs.sort()
    return [end for end, _ in runs], [paragraph for _, paragraph in runs]


def _paragraph(page: bytes, offset: int) -> _Paragraph:
    """Read what stands in a page at an offset [2.9.174]: a style, and modifiers of it."""
    if not offset:
        return _Paragraph()
    length = 2 * page[offset] - 1
    if length < 0:
        offset += 1
        length = 2 * page[offset]
    (style,) = unpack("H", page, offset + 1)
    found = dict(_modifiers(page[offset + 3 : offset + 1 + length]))
    first = {modifier: operand[0] for modifier, operand in found.items()}
    return _Paragraph(
        style,
        (first[_OUTLINE] + 1) % _BODY_LEVEL if _OUTLINE in first else None,
        bool(first.get(_IN_TABLE)),
        bool(first.get(_ROW_END)),
        bool(first.get(_LIST)),
        first.get(_DEPTH, 0),
        tuple(_cells(found[_TABLE])) if _TABLE in found else (),
    )


def _cells(definition: bytes) -> Iterator[tuple[int, bool]]:
    """Yield where the cells of a row end, and whether each continues the one above [2.9.324]."""
    (count,) = unpack("B", definition, 2)
    edges = unpack(f"{count + 1}h", definition, 3)
    for index, edge in enumerate(edges[1:]):
        flags = definition[5 + 2 * count + _CELL_BYTES * index :][:1]
        yield edge, flags != b"" and flags[0] & _MERGED == _MERGED_BELOW


def _modifiers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers of modifiers and their operands, with the length in front if there is one."""
    at = 0
    while at + 2 < len(data):
        (modifier,) = unpack("H", data, at)
        size = _OPERAND_BYTES[modifier >> 13] or data[at + 2] + 1
        if modifier == _TABLE:
            size = unpack("H", data, at + 2)[0] + 1
        yield modifier, data[at + 2 : at + 2 + size]
        at += 2 + size
