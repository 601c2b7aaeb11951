"""Hostile and damaged files, through the real reading process: a named error or text for each, and the next is read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import pytest

from models.base import InputError
from rag.load import Limits, Parser
from rag.load.formats import FORMATS
from tests.compound import compound_file

GOOD = b"# Good\n\ntext\n"
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
LAUGHS = f"<!DOCTYPE x [<!ENTITY l0 '{'ha' * 100}'>" + "".join(
    f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12)
)
PDF_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>"
)
PDF_TEXT = b"<< /Length 36 >>\nstream\nBT /F 12 Tf 20 100 Td (Ducks) Tj ET\nendstream"
PDF_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def package(parts: Mapping[str, str | bytes]) -> bytes:
    """Return an archive."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def office(kind: str, main: str, content: str) -> dict[str, str | bytes]:
    """Return the parts of an Office Open XML document with only a main part."""
    relation = f'<Relationship Id="r" Type="{RELATIONS}/officeDocument" Target="{main}"/>'
    override = (
        f'<Override PartName="/{main}" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/>'
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{RELATIONS}">{override}</Types>',
        "_rels/.rels": f"<Relationships>{relation}</Relationships>",
        main: content,
    }


def word(body: str, declarations: str = "") -> dict[str, str | bytes]:
    document = f'{declarations}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return office("wordprocessingml.document", "word/document.xml", document)


def book(chapter: str | bytes) -> dict[str, str | bytes]:
    return {
        "META-INF/container.xml": "<c><rootfile full-path='b.opf'/></c>",
        "b.opf": "<p><manifest><item id='a' href='a.xhtml'/></manifest><spine><itemref idref='a'/></spine></p>",
        "a.xhtml": chapter,
    }


def pdf(*objects: bytes) -> bytes:
    """Return a PDF file of some objects, numbered from 1; the first is its catalogue."""
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (size, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (size, table, trailer)


def pdf_with_pages(tree: bytes) -> bytes:
    return pdf(b"<< /Type /Catalog /Pages 2 0 R >>", tree, PDF_PAGE, PDF_TEXT, PDF_FONT)


def bomb(name: str, before: Mapping[str, str | bytes]) -> bytes:
    """Return an archive that declares what is true of all but one member, which inflates to 640 MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(64 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    data = block * 10 + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    stream = BytesIO(package(before))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, data)  # stored; two fields below say that it is deflated
    packed = stream.getvalue()
    for mark, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        at = packed.rindex(mark)
        packed = packed[: at + method] + struct.pack("<H", 8) + packed[at + method + 2 :]
        packed = packed[: at + size] + struct.pack("<I", 640 << 20) + packed[at + size + 4 :]
    return packed


GOOD_FILES = {
    "a.docx": package(word("<w:p><w:r><w:t>Ducks</w:t></w:r></w:p>")),
    "a.epub": package(book("<p>Ducks</p>")),
    "a.pdf": pdf_with_pages(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"),
    "a.doc": compound_file({("WordDocument",): b"\xec\xa5\xc1\0" + bytes(5000)}),
    "a.html": b"<html><body><h1>Ducks</h1><table><tr><td>a<td>b<tr><td>c<td>d</table></body></html>",
    "a.json": b'{"ducks": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}',
    "a.jsonl": b'{"name": "Ducks", "n": 1}\n{"name": "b", "n": 2}\n',
    "a.xml": b"<a><ducks><n>a</n><m>1</m></ducks><ducks><n>b</n><m>2</m></ducks></a>",
    "a.eml": b"Subject: Ducks\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\n\nmore\n--x--\n",
    "a.mbox": b"From a Mon Dec  9 20:26:59 2024\nSubject: Ducks\n\ntext\n",
    "a.mht": b"Content-Type: text/html\n\n<p>Ducks</p>",
    "a.rtf": rb"{\rtf1{\stylesheet{\s1 heading 1;}}\pard\s1 Ducks\par\trowd\cellx9\intbl a\cell\row}",
    "a.ipynb": b'{"cells": [{"cell_type": "code", "source": "ducks", "outputs": []}]}',
    "a.adoc": b"= Ducks\n\n|===\n|a\n|===\n",
    "a.md": b"# Ducks\n\n| a |\n| --- |\n| b |\n",
    "a.csv": b"a,b\nducks,2\n",
}


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser(Limits(seconds=20)) as opened:
        yield opened


def read(parser: Parser, data: bytes, name: str) -> str:
    """Read a hostile file, then a good one; return the first one's text or error."""
    try:
        text = parser.parse_bytes(data, name).document.text
        assert text.strip()
    except InputError as error:
        text = f"error: {error}"
        assert text.startswith(f"error: {name} ")
        assert text.endswith(".")
    assert parser.parse_bytes(GOOD, "good.md").document.text == GOOD.decode()
    return text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.docx", bomb("word/media/image1.png", word("<w:p/>"))),
        ("a.epub", bomb("image.png", book("<p>x</p>"))),
        ("a.xlsx", bomb("xl/media/image1.png", {"[Content_Types].xml": "<Types/>"})),
        ("a.odt", bomb("Pictures/image1.png", {"mimetype": "application/vnd.oasis.opendocument.text"})),
    ],
)
def test_an_archive_that_inflates_without_end_is_refused(parser: Parser, name: str, data: bytes) -> None:
    assert len(data) < 1_000_000
    assert "inflates to more than the limit" in read(parser, data, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.xml", f"{LAUGHS}]><x>&l11;</x>".encode()),
        ("a.xml", f"{LAUGHS}]><x y='&l11;'>z</x>".encode()),
        ("a.docx", package(word("<w:p><w:r><w:t>&l11;</w:t></w:r></w:p>", f"{LAUGHS}]>"))),
        ("a.docx", package(word("<w:p w:x='&l11;'/>", f"{LAUGHS}]>"))),
        ("a.epub", package(book(f"{LAUGHS}]><html><body><p>&l11;</p></body></html>"))),
        ("a.html", f"{LAUGHS}]><p>&l11;</p>".encode()),
    ],
)
def test_entities_that_multiply_are_not_expanded(parser: Parser, name: str, data: bytes) -> None:
    assert len(read(parser, data, name)) < 10_000


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b"[" * 100_000),
        ("a.json", b"[" * 100_000 + b"]" * 100_000),
        ("a.jsonl", b'{"a":' * 100_000),
        ("a.ipynb", b'{"cells":' * 100_000),
        ("a.xml", b"<a>x" * 100_000),
        ("a.html", b"<div>x" * 100_000),
        ("a.html", b"<ul><li>x" * 100_000),
        ("a.html", b"<table><tr><td>x" * 20_000),
        ("a.md", b"> " * 100_000),
        ("a.md", b"- " * 100_000),
        ("a.md", b"---\na: " + b"[" * 100_000 + b"\n---\nx"),
        ("a.rtf", rb"{\rtf1 x" + b"{" * 1_000_000),
        ("a.docx", package(word("<w:tbl><w:tr><w:tc>" * 100_000))),
        ("a.epub", package(book("<div>x" * 100_000))),
        ("a.eml", b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(5000))),
        ("a.eml", b"Subject: x\nContent-Type: message/rfc822\n\n" * 5000),
        ("a.adoc", b"----\n" * 1_000_000),
    ],
)
def test_nesting_without_end_is_read_or_refused(parser: Parser, name: str, data: bytes) -> None:
    assert len(read(parser, data, name)) < 20_000_000


