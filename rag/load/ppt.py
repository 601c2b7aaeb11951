"""
PowerPoint 97 to 2003 (MS-PPT, sections in brackets): slide by slide, each a page with its title as heading.

A file is records in records [MS-PPT 2.3.1]; where the newest version of each slide begins is said by directories that
every saving appends [2.3.4]. A slide's text stands in its shapes, or in an outline to which they refer [2.9.76]. Dates,
numbers and footers at the margin are left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from models.base import InputError
from rag.load import pptx
from rag.load.blocks import Blocks
from rag.load.ole import CompoundFile, unpack
from rag.load.values import Extracted

_ZIP = b"PK\x03\x04"
_STREAM, _USER = ("PowerPoint Document",), ("Current User",)
_ENCRYPTED = 0xF3D1C4DF
_LIST, _REFERENCE, _NOTES_REFERENCE = 0x0FF0, 0x03F3, 0x03F1
_SLIDES, _NOTES = 0, 2
"""Instances of lists."""
_GROUP, _SHAPE, _ANCHOR, _OPTIONS, _PLACEHOLDER, _TEXT_BOX = 0xF003, 0xF004, 0xF00F, 0xF122, 0x0BC3, 0xF00D
_TEXT_KIND, _WIDE_TEXT, _NARROW_TEXT, _OUTLINE_TEXT = 0x0F9F, 0x0FA0, 0x0FA8, 0x0F9E
_CONTAINER = 0xF
_TITLES, _BODIES = {0, 6}, {1, 7, 8}
"""Kinds of text [2.13.33]."""
_MARGIN = {7, 8, 9, 10}
"""Placeholders for date, number, footer and header [2.13.18]."""
_TABLE_OPTION, _OPTION_NUMBER = 0x039F, 0x3FFF
"""What the group of a table has among its options [MS-ODRAW 2.3.4.37]."""
_MOST_COLUMNS = 200
_PARAGRAPH_END, _LINE_END = "\r", "\x0b"

Text = tuple[int, str]
"""Its kind, and its characters."""


class _Record(NamedTuple):
    """A record's type, its instance, and what it holds."""

    kind: int
    instance: int
    data: bytes

    def children(self) -> Iterator[_Record]:
        """Yield the records in this one, if it holds records."""
        return (record for record, _ in _records(self.data))

    def find(self, *kinds: int) -> Iterator[_Record]:
        """Yield the records of some types in this one, and in what else is in it."""
        for record, is_container in _records(self.data):
            if record.kind in kinds:
                yield record
            elif is_container:
                yield from record.find(*kinds)


class _Slide(NamedTuple):
    """A slide's number in the directory, the one by which its notes know it, and its texts in the outline."""

    place: int
    identifier: int
    outline: list[Text]


def read(data: bytes, name: str) -> Extracted:
    """
    Read a presentation.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """
    if data.startswith(_ZIP):
        return pptx.read(data, name)
    file = CompoundFile(data)
    token, newest = unpack("II", file.stream(_USER), 12)
    if token == _ENCRYPTED:
        raise InputError("is encrypted; save it without a password.")
    presentation = _Presentation(file.stream(_STREAM), newest)
    notes = {}
    for page in presentation.slides(_NOTES):
        record = presentation.record(page.place)
        for reference in record.find(_NOTES_REFERENCE):
            notes[unpack("I", reference.data, 0)[0]] = record
    blocks = Blocks()
    for number, slide in enumerate(presentation.slides(_SLIDES), 1):
        blocks.page()
        blocks.section(f"Slide {number}", 1)
        _write(blocks, presentation.record(slide.place), slide.outline)
        if slide.identifier in notes:
            _write_notes(blocks, notes[slide.identifier])
    title, metadata = file.properties()
    return blocks.extracted(title, metadata)


class _Presentation:
    """A presentation's records, of each the newest version."""

    def __init__(self, stream: bytes, newest: int) -> None:
        self._stream = stream
        self._places: dict[int, int] = {}
        seen = set()
        at, self._document = newest, unpack("I", stream, newest + 24)[0]
        while at and at not in seen:
            seen.add(at)
            edit = self._record_at(at)
            at, directory = unpack("II", edit.data, 8)
            self._add(self._record_at(directory).data)

    def _add(self, directory: bytes) -> None:
        """Take a directory [2.3.5]: runs of places, each with the number of its first."""
        at = 0
        while at < len(directory):
            (head,) = unpack("I", directory, at)
            first, count = head & 0xFFFFF, head >> 20
            for index, place in enumerate(unpack(f"{count}I", directory, at + 4)):
                self._places.setdefault(first + index, place)
            at += 4 * (count + 1)

    def _record_at(self, place: int) -> _Record:
        record, _ = next(_records(self._stream[place:]), (None, False))
        if record is None:
            raise InputError("is damaged: it ends before a slide.")
        return record

    def record(self, number: int) -> _Record:
        """Return the record of a number in the directory."""
        if number not in self._places:
            raise InputError(f"is damaged: its directory lacks the number {number}.")
        return self._record_at(self._places[number])

    def slides(self, instance: int) -> Iterator[_Slide]:
        """Yield the slides, or the pages of notes, in their order."""
        for listing in self.record(self._document).find(_LIST):
            if listing.instance == instance:
                slides: list[_Slide] = []
                for record in listing.children():
                    if record.kind == _REFERENCE:
                        place, identifier = unpack("I8xI", record.data, 0)
                        slides.append(_Slide(place, identifier, []))
                    elif slides:
                        _take_text(record, slides[-1].outline)
                yield from slides


