"""PDF: what was put on a page later: form fields, text boxes, comments, attached files."""

from __future__ import annotations

import io

import pypdfium2 as pdfium
from reportlab.pdfgen.canvas import Canvas

from rag.load.pdf import read
from tests.pdfs import drawn, lines, make_pdf, write


def noted(*notes: str) -> bytes:
    return make_pdf(lines("The text of the page."), page=f"/Annots [{' '.join(notes)}]")


def test_form_values_stand_beside_their_labels() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, "Name")
        canvas.acroForm.textfield(value="Ann Olsen", x=120, y=695, width=200, height=18, fontSize=10)
        write(canvas, 72, 660, "Berth")
        canvas.acroForm.choice(value="South", options=["North", "South"], x=120, y=655, width=100, height=18)
        write(canvas, 95, 620, "Insured")
        canvas.acroForm.checkbox(checked=True, x=72, y=617, size=14)
        write(canvas, 95, 590, "Heated")
        canvas.acroForm.checkbox(checked=False, x=72, y=587, size=14)

    found = read(drawn(draw), "a.pdf").text.split()
    assert " ".join(found) == "Name Ann Olsen Berth South [x] Insured [ ] Heated"


def test_text_boxes_are_read_where_they_stand() -> None:
    box = "<< /Type /Annot /Subtype /FreeText /Rect [72 740 300 760] /Contents (Written above.) /DA (/F 10 Tf) >>"
    assert read(noted(box), "a.pdf").text == "Written above.\n\nThe text of the page."


def test_comments_follow_the_page() -> None:
    comments = (
        "<< /Type /Annot /Subtype /Text /Rect [72 740 90 760] /Contents (Is this right?) /T (Ann) >>",
        "<< /Type /Annot /Subtype /Highlight /Rect [72 700 90 710] /Contents (Important.) >>",
        "<< /Type /Annot /Subtype /Text /Rect [72 740 90 760] /Contents (Hidden.) /F 2 >>",
        "<< /Type /Annot /Subtype /Link /Rect [72 740 90 760] /Contents (A link.) >>",
    )
    assert read(noted(*comments), "a.pdf").text == "The text of the page.\n\n[Ann: Is this right?]\n\n[Important.]"


def test_attached_files_are_named() -> None:
    document = pdfium.PdfDocument(make_pdf(lines("Text.")))
    document.new_attachment("figures.xlsx").set_data(b"x")
    file = io.BytesIO()
    document.save(file)
    document.close()
    assert read(file.getvalue(), "a.pdf").warnings == ("has attached files that were not read: figures.xlsx.",)
