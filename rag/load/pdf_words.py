"""
The words of a PDF page and where each stands, through PDFium's text page.

PDFium knows the letters and their order within a line. What a line, a column or a table is follows from the positions
alone; this module measures and decides nothing else.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import pypdfium2.raw as pdfium_c

from rag.load import pdf_rtl
from rag.load.pdf_span import SOFT_HYPHEN, Span, turned

_LINE_END_HYPHENS = dict.fromkeys(map(ord, "\x02\ufffe"), SOFT_HYPHEN)
"""PDFium's two marks for a hyphen at the end of a line."""
_LIGATURES = dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
_SYMBOLS = dict.fromkeys(map(ord, "\uf0a7\uf0b7\uf0d8\uf076\uf0fc\uf06c\uf06e"), "•")
"""Bullets of the fonts Symbol and Wingdings, which have no place in Unicode."""
_REPLACED = _LIGATURES | _SYMBOLS
_WORD = re.compile(f"[^\\s{SOFT_HYPHEN}]+{SOFT_HYPHEN}?")
_NO_LETTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
_UNKNOWN = re.compile(r"[\x00-\x1f\ue000-\uf8ff\ufffd]")
_DIRECTION_STEP = 15
"""Angles are rounded to so many degrees: a scan that is a little askew is still read in straight lines."""
_SEMI_BOLD = 600
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18
"""Bits of a font's flags (ISO 32000-1, table 123)."""
_BOLD_NAME = re.compile(rb"bold|black|heavy|cmbx", re.IGNORECASE)
_FIXED_NAME = re.compile(rb"mono|courier|consol|typewriter|cmtt", re.IGNORECASE)
_NAME_BYTES = 128
_SMALLEST_POINTS = 0.5
_RAISED, _SMALLER = 0.2, 0.85
"""Exponents stand so much higher and are so much smaller than the letters before them, in letter sizes."""
_SAMPLED_LETTERS = 200


class PageWords(NamedTuple):
    """
    What is written on a page.

    Attributes:
        direction: of most of the text, in degrees counter-clockwise from the page's own horizontal.
        words: by direction, in the order of the file.
        unknown: share of the letters of which the file does not say what they mean, in ``[0, 1]``.
    """

    direction: int
    words: dict[int, list[Span]]
    unknown: float


def read_words(text_page: ctypes.c_void_p, invisible: bool) -> PageWords:
    """
    Measure the words of a page.

    Args:
        text_page: PDFium's handle.
        invisible: whether letters that are not painted count; behind a scanned page they are its text.
    """
    letters = _letters(text_page)
    measure = _Measure(text_page, invisible)
    words: dict[int, list[Span]] = {}
    for text, first, last in _words(text_page, letters):
        if found := measure.word(text, first, last):
            direction, word = found
            words.setdefault(direction, []).append(word)
    direction = max(words, key=lambda angle: sum(len(word.text) for word in words[angle]), default=0)
    return PageWords(direction, words, _unknown(text_page, letters))


def _letters(text_page: ctypes.c_void_p) -> str:
    """Return the page's letters, each at PDFium's own index."""
    get = pdfium_c.FPDFText_GetUnicode
    codes = [get(text_page, index) for index in range(pdfium_c.FPDFText_CountChars(text_page))]
    return "".join([chr(code) if code <= 0x10FFFF else "\ufffd" for code in codes]).translate(_LINE_END_HYPHENS)