def _records(data: bytes) -> Iterator[tuple[_Record, bool]]:
    """Yield the records that follow each other in some bytes, and whether each holds records itself."""
    at = 0
    while at + 8 <= len(data):
        head, kind, length = unpack("HHI", data, at)
        yield _Record(kind, head >> 4, data[at + 8 : at + 8 + length]), head & 0xF == _CONTAINER
        at += 8 + length


def _take_text(record: _Record, texts: list[Text]) -> None:
    """Add a record to the texts before it: first comes its kind, then its characters [2.9.4]."""
    if record.kind == _TEXT_KIND:
        texts.append((unpack("I", record.data, 0)[0], ""))
    elif record.kind in (_WIDE_TEXT, _NARROW_TEXT) and texts:
        encoding = "utf-16-le" if record.kind == _WIDE_TEXT else "latin-1"
        texts[-1] = (texts[-1][0], record.data.decode(encoding, errors="replace"))


def _write(blocks: Blocks, slide: _Record, outline: list[Text]) -> None:
    shapes = list(_shapes(slide, outline))
    for shape in sorted(shapes, key=lambda shape: not isinstance(shape, tuple) or shape[0] not in _TITLES):
        if not isinstance(shape, tuple):
            blocks.table(shape)
        elif shape[0] in _TITLES:
            blocks.heading(shape[1], 1)
        elif shape[0] in _BODIES:
            for paragraph in shape[1].split(_PARAGRAPH_END):
                blocks.item(paragraph)
        else:
            blocks.paragraph(shape[1].replace(_PARAGRAPH_END, "\n"))


def _write_notes(blocks: Blocks, page: _Record) -> None:
    texts = [shape[1] for shape in _shapes(page, []) if isinstance(shape, tuple)]
    if text := "\n".join(filter(str.strip, texts)).replace(_PARAGRAPH_END, "\n"):
        blocks.paragraph(f"Notes: {text}")


def _shapes(slide: _Record, outline: list[Text]) -> Iterator[Text | list[list[str]]]:
    """Yield the texts of a slide's shapes, and the cells of its tables, in the order of the file."""
    for record in slide.find(_SHAPE, _GROUP):
        if record.kind == _GROUP and _is_table(record):
            yield _cells(record)
        elif record.kind == _GROUP:
            yield from _shapes(record, outline)
        elif text := _text(record, outline):
            yield text


def _text(shape: _Record, outline: list[Text]) -> Text | None:
    """Return what is written in a shape."""
    if any(data.data[4] in _MARGIN for data in shape.find(_PLACEHOLDER)):
        return None
    texts: list[Text] = []
    for record in shape.find(_TEXT_KIND, _WIDE_TEXT, _NARROW_TEXT, _OUTLINE_TEXT):
        if record.kind == _OUTLINE_TEXT:
            (index,) = unpack("I", record.data, 0)
            texts += outline[index : index + 1]
        else:
            _take_text(record, texts)
    return next(((kind, text.replace(_LINE_END, "\n")) for kind, text in texts if text.strip()), None)


def _is_table(group: _Record) -> bool:
    """Tell whether the shapes of a group are the cells of a table; the first of them stands for the group."""
    first = next(group.children(), group)
    return any(
        unpack("H", options.data, 6 * index)[0] & _OPTION_NUMBER == _TABLE_OPTION
        for options in (first.find(_OPTIONS) if first.kind == _SHAPE else ())
        for index in range(options.instance)
    )


def _cells(group: _Record) -> list[list[str]]:
    """Return the cells by where they lie; one that reaches over several rows is repeated in each."""
    placed = []
    for shape in group.find(_SHAPE):
        text = _text(shape, [])
        for anchor in shape.find(_ANCHOR):
            left, top, _, bottom = unpack("4i", anchor.data, 0)
            if text or next(shape.find(_TEXT_BOX), None):
                placed.append((left, top, bottom, text[1] if text else ""))
    columns = sorted({left for left, _, _, _ in placed})
    rows = sorted({top for _, top, _, _ in placed})
    if len(columns) > _MOST_COLUMNS:
        raise InputError(f"has a table of {len(columns)} columns, and the limit is {_MOST_COLUMNS}.")
    cells = [[""] * len(columns) for _ in rows]
    for left, top, bottom, words in placed:
        for row in range(bisect_left(rows, top), bisect_left(rows, bottom)):
            cells[row][bisect_left(columns, left)] = words
    return cells
