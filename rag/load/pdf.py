"""
PDF: text in reading order, tables, headings, filled-in forms and comments; scanned pages by text recognition.

The file is opened by PDFium. Its pages are measured one by one (``pdf_page``), what repeats in their margins is left
out (``pdf_margins``), and each is taken apart into tables and columns (``pdf_layout``) and put together again as
paragraphs (``pdf_prose``, ``pdf_text``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from models.base import InputError
from rag.load import ocr
from rag.load.deadline import deadline
from rag.load.pdf_headings import large_title, outline_headings, styled_headings
from rag.load.pdf_info import attachments, read_info
from rag.load.pdf_page import Page, read_page, read_plain_page
from rag.load.pdf_scans import read_scans
from rag.load.pdf_text import PdfText
from rag.load.values import NO_TEXT, Extracted

_MOST_PAGES = 10_000
_READING_SHARE, _WRITING_SHARE = 0.6, 0.2
"""Of the time there is: until then pages are read, and so much is kept for putting the text together."""
_PLAIN_COST, _SURE_AFTER = 0.2, 20
"""What reading a page takes without measuring it, as a share of what measuring took (measured: 0.15)."""


def read(data: bytes, name: str) -> Extracted:
    """
    Read a PDF file.

    Raises:
        InputError: it is damaged, is encrypted, or shows no text that can be read.
    """
    started, until = time.monotonic(), deadline()
    with closing(_open(data)) as document:
        document.init_forms()
        pages, warnings = _pages(document, until)
        warnings += _read_pictures(document, pages, until - _WRITING_SHARE * (until - started))
        written = PdfText(pages, until)
        text = str(written)
        if not text:
            raise InputError(warnings[0] if warnings else NO_TEXT)
        plain = [index for index, page in enumerate(pages) if page.is_plain]
        warnings += _told((plain, "is so long that the layout was not looked at on {}."))
        if files := attachments(document):
            warnings.append(f"has attached files that were not read: {files}.")
        headings = outline_headings(document, text, written.page_starts, written.placed) or styled_headings(
            written.placed, [line for page in pages for line in page.lines]
        )
        title, metadata = read_info(document, data)
        title = title or large_title(written.first_page)
        return Extracted(text, title, tuple(headings), tuple(written.page_starts), metadata, tuple(warnings))


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise InputError("is encrypted: it opens with a password only; save it without one.") from error
        raise InputError(f"is damaged, or no PDF file at all ({error}).") from error


def _pages(document: pdfium.PdfDocument, until: float) -> tuple[list[Page], list[str]]:
    """Measure pages as long as there is time to read all the others; a damaged page is empty."""
    started = time.monotonic()
    reading = _READING_SHARE * (until - started)
    pages: list[Page] = []
    damaged: list[int] = []
    count = min(len(document), _MOST_PAGES)
    reader = read_page
    for index in range(count):
        spent = time.monotonic() - started
        if spent > reading:
            break
        if index >= _SURE_AFTER and spent + (count - index) * _PLAIN_COST * spent / index > reading:
            reader = read_plain_page
        try:
            pages.append(reader(document, index))
        except pdfium.PdfiumError:
            pages.append(Page())
            damaged.append(index)
    warnings = _told((damaged, "is damaged on {}, which could not be read."))
    return pages, warnings + _told((range(len(pages), len(document)), "is so long that there was no time for {}."))


def _read_pictures(document: pdfium.PdfDocument, pages: Sequence[Page], until: float) -> list[str]:
    """Read the pages that are pictures, and say how that went."""
    pictures = [index for index, page in enumerate(pages) if page.is_picture]
    if ocr.is_installed():
        scans = read_scans(document, pages, until)
        warnings = _told(
            (scans.read, "was read by text recognition on {}, where words may be wrong."),
            (scans.late, "may show text in pictures on {}, for which text recognition had no time left."),
            (scans.unclear, "shows text in pictures on {} that could not be made out."),
        )
    elif pictures:
        if not any(page.letters for page in pages):
            scanned = f"{len(pictures)} scanned page{'s' * (len(pictures) > 1)}"
            raise InputError(f"has no text layer: {scanned}; to read them, {ocr.INSTALL}.")
        warnings = [f"may show text in pictures on {_named(pictures)}; to read them, {ocr.INSTALL}."]
    else:
        warnings = []
    unknown = [index for index, page in enumerate(pages) if page.is_unknown]
    return warnings + _told((unknown, "does not say what most letters mean on {}, so words may be wrong there."))


def _told(*stories: tuple[Sequence[int], str]) -> list[str]:
    """Say what holds for some pages, given by index, if there are any."""
    return [story.format(_named(indices)) for indices, story in stories if indices]


def _named(indices: Sequence[int]) -> str:
    """Name pages, as ranges."""
    runs = [
        [index for _, index in run] for _, run in groupby(enumerate(sorted(indices)), lambda pair: pair[1] - pair[0])
    ]
    names = [f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs]
    return f"page{'s' * (len(indices) > 1)} {', '.join(names)}"
