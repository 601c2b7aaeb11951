"""Pages of a PDF file that show their text only in a picture: drawn, and read by text recognition side by side."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
import pypdfium2 as pdfium

from models.base import InputError
from rag.load import ocr
from rag.load.pdf_lines import lines
from rag.load.pdf_page import Page

_DPI = 200
"""Measured on typed pages: 300 takes a third longer and reads no better; 150 loses small print."""
_MOST_PIXELS = 12_000_000
"""A poster is drawn more coarsely; A4 at 300 dpi has 8.7 million."""
_POINTS_PER_INCH = 72
_MOST_AT_ONCE = 4
_LEAST_SECONDS = 1.0
_BETTER = 2
"""What is recognised replaces a text layer if it has so many times its letters."""


class Scans(NamedTuple):
    """
    What became of the pages that show their text in a picture; indices from 0.

    Attributes:
        read: text was recognised.
        late: there was no time left for them.
        unclear: something like text is there, but could not be made out.
    """

    read: list[int]
    late: list[int]
    unclear: list[int]


def read_scans(document: pdfium.PdfDocument, pages: Sequence[Page], deadline: float) -> Scans:
    """
    Read the pages that show their text in a picture, and put their lines into them.

    Args:
        document: the file.
        pages: all of its pages; those that are pictures are changed.
        deadline: ``time.monotonic()`` from which on no further page is read.
    """
    scans = Scans([], [], [])
    under_way: list[tuple[int, Future[ocr.Recognised]]] = []
    at_once = min(_MOST_AT_ONCE, os.cpu_count() or 1)
    with ThreadPoolExecutor(at_once) as pool:
        for index in [index for index, page in enumerate(pages) if page.is_picture or page.is_unknown]:
            if len(under_way) >= at_once:
                _take(*under_way.pop(0), pages, scans)
            if deadline - time.monotonic() < _LEAST_SECONDS:
                scans.late.append(index)
                continue
            under_way.append((index, pool.submit(_recognised, *_drawn(document, index), deadline)))
        for index, future in under_way:
            _take(index, future, pages, scans)
    return scans


def _drawn(document: pdfium.PdfDocument, index: int) -> tuple[bytes, bytes, float]:
    """Draw a page in grey; return the head of a PGM file, its pixels, and its dots per inch."""
    with closing(document[index]) as page:
        width, height = page.get_size()
        scale = min(_DPI / _POINTS_PER_INCH, math.sqrt(_MOST_PIXELS / max(1.0, width * height)))
        with closing(page.render(scale=scale, grayscale=True, may_draw_forms=False)) as bitmap:
            pixels = np.ascontiguousarray(bitmap.to_numpy().reshape(bitmap.height, -1)[:, : bitmap.width])
            return f"P5 {bitmap.width} {bitmap.height} 255\n".encode(), pixels.tobytes(), scale * _POINTS_PER_INCH


def _recognised(head: bytes, pixels: bytes, dpi: float, deadline: float) -> ocr.Recognised:
    """Read a picture, and once more upside down if it made no sense."""
    (found,) = ocr.recognise(head + pixels, dpi, deadline - time.monotonic())
    if found.lines and found.confidence < ocr.SURE and deadline - time.monotonic() > _LEAST_SECONDS:
        (other,) = ocr.recognise(head + pixels[::-1], dpi, deadline - time.monotonic())
        return max(found, other, key=lambda one: one.confidence)
    return found


def _take(index: int, future: Future[ocr.Recognised], pages: Sequence[Page], scans: Scans) -> None:
    """Wait for what was recognised on a page, and put it there if it is better than what the page has."""
    page = pages[index]
    try:
        found = future.result()
    except TimeoutError:
        scans.late.append(index)
    except InputError:
        scans.unclear.append(index)
    else:
        letters = sum(len(word.text) for line in found.lines for word in line)
        if found.confidence < ocr.SURE:
            if letters and not page.letters:
                scans.unclear.append(index)
        elif page.is_unknown or letters >= _BETTER * page.letters:
            page.lines = [part for line in found.lines for part in lines(line, [])]
            page.horizontal, page.vertical, page.others = [], [], []
            page.top, page.bottom, page.is_unknown = 0.0, found.height, False
            scans.read.append(index)
