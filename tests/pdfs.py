"""PDF files made in tests: by hand, byte for byte, or drawn on a canvas."""

from __future__ import annotations

import io
from collections.abc import Callable

import pypdfium2 as pdfium
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]

WIDTH, HEIGHT = 612, 792


def make_pdf(*pages: str, trailer: str = "", objects: tuple[str, ...] = (), catalog: str = "", page: str = "") -> bytes:
    """Write a PDF by hand; a page is the inside of a content stream, further objects are numbered from 10."""
    first_page = 10 + len(objects)
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(pages)))
    bodies = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        **dict(enumerate(objects, 10)),
    }
    for i, content in enumerate(pages):
        number = first_page + 2 * i
        bodies[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents {number + 1} 0 R "
            f"/Resources << /Font << /F 3 0 R /G 10 0 R >> >> {page} >>"
        )
        bodies[number + 1] = f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"
    data = b"%PDF-1.7\n"
    table = ""
    for number, body in bodies.items():
        table += f"{number} 1\n{len(data):010} 00000 n \n"
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    end = f"xref\n0 1\n0000000000 65535 f \n{table}trailer\n<< /Size 99 /Root 1 0 R {trailer} >>\n"
    return data + f"{end}startxref\n{len(data)}\n%%EOF\n".encode()


def lines(*texts: str, size: int = 12, top: int = 700, left: int = 72) -> str:
    """Write lines below one another, as the inside of a content stream."""
    return f"BT /F {size} Tf {size} TL {left} {top} Td " + " ".join(f"({text}) ' " for text in texts) + "ET\n"


def drawn(*pages: Draw, encrypt: object = None) -> bytes:
    """Draw pages of 612 by 792 points."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(WIDTH, HEIGHT), encrypt=encrypt, invariant=1)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def write(
    canvas: Canvas, x: float, y: float, *texts: str, size: float = 10, leading: float = 12, bold: bool = False
) -> None:
    """Write lines below one another."""
    canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
    for number, text in enumerate(texts):
        canvas.drawString(x, y - number * leading, text)


def picture_of(data: bytes, turned: int = 0) -> ImageReader:
    """Draw the first page of a PDF file as a scanner would see it, turned counter-clockwise by some degrees."""
    document = pdfium.PdfDocument(data)
    image = document[0].render(scale=200 / 72, grayscale=True).to_pil().rotate(turned, expand=True)
    document.close()
    return ImageReader(image)


def scanned(*pages: bytes, turned: int = 0) -> bytes:
    """Make a PDF file of which each page is a picture of another file's first page."""
    width, height = (HEIGHT, WIDTH) if turned % 180 else (WIDTH, HEIGHT)

    def draw(page: bytes) -> Draw:
        return lambda canvas: (
            canvas.setPageSize((width, height)) or canvas.drawImage(picture_of(page, turned), 0, 0, width, height)
        )

    return drawn(*map(draw, pages))
