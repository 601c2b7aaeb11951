"""PowerPoint 97 to 2003, made as compound files with just the records that are read."""

from __future__ import annotations

import struct

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.ppt import read
from rag.types import Heading
from tests.compound import compound_file

TITLE, BODY, NOTES, OTHER = 0, 1, 2, 4


def record(kind: int, data: bytes, instance: int = 0) -> bytes:
    return struct.pack("<HHI", instance << 4, kind, len(data)) + data


def container(kind: int, *records: bytes, instance: int = 0) -> bytes:
    data = b"".join(records)
    return struct.pack("<HHI", instance << 4 | 0xF, kind, len(data)) + data


def text(kind: int, words: str) -> bytes:
    """Return a text: its kind, then its characters, narrow ones if they allow it."""
    wide = any(ord(character) > 255 for character in words)
    encoded = words.encode("utf-16-le" if wide else "latin-1")
    return record(0xF9F, struct.pack("<I", kind)) + record(0xFA0 if wide else 0xFA8, encoded)


def shape(*box: bytes, placeholder: int | None = None, anchor: tuple[int, ...] = ()) -> bytes:
    data = [record(0xBC3, struct.pack("<iBBH", -1, placeholder, 0, 0))] if placeholder is not None else []
    return container(
        0xF004,
        record(0xF00F, struct.pack("<4i", *anchor)) if anchor else b"",
        container(0xF011, *data),
        container(0xF00D, *box),
    )


def drawing(*shapes: bytes) -> bytes:
    return container(0x40C, container(0xF002, container(0xF003, container(0xF004), *shapes)))


def table(*cells: tuple[str, tuple[int, int, int, int]]) -> bytes:
    marked = container(0xF004, record(0xF122, struct.pack("<HI", 0x39F, 1), instance=1))
    return container(0xF003, marked, *(shape(text(OTHER, words), anchor=anchor) for words, anchor in cells))


def presentation(
    slides: list[tuple[bytes, bytes]], notes: dict[int, bytes] | None = None, token: int = 0xE391C05F
) -> bytes:
    """
    Return a presentation.

    Args:
        slides: the drawing of each, and its texts in the outline.
        notes: drawing of the notes, by the slide's index.
        token: what says whether it is encrypted.
    """
    pages = [container(0x3EE, picture) for picture, _ in slides]
    places = [
        container(0x3F0, record(0x3F1, struct.pack("<II", 256 + slide, 0)), picture)
        for slide, picture in (notes or {}).items()
    ]
    outline = container(
        0xFF0,
        *(
            record(0x3F3, struct.pack("<IIiII", 2 + index, 0, 0, 256 + index, 0)) + texts
            for index, (_, texts) in enumerate(slides)
        ),
    )
    listed = (record(0x3F3, struct.pack("<IIiII", 2 + len(pages) + i, 0, 0, i, 0)) for i in range(len(places)))
    document = container(0x3E8, outline, container(0xFF0, *listed, instance=2))
    stream, offsets = b"", []
    for each in (document, *pages, *places):
        offsets.append(len(stream))
        stream += each
    older = len(stream)
    stream += record(0x1772, struct.pack("<III", 2 << 20 | 1, 9, 9)) + record(
        0xFF5, struct.pack("<IIIIIII", 0, 0, 0, older, 1, 9, 0)
    )
    newer = len(stream)
    stream += record(0x1772, struct.pack("<I", len(offsets) << 20 | 1) + struct.pack(f"<{len(offsets)}I", *offsets))
    edit = len(stream)
    stream += record(0xFF5, struct.pack("<IIIIIII", 0, 0, older + 20, newer, 1, 9, 0))
    user = record(0xFF6, struct.pack("<III", 20, token, edit))
    return compound_file({("PowerPoint Document",): stream, ("Current User",): user})


def test_ppt_has_a_page_for_each_slide_with_its_title_first() -> None:
    shapes = (
        shape(text(BODY, "one\rtwö\x0bthree")),
        shape(text(TITLE, "The title – β")),
        container(0xF003, container(0xF004), shape(text(OTHER, "in a group"))),
        shape(text(OTHER, "7"), placeholder=8),
    )
    extracted = read(presentation([(drawing(*shapes), b""), (drawing(shape(text(OTHER, "bare"))), b"")]), "a.ppt")
    assert extracted.text == "The title – β\n\n- one\n- twö\n  three\n\nin a group\n\nSlide 2\n\nbare"
    assert extracted.headings == (Heading(0, 1, "The title – β"), Heading(48, 1, "Slide 2"))
    assert extracted.page_starts == (0, 48)
    assert extracted.title == "The title – β"


def test_ppt_finds_texts_in_the_outline() -> None:
    box = shape(record(0xF9E, struct.pack("<I", 1)))
    outline = text(TITLE, "Not shown") + text(BODY, "From the outline")
    assert read(presentation([(drawing(box), outline)]), "a.ppt").text == "Slide 1\n\n- From the outline"


def test_ppt_has_tables_with_high_cells_in_each_row() -> None:
    cells = (
        ("A", (0, 0, 10, 10)),
        ("B", (10, 0, 20, 10)),
        ("high", (0, 10, 10, 30)),
        ("1", (10, 10, 20, 20)),
        ("2", (10, 20, 20, 30)),
    )
    text_of = read(presentation([(drawing(table(*cells)), b"")]), "a.ppt").text
    assert text_of == "Slide 1\n\n| A | B |\n| --- | --- |\n| high | 1 |\n| high | 2 |"


def test_ppt_has_the_notes_behind_their_slide() -> None:
    slides = [(drawing(shape(text(TITLE, title))), b"") for title in ("First", "Second")]
    extracted = read(presentation(slides, {1: drawing(shape(text(NOTES, "Say more.")))}), "a.ppt")
    assert extracted.text == "First\n\nSecond\n\nNotes: Say more."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (presentation([], token=0xF3D1C4DF), "is encrypted"),
        (compound_file({("Current User",): bytes(20)}), "no whole stream 'PowerPoint Document'"),
        (compound_file({("Current User",): bytes(20), ("PowerPoint Document",): bytes(8)}), "is damaged"),
        (b"PK\x03\x04", "File is not a zip file"),
        (b"text", "of another kind than its name says"),
    ],
)
def test_ppt_that_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(data, "a.ppt")


def test_ppt_with_groups_nested_too_deeply_is_refused() -> None:
    deep = b""
    for _ in range(2000):
        deep = container(0xF003, deep)
    with pytest.raises(InputError, match="nested deeper than it can be read"):
        formats.read(presentation([(drawing(deep), b"")]), "a.ppt")
