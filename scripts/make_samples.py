"""
Set the sample handbook's three manuals as PDF files.

The manuals are written in Markdown, in ``docs/samples/pdf-sources``, and the PDFs in ``docs/samples/handbook/manuals``
are committed beside them, so only someone who edits a manual needs this script or ReportLab. The same sources give the
same bytes on every run of the ReportLab named below: no dates, no random identifiers, no compression, and no fonts but
those that every PDF reader has.

Run it from the repository's root::

    pip install reportlab==5.1.0 markdown-it-py
    python -m scripts.make_samples
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

SAMPLES = Path(__file__).resolve().parents[1] / "docs" / "samples"
SOURCES = SAMPLES / "pdf-sources"
MANUALS = SAMPLES / "handbook" / "manuals"
COMPANY = "Pelloray Sound Ferries"

MARGIN = 24 * mm
PADDING = 6  # points by which ReportLab sets a frame's content in from the frame
TEXT_WIDTH = A4[0] - 2 * MARGIN
NAVY = colors.HexColor("#1b3a57")

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=11, leading=15.5, spaceAfter=7)
ITEM = ParagraphStyle("item", parent=BODY, leftIndent=17, bulletIndent=3, bulletFontSize=11, spaceAfter=3)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=10, leading=12.5, spaceAfter=0)
HEADINGS = {
    f"h{level}": ParagraphStyle(
        f"h{level}",
        parent=BODY,
        fontName="Helvetica-Bold",
        fontSize=size,
        leading=1.25 * size,
        spaceBefore=before,
        spaceAfter=after,
        textColor=NAVY,
        keepWithNext=1,
    )
    for level, size, before, after in ((1, 22, 0, 8), (2, 14, 14, 6), (3, 11.5, 8, 4))
}

MARKDOWN = MarkdownIt("commonmark").enable("table")


def main() -> None:
    """Write one PDF for each Markdown source."""
    MANUALS.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.md")):
        target = MANUALS / f"{source.stem}.pdf"
        typeset(source.read_text(encoding="utf-8"), target)
        print(f"{target.relative_to(SAMPLES)}: {target.stat().st_size:,} bytes")


def typeset(markdown: str, target: Path) -> None:
    """
    Write a PDF of A4 pages with running heads, page numbers and an outline.

    Args:
        markdown: the text; its first line is the title, a heading of level 1.
        target: where the PDF goes; an existing file is replaced.
    """
    tree = SyntaxTreeNode(MARKDOWN.parse(markdown))
    title = tree.children[0].children[0].content
    document = SimpleDocTemplate(
        str(target),
        pagesize=A4,
        leftMargin=MARGIN - PADDING,
        rightMargin=MARGIN - PADDING,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=title,
        author=COMPANY,
        lang="en-GB",
        invariant=1,
        pageCompression=0,
    )
    # ReportLab calls this hook for each element once it stands on a page, which is when an outline can point to it.
    document.afterFlowable = partial(_outline, document)
    frame = partial(_page_frame, title=title)
    document.build(list(_flowables(tree)), onFirstPage=frame, onLaterPages=frame)


def _outline(document: SimpleDocTemplate, element: Flowable) -> None:
    """Add a heading that has just been placed to the PDF's outline."""
    if isinstance(element, Paragraph) and element.style in HEADINGS.values():
        text = element.getPlainText()
        document.canv.bookmarkPage(text)
        document.canv.addOutlineEntry(text, text, level=int(element.style.name[1:]) - 1)


def _page_frame(canvas: Canvas, document: SimpleDocTemplate, title: str) -> None:
    """Draw a page's head and its number."""
    canvas.saveState()
    canvas.setFont("Helvetica", 8.5)
    canvas.setFillColor(NAVY)
    canvas.drawString(MARGIN, A4[1] - 14 * mm, COMPANY)
    canvas.drawRightString(A4[0] - MARGIN, A4[1] - 14 * mm, title)
    canvas.drawCentredString(A4[0] / 2, 13 * mm, f"Page {document.page}")
    canvas.restoreState()


def _flowables(tree: SyntaxTreeNode) -> Iterator[Flowable]:
    """Yield what ReportLab places, block by block."""
    for block in tree.children:
        if block.type == "heading":
            yield _paragraph(block.children[0], HEADINGS[block.tag])
        elif block.type == "paragraph":
            yield _paragraph(block.children[0], BODY)
        elif block.type in ("bullet_list", "ordered_list"):
            for number, item in enumerate(block.children, start=1):
                bullet = f"{number}." if block.type == "ordered_list" else "•"
                yield _paragraph(item.children[0].children[0], ITEM, bullet)
            yield Spacer(0, 4)
        elif block.type == "table":
            yield _table(block)
            yield Spacer(0, 10)
        else:
            raise ValueError(f"the manuals' layout has no {block.type!r}: use headings, paragraphs, lists and tables")


def _paragraph(inline: SyntaxTreeNode, style: ParagraphStyle, bullet: str | None = None) -> Paragraph:
    """Return a paragraph; ReportLab reads the ``<em>`` and ``<strong>`` that Markdown gives."""
    return Paragraph(MARKDOWN.renderInline(inline.content), style, bulletText=bullet)


def _table(block: SyntaxTreeNode) -> Table:
    """Return a ruled table whose columns share the text's width by their longest cells."""
    rows = [[cell.children[0] for cell in row.children] for part in block.children for row in part.children]
    longest = [max(len(cell.content) for cell in column) for column in zip(*rows, strict=True)]
    weights = [min(max(length, 12), 40) for length in longest]
    return Table(
        [[_paragraph(cell, CELL) for cell in row] for row in rows],
        colWidths=[TEXT_WIDTH * weight / sum(weights) for weight in weights],
        style=[
            ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#dde7f0")),
            ("GRID", (0, 0), (-1, -1), 0.5, colors.HexColor("#8fa3b5")),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("NOSPLIT", (0, 0), (-1, -1)),
        ],
    )


if __name__ == "__main__":
    main()