def _words(text_page: ctypes.c_void_p, letters: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word with the indices of its first and its last letter."""
    if not pdf_rtl.has_letters(letters):
        for match in _WORD.finditer(letters):
            yield match[0], match.start(), match.end() - 1
        return
    order = pdf_rtl.reading_order(text_page, letters)
    letters = "".join([letters[index] for index in order])
    for match in _WORD.finditer(letters):
        for start, end in pdf_rtl.scripts(match[0]):
            first, last = order[match.start() + start], order[match.start() + end - 1]
            yield pdf_rtl.plain_letters(match[0][start:end]), first, last


class _Measure:
    """Asks PDFium where letters stand and what they look like; keeps what it needs for asking."""

    def __init__(self, text_page: ctypes.c_void_p, invisible: bool) -> None:
        self._page = text_page
        self._invisible = invisible
        self._box, self._matrix = pdfium_c.FS_RECTF(), pdfium_c.FS_MATRIX()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._box_at, self._matrix_at = ctypes.byref(self._box), ctypes.byref(self._matrix)
        self._x_at, self._y_at = ctypes.byref(self._x), ctypes.byref(self._y)
        self._name, self._flags = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_int()
        self._object = 0
        self._style = (True, False, False)

    def word(self, text: str, first: int, last: int) -> tuple[int, Span] | None:
        """Measure a word; None for one that nobody sees, or that holds no letters."""
        painted, bold, fixed = self._look(first)
        size = self._size(first)
        if not painted or not size >= _SMALLEST_POINTS:
            return None
        a, b = self._matrix.a, self._matrix.b
        direction = 0
        if b or a < 0:
            direction = round(math.degrees(math.atan2(b, a)) / _DIRECTION_STEP) * _DIRECTION_STEP % 360
        baseline = self._baseline(first, direction)
        if text[-1].isdecimal() and last - first == len(text) - 1:
            text = self._with_exponent(text, first, size, baseline, direction)
        text = _NO_LETTERS.sub("", text.translate(_REPLACED))
        if not text:
            return None
        left, right = self._extent(first, direction)
        if last != first:
            begins, ends = self._extent(last, direction)
            left, right = min(left, begins), max(right, ends)
        return direction, Span(text, left, right, baseline, size, bold, fixed)

    def _size(self, index: int) -> float:
        pdfium_c.FPDFText_GetMatrix(self._page, index, self._matrix_at)
        size: float = pdfium_c.FPDFText_GetFontSize(self._page, index)
        return size * math.hypot(self._matrix.c, self._matrix.d)

    def _baseline(self, index: int, direction: int) -> float:
        pdfium_c.FPDFText_GetCharOrigin(self._page, index, self._x_at, self._y_at)
        return turned(self._x.value, self._y.value, direction)[1]

    def _with_exponent(self, text: str, first: int, size: float, baseline: float, direction: int) -> str:
        """Mark raised figures at a word's end: 10^6 must not become 106, nor a note's number part of the word."""
        raised = len(text)
        while raised > 1 and text[raised - 1].isdecimal():
            index = first + raised - 1
            if baseline - self._baseline(index, direction) < _RAISED * size or self._size(index) > _SMALLER * size:
                break
            raised -= 1
        return f"{text[:raised]}^{text[raised:]}" if raised < len(text) else text

    def _extent(self, index: int, direction: int) -> tuple[float, float]:
        """Return from where to where a letter reaches along its line."""
        pdfium_c.FPDFText_GetLooseCharBox(self._page, index, self._box_at)
        box = self._box
        if direction == 0:
            return box.left, box.right
        corners = [turned(x, y, direction)[0] for x in (box.left, box.right) for y in (box.bottom, box.top)]
        return min(corners), max(corners)

    def _look(self, index: int) -> tuple[bool, bool, bool]:
        """Tell whether a letter counts, is bold, and is of fixed width; letters of one object are alike."""
        painter = pdfium_c.FPDFText_GetTextObject(self._page, index)
        address = ctypes.cast(painter, ctypes.c_void_p).value or 0
        if address and address != self._object:
            mode = pdfium_c.FPDFTextObj_GetTextRenderMode(painter)
            painted = self._invisible or mode != pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
            pdfium_c.FPDFText_GetFontInfo(self._page, index, self._name, _NAME_BYTES, self._flags)
            weight, flags, name = (
                pdfium_c.FPDFText_GetFontWeight(self._page, index),
                self._flags.value,
                self._name.value,
            )
            bold = weight >= _SEMI_BOLD or bool(flags & _FORCE_BOLD or _BOLD_NAME.search(name))
            fixed = bool(flags & _FIXED_PITCH or _FIXED_NAME.search(name))
            self._object, self._style = address, (painted, bold, fixed)
        return self._style


def _unknown(text_page: ctypes.c_void_p, letters: str) -> float:
    """Return the share of letters whose meaning is not known, from a sample spread over the page."""
    sample = [i for i in range(0, len(letters), max(1, len(letters) // _SAMPLED_LETTERS)) if not letters[i].isspace()]
    unknown = sum(
        bool(_UNKNOWN.match(letters[i])) or pdfium_c.FPDFText_HasUnicodeMapError(text_page, i) == 1 for i in sample
    )
    return unknown / len(sample) if sample else 0.0
