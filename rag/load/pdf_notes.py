"""
What people put on a PDF page later: values of form fields, text boxes and comments.

None of it is part of the page's text. Values and text boxes are read where they stand, beside their labels; comments
are read after the page.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pypdfium2.raw as pdfium_c

from rag.load.pdf_span import Span, turned
from rag.load.text import clean

_MOST_NOTES = 2_000
_MOST_BYTES = 1 << 20
_SMALLEST_LETTERS, _LARGEST_LETTERS = 9.0, 12.0
_LETTERS_SHARE = 0.7
"""Letters fill so much of their field's height, up to a usual size."""
_LEADING = 1.2
_UNSEEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_VALUED = {pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX, pdfium_c.FPDF_FORMFIELD_LISTBOX}
_TICKED = {pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON}
_NO_COMMENT = {pdfium_c.FPDF_ANNOT_LINK, pdfium_c.FPDF_ANNOT_POPUP, pdfium_c.FPDF_ANNOT_WIDGET}


class Notes(NamedTuple):
    """What was put on a page: text that has its place in it, and comments."""

    spans: list[Span]
    comments: list[str]


def read_notes(page: ctypes.c_void_p, form: ctypes.c_void_p | None, direction: int) -> Notes:
    """
    Read what was put on a page.

    Args:
        page: PDFium's handle.
        form: the document's form, if it has one.
        direction: of the page's text, see :class:`~rag.load.pdf_words.PageWords`.
    """
    notes = Notes([], [])
    for index in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), _MOST_NOTES)):
        if note := pdfium_c.FPDFPage_GetAnnot(page, index):
            if not pdfium_c.FPDFAnnot_GetFlags(note) & _UNSEEN:
                _read(note, form, direction, notes)
            pdfium_c.FPDFPage_CloseAnnot(note)
    return notes


def _read(note: ctypes.c_void_p, form: ctypes.c_void_p | None, direction: int, notes: Notes) -> None:
    kind = pdfium_c.FPDFAnnot_GetSubtype(note)
    if kind == pdfium_c.FPDF_ANNOT_WIDGET and form:
        notes.spans.extend(_placed(_value(note, form), note, direction))
    elif kind == pdfium_c.FPDF_ANNOT_FREETEXT:
        notes.spans.extend(_placed(_string(note, b"Contents"), note, direction))
    elif kind not in _NO_COMMENT and (comment := _string(note, b"Contents")):
        author = _string(note, b"T")
        notes.comments.append(f"[{author}: {comment}]" if author else f"[{comment}]")


def _value(field: ctypes.c_void_p, form: ctypes.c_void_p) -> str:
    """Return what a field is filled in with, or how it is ticked."""
    kind = pdfium_c.FPDFAnnot_GetFormFieldType(form, field)
    if kind in _TICKED:
        return "[x]" if pdfium_c.FPDFAnnot_IsChecked(form, field) else "[ ]"
    if kind in _VALUED:
        return _text(lambda *buffer: pdfium_c.FPDFAnnot_GetFormFieldValue(form, field, *buffer))
    return ""


def _string(note: ctypes.c_void_p, key: bytes) -> str:
    return _text(lambda *buffer: pdfium_c.FPDFAnnot_GetStringValue(note, key, *buffer))


def _text(read: Callable[..., int]) -> str:
    """Return a string that PDFium writes into a buffer, whose length in bytes it says first."""
    length = read(None, 0)
    if not 2 < length <= _MOST_BYTES:
        return ""
    buffer = (ctypes.c_ushort * (length // 2))()
    read(buffer, length)
    return clean(bytes(buffer)[:-2].decode("utf-16-le", errors="replace")).strip()


def _placed(text: str, note: ctypes.c_void_p, direction: int) -> Iterator[Span]:
    """Yield a note's lines where they stand on the page."""
    box = pdfium_c.FS_RECTF()
    if not text or not pdfium_c.FPDFAnnot_GetRect(note, box):
        return
    (x0, y0), (x1, y1) = turned(box.left, box.bottom, direction), turned(box.right, box.top, direction)
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    lines = text.split("\n")
    height = (bottom - top) / len(lines)
    size = max(_SMALLEST_LETTERS, min(_LARGEST_LETTERS, _LETTERS_SHARE * height))
    for number, line in enumerate(lines):
        baseline = (top + bottom) / 2 + 0.35 * size if len(lines) == 1 else top + size * (1 + _LEADING * number)
        if line.strip():
            yield Span(line.strip(), left, min(right, left + 0.5 * size * len(line)), baseline, size)
