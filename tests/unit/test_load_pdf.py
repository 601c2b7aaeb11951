"""PDF: pages, titles, outlines, hyphens, and files that hold no text or no PDF."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load.pdf import read
from rag.types import Heading


def make_pdf(*pages: str, trailer: str = "", objects: tuple[str, ...] = (), catalog: str = "") -> bytes:
    """Write a PDF by hand; a page is the inside of a content stream, further objects are numbered from 10."""
    first_page = 10 + len(objects)
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(pages)))
    bodies = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        **dict(enumerate(objects, 10)),
    }
    for i, page in enumerate(pages):
        number = first_page + 2 * i
        bodies[number] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F 3 0 R >> >> "
            f"/Contents {number + 1} 0 R >>"
        )
        bodies[number + 1] = f"<< /Length {len(page)} >>\nstream\n{page}\nendstream"
    data = b"%PDF-1.7\n"
    table = ""
    for number, body in bodies.items():
        table += f"{number} 1\n{len(data):010} 00000 n \n"
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    end = f"xref\n0 1\n0000000000 65535 f \n{table}trailer\n<< /Size 99 /Root 1 0 R {trailer} >>\n"
    return data + f"{end}startxref\n{len(data)}\n%%EOF\n".encode()


def lines(*texts: str, size: int = 12, top: int = 700) -> str:
    return f"BT /F {size} Tf {size} TL 72 {top} Td " + " ".join(f"({text}) ' " for text in texts) + "ET"


def test_pdf_keeps_pages_apart() -> None:
    extracted = read(make_pdf(lines("First page.", "Line two."), lines("Second page.")), "a.pdf")
    assert extracted.text == "First page.\nLine two.\n\nSecond page."
    assert extracted.page_starts == (0, extracted.text.index("Second"))
    assert extracted.warnings == ()


def test_pdf_joins_divided_words_and_keeps_other_hyphens() -> None:
    extracted = read(make_pdf(lines("to exam-", "ine an engine IO-", "470 and so on")), "a.pdf")
    assert "examine" in extracted.text
    assert "IO-470" in extracted.text


def test_pdf_takes_its_own_title_and_metadata() -> None:
    info = ("<< /Title (The Handbook) /Author (Ann) /Subject (unspecified) /CreationDate (D:20240301100000Z) >>",)
    extracted = read(make_pdf(lines("Some text."), objects=info, trailer="/Info 10 0 R"), "a.pdf")
    assert extracted.title == "The Handbook"
    assert dict(extracted.metadata) == {"author": "Ann", "created": "2024-03-01"}


@pytest.mark.parametrize("filled_in", ["untitled", "Microsoft Word - letter.doc", "scan001.pdf", ""])
def test_pdf_takes_large_letters_for_title_where_a_program_filled_it_in(filled_in: str) -> None:
    page = lines("Annual Report", size=24) + lines(*["ordinary text of the page"] * 4, top=600)
    objects = (f"<< /Title ({filled_in}) >>",)
    assert read(make_pdf(page, objects=objects, trailer="/Info 10 0 R"), "a.pdf").title == "Annual Report"


def test_pdf_with_a_title_that_is_no_text_is_read() -> None:
    data = make_pdf(lines("Text."), objects=("<< /Title <FEFFD800> >>",), trailer="/Info 10 0 R")
    assert (read(data, "a.pdf").text, read(data, "a.pdf").title) == ("Text.", "")


def test_pdf_of_one_letter_size_has_no_title() -> None:
    assert read(make_pdf(lines("All the same.", "Nothing large.")), "a.pdf").title == ""


def test_pdf_finds_the_outline_in_the_text() -> None:
    outline = (
        "<< /Type /Outlines /First 11 0 R /Last 12 0 R /Count 2 >>",
        "<< /Title (Beginning) /Parent 10 0 R /Next 12 0 R /Dest [14 0 R /Fit] >>",
        "<< /Title (Not written there) /Parent 10 0 R /Prev 11 0 R /First 13 0 R /Dest [16 0 R /Fit] >>",
        "<< /Title (The  end) /Parent 12 0 R /Dest [16 0 R /Fit] >>",
    )
    pages = lines("Preface.", "1 Beginning", "Text."), lines("More text.", "2 The", "end of it")
    extracted = read(make_pdf(*pages, objects=outline, catalog="/Outlines 10 0 R"), "a.pdf")
    assert extracted.headings == (
        Heading(extracted.text.index("1 Beg"), 1, "Beginning"),
        Heading(extracted.page_starts[1], 1, "Not written there"),
        Heading(extracted.text.index("2 The"), 2, "The end"),
    )


def test_pdf_warns_of_pages_without_text() -> None:
    extracted = read(make_pdf(lines("Text."), "0 0 m 100 100 l S", lines("End.")), "a.pdf")
    assert extracted.warnings == ("has no text on 1 of its 3 pages; they may be scanned.",)
    assert len(extracted.page_starts) == 3
    assert extracted.text[extracted.page_starts[2] :] == "End."


def test_pdf_without_a_text_layer_is_refused() -> None:
    with pytest.raises(InputError, match="no text layer: 2 scanned pages; OCR is needed"):
        read(make_pdf("0 0 m 9 9 l S", ""), "a.pdf")


def test_pdf_with_a_password_is_refused() -> None:
    key = "00" * 32
    encrypt = (f"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <{key}> /U <{key}> >>",)
    data = make_pdf(lines("x"), objects=encrypt, trailer="/Encrypt 10 0 R /ID [<00> <00>]")
    with pytest.raises(InputError, match="needs a password"):
        read(data, "a.pdf")


@pytest.mark.parametrize("data", [b"<html>", b"%PDF-1.7\n", make_pdf(lines("x"))[:300], bytes(1000)])
def test_pdf_that_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is damaged, or no PDF file at all"):
        read(data, "a.pdf")