@pytest.mark.parametrize(
    "tree",
    [
        b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>",
        b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 2 >>",
        b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>",
        b"<< /Type /Pages /Kids [" + b"3 0 R " * 5000 + b"] /Count 1000000 >>",
    ],
)
def test_pdf_with_pages_without_end_is_read_or_refused(parser: Parser, tree: bytes) -> None:
    assert len(read(parser, pdf_with_pages(tree), "a.pdf")) < 1_000_000


@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ".adoc", ".py", ".csv", ".json", ".html", ".xml", ".rtf"])
def test_a_line_of_ten_megabytes_is_read_or_refused(parser: Parser, suffix: str) -> None:
    line = b"words and | more, " * (10_000_000 // 18)
    data = {
        ".json": b'{"a": "%s"}' % line,
        ".html": b"<p>%s</p>" % line,
        ".xml": b"<a>%s</a>" % line,
        ".rtf": rb"{\rtf1 %s}" % line,
    }.get(suffix, line)
    assert len(read(parser, data, f"a{suffix}")) > 9_000_000


@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_truncated_file_is_read_or_refused(parser: Parser, name: str) -> None:
    data = GOOD_FILES[name]
    for end in sorted({1, 4, len(data) // 4, len(data) // 2, len(data) * 3 // 4, len(data) - 2, len(data) - 1}):
        read(parser, data[:end], name)


@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_file_under_a_wrong_name_is_read_or_refused(parser: Parser, name: str) -> None:
    for suffix in (*{Path(other).suffix for other in GOOD_FILES}, ".xlsx", ".xls", ".pptx", ".ppt", ".odt", ".msg"):
        read(parser, GOOD_FILES[name], f"a{suffix}")


@pytest.mark.parametrize("name", GOOD_FILES.keys() - {"a.doc"})
def test_the_files_that_are_damaged_here_are_read_when_they_are_whole(parser: Parser, name: str) -> None:
    assert "ducks" in read(parser, GOOD_FILES[name], name).lower()


def test_a_pdf_under_the_name_of_a_word_document_is_read_as_pdf(parser: Parser) -> None:
    document = parser.parse_bytes(GOOD_FILES["a.pdf"], "a.docx").document
    assert (document.media_type, document.text) == ("application/pdf", "Ducks")


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_an_empty_file_is_refused(parser: Parser, suffix: str) -> None:
    assert read(parser, b"", f"a{suffix}") == f"error: a{suffix} is empty."
