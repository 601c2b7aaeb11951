"""Books: chapters in their order, what they are called, and what they say of themselves."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO

import pytest

from models.base import InputError
from rag.load.epub import read

CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
NAV = "<html><body><nav><ol><li><a href='text/one.xhtml#a'>Chapter <b>one</b></a></li></ol></nav></body></html>"
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>Of ducks</dc:title><dc:creator>Ann</dc:creator><dc:language>en</dc:language><dc:date>2020</dc:date>
</metadata><manifest><item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml"/><item id="two" href="text/two%20b.xhtml"/></manifest>
<spine><itemref idref="two"/><itemref idref="nav"/><itemref idref="one"/></spine></package>"""
ONE = "<?xml version='1.0'?><html><head><title/></head><body><a id='a'/><p>First text.</p></body></html>"
TWO = "<html><body><header><h1>Preface</h1></header><h2>Why</h2><p>Second text.</p><aside>A note.</aside></body></html>"
PARTS = {
    "META-INF/container.xml": CONTAINER,
    "OPS/book.opf": PACKAGE,
    "OPS/nav.xhtml": NAV,
    "OPS/text/one.xhtml": ONE,
    "OPS/text/two b.xhtml": TWO,
}


def book(parts: Mapping[str, str]) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_epub_has_the_chapters_in_the_order_of_reading() -> None:
    extracted = read(book(PARTS), "a.epub")
    assert extracted.text == "Preface\n\nWhy\n\nSecond text.\n\nA note.\n\nChapter one\n\nFirst text."
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "Preface"),
        (2, "Why"),
        (1, "Chapter one"),
    ]
    assert extracted.title == "Of ducks"
    assert dict(extracted.metadata) == {"author": "Ann", "language": "en", "date": "2020"}
    assert extracted.warnings == ()


def test_epub_takes_titles_from_the_older_kind_of_contents() -> None:
    ncx = (
        "<ncx><navMap><navPoint><navLabel><text>The first</text></navLabel><content src='text/one.xhtml'/>"
        "<navPoint><navLabel><text>Below</text></navLabel><content src='text/one.xhtml#x'/></navPoint></navPoint>"
        "</navMap></ncx>"
    )
    package = PACKAGE.replace(' properties="nav"', "").replace("application/xhtml+xml", "application/x-dtbncx+xml")
    extracted = read(book(PARTS | {"OPS/nav.xhtml": ncx, "OPS/book.opf": package}), "a.epub")
    assert extracted.headings[-1].title == "The first"


def test_epub_with_damaged_contents_or_without_a_chapter_is_read_with_warnings() -> None:
    parts = PARTS | {"OPS/nav.xhtml": "<html><body>"}
    del parts["OPS/text/two b.xhtml"]
    extracted = read(book(parts), "a.epub")
    assert "First text." in extracted.text
    assert "has a table of contents that cannot be read" in extracted.warnings[0]
    assert extracted.warnings[1] == "lacks a chapter, 'OPS/text/two b.xhtml'."


def test_epub_chapter_in_another_encoding_is_read() -> None:
    chapter = "<?xml version='1.0' encoding='koi8-r'?><html><body><p>текст</p></body></html>"
    stream = BytesIO(book({name: part for name, part in PARTS.items() if name != "OPS/text/one.xhtml"}))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("OPS/text/one.xhtml", chapter.encode("koi8-r"))
    assert read(stream.getvalue(), "a.epub").text.endswith("текст")


def test_epub_with_encrypted_chapters_is_refused_and_with_encrypted_fonts_is_read() -> None:
    encryption = "<e><CipherReference URI='{}'/></e>"
    fonts = PARTS | {"META-INF/encryption.xml": encryption.format("OPS/font.otf")}
    assert "First text." in read(book(fonts), "a.epub").text
    with pytest.raises(InputError, match="protected against copying"):
        read(book(PARTS | {"META-INF/encryption.xml": encryption.format("OPS/text/two%20b.xhtml")}), "a.epub")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"a": "b"}, "it has no 'META-INF/container.xml'"),
        ({"META-INF/container.xml": "<container/>"}, "names no package document"),
        ({"META-INF/container.xml": CONTAINER}, "it has no 'OPS/book.opf'"),
        ({"META-INF/container.xml": "<container>"}, "no valid XML"),
    ],
)
def test_epub_that_is_none_is_refused(parts: Mapping[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(book(parts), "a.epub")
