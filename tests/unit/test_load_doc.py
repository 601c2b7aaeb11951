"""Word 97 to 2003, made as compound files with just the structures that are read."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.doc import read
from rag.types import Heading
from tests.compound import Path, compound_file

TEXT_AT, STYLES_AT, PARAGRAPHS_AT, PIECES_AT = 0x600, 0, 0x400, 0x800
IN_TABLE, ROW_END = struct.pack("<HB", 0x2416, 1), struct.pack("<HB", 0x2417, 1)


class Paragraph(NamedTuple):
    text: str
    style: int = 0
    modifiers: bytes = b""


def styles(*kinds_and_bases: tuple[int, int]) -> bytes:
    """Return a style sheet: the ten first built-in styles, then others of a kind and a base."""
    every = [(kind, 0xFFF) for kind in range(10)] + list(kinds_and_bases)
    entries = [struct.pack("<HHHHHH", 10, kind, 1 | base << 4, 0, 0, 0) for kind, base in every]
    return struct.pack("<HHHH", 4, len(entries), 10, 0)[:6] + b"".join(entries)


def row_end(*cells: tuple[int, int]) -> bytes:
    """Return the modifiers of the end of a row whose cells end at some places and have some flags."""
    edges = struct.pack(f"<{len(cells) + 1}h", 0, *(edge for edge, _ in cells))
    flags = b"".join(struct.pack("<H18x", flags) for _, flags in cells)
    definition = struct.pack("<B", len(cells)) + edges + flags
    return IN_TABLE + ROW_END + struct.pack("<HH", 0xD608, len(definition) + 1) + definition


def document(
    *paragraphs: Paragraph,
    notes: int = 0,
    flags: int = 0x0200,
    version: int = 0xC1,
    narrow: bool = False,
    others: Mapping[Path, bytes] = MappingProxyType({}),
) -> bytes:
    """Return a document; the last ``notes`` characters are those of the footnotes, ``others`` are further streams."""
    text = "".join(paragraph.text for paragraph in paragraphs)
    encoded = text.encode("cp1252" if narrow else "utf-16-le")
    width = 1 if narrow else 2
    page_at = -(-(TEXT_AT + len(encoded)) // 512)
    ends = [TEXT_AT + width * end for end in accumulate(len(paragraph.text) for paragraph in paragraphs)]
    page, offsets, room = bytearray(512), [], 511
    for paragraph in paragraphs:
        properties = struct.pack("<H", paragraph.style) + paragraph.modifiers
        properties += b"\0" * (1 - len(properties) % 2)
        properties = bytes([(len(properties) + 1) // 2]) + properties
        room = (room - len(properties)) // 2 * 2
        page[room : room + len(properties)] = properties
        offsets.append(room // 2)
    struct.pack_into(f"<{len(ends) + 1}I", page, 0, TEXT_AT, *ends)
    for index, offset in enumerate(offsets):
        page[4 * (len(ends) + 1) + 13 * index] = offset
    page[511] = len(ends)
    place = TEXT_AT * 2 | 1 << 30 if narrow else TEXT_AT
    pieces = struct.pack("<IIHIH", 0, len(text), 0, place, 0)
    table = bytearray(0xA00)
    sheet = styles((62, 0xFFF), (4094, 2), (266, 1))
    table[STYLES_AT : STYLES_AT + len(sheet)] = sheet
    struct.pack_into("<III", table, PARAGRAPHS_AT, TEXT_AT, ends[-1], page_at)
    settings = b"\x01\x03\x00abc\x02" + struct.pack("<I", len(pieces)) + pieces
    table[PIECES_AT : PIECES_AT + len(settings)] = settings
    header = bytearray(TEXT_AT)
    struct.pack_into("<HH6xH", header, 0, 0xA5EC, version, flags)
    struct.pack_into("<8I", header, 0x4C, len(text) - notes, notes, *[0] * 6)
    struct.pack_into("<II", header, 0xA2, STYLES_AT, len(sheet))
    struct.pack_into("<II", header, 0x102, PARAGRAPHS_AT, 12)
    struct.pack_into("<II", header, 0x1A2, PIECES_AT, len(settings))
    stream = (bytes(header) + encoded).ljust(512 * page_at, b"\0") + bytes(page)
    name = "1Table" if flags & 0x0200 else "0Table"
    return compound_file({("WordDocument",): stream, (name,): bytes(table), **others})


@pytest.mark.parametrize("narrow", [True, False])
def test_doc_has_headings_by_style_and_by_outline_level(narrow: bool) -> None:
    data = document(
        Paragraph("Über ducks\r", 10),
        Paragraph("One\r", 1),
        Paragraph("“Text” – \x1fon\x1eline\x0btwo\r"),
        Paragraph("Derived\r", 11),
        Paragraph("Contents\r", 12),
        Paragraph("Three\r", 0, struct.pack("<HB", 0x2640, 2)),
        Paragraph("Body\x0c", 3, struct.pack("<HB", 0x2640, 9)),
        narrow=narrow,
    )
    extracted = read(data, "a.doc")
    assert extracted.text == "Über ducks\n\nOne\n\n“Text” – on-line\ntwo\n\nDerived\n\nContents\n\nThree\n\nBody"
    assert extracted.headings == (
        Heading(0, 1, "Über ducks"),
        Heading(12, 1, "One"),
        Heading(39, 2, "Derived"),
        Heading(58, 3, "Three"),
    )
    assert extracted.title == "Über ducks"


def test_doc_has_lists_and_the_results_of_fields() -> None:
    item = struct.pack("<HBHH", 0x260A, 1, 0x460B, 3)
    link = 'a \x13 HYPERLINK "x" \x13 nested \x15\x14link\x15 b\r'
    toc = (Paragraph("\x13 TOC \x14One\r"), Paragraph("Two\x15\r"))
    data = document(Paragraph(link), Paragraph("item\r", 0, item), *toc)
    assert read(data, "a.doc").text == "a link b\n\n  - item\n\nOne\n\nTwo"


def test_doc_has_tables_with_wide_and_high_cells_in_their_places() -> None:
    cells = [Paragraph(f"{text}\x07", 0, IN_TABLE) for text in "ABC"]
    data = document(
        *cells,
        Paragraph("\x07", 0, row_end((100, 0), (200, 0), (300, 0))),
        Paragraph("wide\r", 0, IN_TABLE),
        Paragraph("two\x07", 0, IN_TABLE),
        Paragraph("c\x07", 0, IN_TABLE),
        Paragraph("\x07", 0, row_end((201, 0), (300, 0x60))),
        *(Paragraph(f"{text}\x07", 0, IN_TABLE) for text in ("x", "y", "")),
        Paragraph("\x07", 0, row_end((100, 0), (200, 0), (300, 0x20))),
        Paragraph("end\r"),
    )
    table = "| A | B | C |\n| --- | --- | --- |\n| wide two |  | c |\n| x | y | c |"
    assert read(data, "a.doc").text == f"{table}\n\nend"


def test_doc_has_the_notes_behind_the_text() -> None:
    data = document(Paragraph("Text\x02 on\r"), Paragraph("\x02 A note.\r"), notes=10)
    assert read(data, "a.doc").text == "Text on\n\n A note."


def test_doc_finds_its_table_stream_by_the_flag() -> None:
    assert read(document(Paragraph("text\r"), flags=0), "a.doc").text == "text"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (document(Paragraph("x\r"), flags=0x0300), "is encrypted"),
        (document(Paragraph("x\r"), version=0x65), "older than that of Word 97"),
        (compound_file({("Workbook",): b"x"}), "no whole stream 'WordDocument'"),
        (compound_file({("WordDocument",): b"\xec\xa5\xc1\0"}), "is damaged: it ends where something is expected"),
        (b"PK\x03\x04", "File is not a zip file"),
        (b"text", "of another kind than its name says"),
    ],
)
def test_doc_that_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(data, "a.doc")


def test_doc_cut_anywhere_is_read_or_refused() -> None:
    data = document(Paragraph("Text\r"), Paragraph("One\r", 1), Paragraph("\x07", 0, row_end((100, 0))))
    for end in range(1, len(data), 37):
        with suppress(InputError):
            assert "Text" in formats.read(data[:end], "a.doc")[1].text


@pytest.mark.parametrize(
    "data",
    [
        rb"{\rtf1 Of ducks}",
        b"\xef\xbb\xbf <HTML><body><p>Of ducks</p></body></HTML>",
        b"Date: today\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>Of ducks</p>",
    ],
)
def test_doc_that_is_something_else_is_read_as_such(data: bytes) -> None:
    assert formats.read(data, "a.doc")[1].text == "Of ducks"


def test_doc_has_the_properties_that_people_filled_in() -> None:
    strings = {2: "Über ducks", 3: "", 4: "Ann", 5: "birds\0\0"}
    values = {1: struct.pack("<IHH", 2, 1252, 0), 12: struct.pack("<IQ", 64, 133_000_000_000_000_000)}
    for number, words in strings.items():
        values[number] = struct.pack("<II", 30, len(words) + 1) + words.encode("cp1252").ljust(48, b"\0")
    values[7] = struct.pack("<II", 30, 1 << 31)
    places = accumulate((len(value) for value in values.values()), initial=8 + 8 * len(values))
    index = b"".join(struct.pack("<II", number, place) for number, place in zip(values, places, strict=False))
    properties = bytes(44) + struct.pack("<III", 48, 0, len(values)) + index + b"".join(values.values())
    extracted = read(document(Paragraph("x\r"), others={("\x05SummaryInformation",): properties}), "a.doc")
    assert extracted.title == "Über ducks"
    assert dict(extracted.metadata) == {"author": "Ann", "keywords": "birds", "created": "2022-06-18"}
    cut = document(Paragraph("x\r"), others={("\x05SummaryInformation",): properties[:60]})
    assert read(cut, "a.doc").text == "x"
