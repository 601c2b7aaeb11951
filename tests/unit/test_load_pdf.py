"""PDF: pages, titles, outlines, headings, metadata, and files that are damaged, encrypted or made to be a trap."""

from __future__ import annotations

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from models.base import InputError
from rag.load.pdf import read
from rag.types import Heading
from tests.pdfs import drawn, lines, make_pdf, write

PROSE = (
    "Every morning the keeper climbs the two hundred",
    "steps of the tower, cleans the lamp and writes the",
    "weather of the night into a book that nobody reads.",
)


def test_pdf_keeps_pages_apart() -> None:
    extracted = read(make_pdf(lines("First page.", "Line two."), lines("Second page.")), "a.pdf")
    assert extracted.text == "First page.\nLine two.\n\nSecond page."
    assert extracted.page_starts == (0, extracted.text.index("Second"))
    assert extracted.warnings == ()


def test_pdf_reads_a_sentence_on_over_the_page() -> None:
    first = lines(*PROSE[:2], "weather of the night into a book that has been kept")
    second = lines("since the first keeper came here. It is the third volume.")
    extracted = read(make_pdf(first, second), "a.pdf")
    assert "that has been kept since the first keeper" in extracted.text
    assert extracted.text[extracted.page_starts[1] :].startswith("since the first")


def test_pdf_joins_a_word_that_a_page_divides() -> None:
    first = lines(*PROSE[:2], "weather of the night into a book that was once exam-")
    extracted = read(make_pdf(first, lines("ined by an inspector.")), "a.pdf")
    assert "once examined by" in extracted.text
    assert extracted.text[extracted.page_starts[1] :].startswith("ined by")


def test_pdf_takes_its_own_title_and_metadata() -> None:
    info = ("<< /Title (The Handbook) /Author (Ann) /Subject (unspecified) /CreationDate (D:20240301100000Z) >>",)
    extracted = read(make_pdf(lines("Some text."), objects=info, trailer="/Info 10 0 R"), "a.pdf")
    assert extracted.title == "The Handbook"
    assert dict(extracted.metadata) == {"author": "Ann", "created": "2024-03-01"}


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdf="http://ns.adobe.com/pdf/1.3/"><rdf:Description pdf:Producer="{producer}" xmp:CreateDate="2024-03-01T10:00">
 <dc:title><rdf:Alt><rdf:li xml:lang="x-default">From the packet</rdf:li></rdf:Alt></dc:title>
 <dc:creator><rdf:Seq><rdf:li>Ann</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"""


def with_packet(producer: str) -> bytes:
    packet = XMP.format(producer=producer)
    objects = (f"<< /Type /Metadata /Subtype /XML /Length {len(packet)} >>\nstream\n{packet}\nendstream",)
    objects += ("<< /Producer (Press) >>",)
    return make_pdf(lines("Text."), objects=objects, trailer="/Info 11 0 R", catalog="/Metadata 10 0 R")


def test_pdf_takes_from_its_xmp_packet_what_its_info_lacks() -> None:
    extracted = read(with_packet("Press"), "a.pdf")
    assert extracted.title == "From the packet"
    assert dict(extracted.metadata) == {"author": "Ann", "created": "2024-03-01"}


def test_pdf_ignores_the_packet_of_a_picture_from_elsewhere() -> None:
    assert read(with_packet("Camera"), "a.pdf").title == ""


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


def outline(destination: str = "/Fit") -> tuple[str, ...]:
    return (
        "<< /Type /Outlines /First 11 0 R /Last 12 0 R /Count 2 >>",
        "<< /Title (Beginning) /Parent 10 0 R /Next 12 0 R /Dest [14 0 R /Fit] >>",
        f"<< /Title (Not written there) /Parent 10 0 R /Prev 11 0 R /First 13 0 R /Dest [16 0 R {destination}] >>",
        "<< /Title (The  end) /Parent 12 0 R /Dest [16 0 R /Fit] >>",
    )


def test_pdf_finds_the_outline_in_the_text() -> None:
    pages = lines("Preface to a Beginning.", "1 Beginning", "Text."), lines("More text.", "2 The", "end of it")
    extracted = read(make_pdf(*pages, objects=outline(), catalog="/Outlines 10 0 R"), "a.pdf")
    assert extracted.headings == (
        Heading(extracted.text.index("1 Beg"), 1, "Beginning"),
        Heading(extracted.page_starts[1], 1, "Not written there"),
        Heading(extracted.text.index("2 The"), 2, "The end"),
    )


def test_pdf_puts_a_bookmark_that_is_not_in_the_text_where_it_points() -> None:
    second = lines("Above.") + lines("Below the mark.", top=400)
    data = make_pdf(lines("1 Beginning"), second, objects=outline("/XYZ 0 450 0"), catalog="/Outlines 10 0 R")
    extracted = read(data, "a.pdf")
    assert Heading(extracted.text.index("Below"), 1, "Not written there") in extracted.headings


def test_pdf_without_an_outline_takes_headings_from_the_letters() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 720, "The Lighthouse", size=20, bold=True)
        write(canvas, 72, 690, *PROSE)
        write(canvas, 72, 640, "Visitors", size=10, bold=True)
        write(canvas, 72, 620, *PROSE)
        write(canvas, 72, 570, "Opening hours", size=14, bold=True)
        write(canvas, 72, 550, *PROSE)

    extracted = read(drawn(draw), "a.pdf")
    assert extracted.headings == (
        Heading(0, 1, "The Lighthouse"),
        Heading(extracted.text.index("Visitors"), 3, "Visitors"),
        Heading(extracted.text.index("Opening"), 2, "Opening hours"),
    )


def test_pdf_of_large_letters_only_has_no_headings() -> None:
    slides = [lines(f"Point {i}", size=30) + lines("Another", size=32, top=500) for i in range(3)]
    assert read(make_pdf(*slides), "a.pdf").headings == ()


def test_pdf_does_not_complain_of_blank_pages() -> None:
    extracted = read(make_pdf(lines("Text."), "0 0 m 100 100 l S", lines("End.")), "a.pdf")
    assert extracted.warnings == ()
    assert len(extracted.page_starts) == 3
    assert extracted.text[extracted.page_starts[2] :] == "End."


def test_pdf_without_anything_on_it_holds_no_text() -> None:
    with pytest.raises(InputError, match="holds no text"):
        read(make_pdf("0 0 m 9 9 l S", ""), "a.pdf")


def test_pdf_without_a_user_password_opens() -> None:
    data = drawn(lambda canvas: write(canvas, 72, 700, "Open to all."), encrypt=StandardEncryption("", "owner"))
    assert read(data, "a.pdf").text == "Open to all."


def test_pdf_with_a_password_is_refused() -> None:
    data = drawn(lambda canvas: write(canvas, 72, 700, "Secret."), encrypt=StandardEncryption("user", "owner"))
    with pytest.raises(InputError, match="is encrypted: it opens with a password only"):
        read(data, "a.pdf")


@pytest.mark.parametrize("data", [b"<html>", b"%PDF-1.7\n", make_pdf(lines("x"))[:300], bytes(1000)])
def test_pdf_that_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is damaged, or no PDF file at all"):
        read(data, "a.pdf")


def test_pdf_with_damaged_pages_only_is_refused() -> None:
    data = make_pdf(lines("One."), lines("Two.")).replace(b"/Type /Page ", b"/Type /Pagf ")
    with pytest.raises(InputError, match="is damaged on pages 1-2, which could not be read"):
        read(data, "a.pdf")


def test_pdf_with_a_damaged_page_keeps_the_others() -> None:
    data = make_pdf(lines("One."), lines("Two.")).replace(b"/Type /Page ", b"/Type /Pagf ", 1)
    extracted = read(data, "a.pdf")
    assert (extracted.text, extracted.page_starts) == ("Two.", (0, 0))
    assert extracted.warnings == ("is damaged on page 1, which could not be read.",)


def test_pdf_whose_page_tree_goes_in_circles_is_no_trap() -> None:
    data = make_pdf(lines("Text.")).replace(b"/Kids [10 0 R] /Count 1", b"/Kids [2 0 R]  /Count 9")
    with pytest.raises(InputError, match=r"holds no text|is damaged"):
        read(data, "a.pdf")


def test_pdf_with_very_many_lines_on_a_page_is_read() -> None:
    grid = " ".join(f"{x} 0 m {x} 700 l S" for x in range(30_000))
    assert read(make_pdf(lines("Under a drawing.") + grid), "a.pdf").text == "Under a drawing."


def test_pdf_page_with_endless_text_is_read_without_layout() -> None:
    endless = lines(*["ten words of text on a line that goes on here " * 6] * 500, size=1)
    extracted = read(make_pdf(endless), "a.pdf")
    assert extracted.text.count("ten words") == 3000
    assert extracted.warnings == ("is so long that the layout was not looked at on page 1.",)


def test_pdf_leaves_out_what_is_off_the_page() -> None:
    assert (
        read(make_pdf(lines("Seen.") + lines("Unseen.", top=-50) + lines("Unseen.", left=800)), "a.pdf").text == "Seen."
    )
