"""
What is drawn on a PDF page beside its text: the lines that may rule a table, and how much of the page pictures cover.

Read through PDFium's page objects, straight out of the drawing operators; curves and slanted lines are left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pypdfium2.raw as pdfium_c

from rag.load.pdf_span import turned

SHORTEST_POINTS = 6.0
"""Shorter lines bound no cell."""

_MOST_OBJECTS = 20_000
_MOST_SEGMENTS = 400
_MOST_LINES = 2_000
"""A page with more of any of these is a drawing; looking for tables in it would take long and find none."""
_DEEPEST_FORM = 4
_THIN_POINTS = 4.0
"""A filled shape of at most this height or width is a line, not an area."""
_TICK_BOX_POINTS = 15.0
"""A shape that is smaller both ways is a box to tick, not a cell."""
_SLANT_POINTS = 0.5
_WHITE = 250
_IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

Matrix = tuple[float, float, float, float, float, float]
Point = tuple[float, float]
Line = tuple[Point, Point]


class Rule(NamedTuple):
    """A straight line along an axis: ``at`` on the other axis, reaching from ``start`` to ``end``, in points."""

    at: float
    start: float
    end: float


class Marks(NamedTuple):
    """
    What is drawn on a page.

    Attributes:
        lines: pairs of end points in the page's own coordinates; empty on a page that is too complicated.
        picture_share: how much of the page pictures cover, about, in ``[0, 1]``.
        paths: number of lines and shapes, whatever their form.
    """

    lines: list[Line]
    picture_share: float
    paths: int

    def rules(self, direction: int) -> tuple[list[Rule], list[Rule]]:
        """Return the horizontal and the vertical lines, in the coordinates of the page's text."""
        horizontal: list[Rule] = []
        vertical: list[Rule] = []
        for start, end in self.lines:
            (x0, y0), (x1, y1) = turned(*start, direction), turned(*end, direction)
            if abs(y0 - y1) <= _SLANT_POINTS:
                horizontal.append(Rule((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
            elif abs(x0 - x1) <= _SLANT_POINTS:
                vertical.append(Rule((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
        return horizontal, vertical


def read_marks(page: ctypes.c_void_p, width: float, height: float) -> Marks:
    """Look at what is drawn on a page of so many points."""
    lines: list[Line] = []
    covered, paths = 0.0, 0
    for count, (item, kind, matrix) in enumerate(_objects(page)):
        if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            covered += _area(item, matrix)
        elif kind == pdfium_c.FPDF_PAGEOBJ_PATH:
            paths += 1
            if len(lines) <= _MOST_LINES:
                lines += _lines(item, matrix)
        if count > _MOST_OBJECTS:
            lines = []
            break
    return Marks(lines if len(lines) <= _MOST_LINES else [], min(1.0, covered / max(1.0, width * height)), paths)


def _objects(page: ctypes.c_void_p) -> Iterator[tuple[ctypes.c_void_p, int, Matrix]]:
    """Yield what a page is made of, with the matrix around it; forms are opened."""
    for index in range(pdfium_c.FPDFPage_CountObjects(page)):
        yield from _opened(pdfium_c.FPDFPage_GetObject(page, index), _IDENTITY, 0)


def _opened(item: ctypes.c_void_p, matrix: Matrix, depth: int) -> Iterator[tuple[ctypes.c_void_p, int, Matrix]]:
    kind = pdfium_c.FPDFPageObj_GetType(item)
    if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
        yield item, kind, matrix
    elif depth < _DEEPEST_FORM:
        inner = _product(_matrix(item), matrix)
        for index in range(pdfium_c.FPDFFormObj_CountObjects(item)):
            yield from _opened(pdfium_c.FPDFFormObj_GetObject(item, index), inner, depth + 1)


def _matrix(item: ctypes.c_void_p) -> Matrix:
    matrix = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFPageObj_GetMatrix(item, matrix)
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _product(inner: Matrix, outer: Matrix) -> Matrix:
    (a, b, c, d, e, f), (p, q, r, s, t, u) = inner, outer
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _applied(matrix: Matrix, x: float, y: float) -> Point:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _bounds(item: ctypes.c_void_p) -> tuple[float, float, float, float]:
    """Return an item's left, bottom, right and top, before the matrix around it."""
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium_c.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _area(item: ctypes.c_void_p, matrix: Matrix) -> float:
    """Return how much a picture covers, in square points."""
    left, bottom, right, top = _bounds(item)
    a, b, c, d, _, _ = matrix
    return abs((right - left) * (top - bottom) * (a * d - b * c))


def _lines(path: ctypes.c_void_p, matrix: Matrix) -> list[Line]:
    """Return the straight lines of a path that is painted; of a thin shape, the one line that it looks like."""
    left, bottom, right, top = _bounds(path)
    (x0, y0), (x1, y1) = _applied(matrix, left, bottom), _applied(matrix, right, top)
    across, down = abs(x1 - x0), abs(y1 - y0)
    if max(across, down) < SHORTEST_POINTS or not _is_painted(path):
        return []
    if across <= _THIN_POINTS:
        return [(((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1))]
    if down <= _THIN_POINTS:
        return [((x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2))]
    if max(across, down) < _TICK_BOX_POINTS:
        return []
    count = pdfium_c.FPDFPath_CountSegments(path)
    if count > _MOST_SEGMENTS:
        return []
    return [line for corners in _outlines(path, count, _product(_matrix(path), matrix)) for line in _thinned(corners)]


def _is_painted(path: ctypes.c_void_p) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium_c.FPDFPath_GetDrawMode(path, fill, stroke)
    return bool(stroke.value or (fill.value and not _is_white(path)))


def _is_white(path: ctypes.c_void_p) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetFillColor(path, red, green, blue, alpha):
        return False
    return alpha.value == 0 or min(red.value, green.value, blue.value) >= _WHITE


def _outlines(path: ctypes.c_void_p, count: int, matrix: Matrix) -> Iterator[list[Point]]:
    """Yield the corners of each part of a path; a part with a curve in it counts as none."""
    x, y = ctypes.c_float(), ctypes.c_float()
    corners: list[Point] = []
    straight = True
    for index in range(count):
        segment = pdfium_c.FPDFPath_GetPathSegment(path, index)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            if straight and corners:
                yield corners
            corners, straight = [], True
        straight = straight and kind != pdfium_c.FPDF_SEGMENT_BEZIERTO
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        corners.append(_applied(matrix, x.value, y.value))
        if pdfium_c.FPDFPathSegment_GetClose(segment):
            corners.append(corners[0])
    if straight and corners:
        yield corners


def _thinned(corners: list[Point]) -> list[Line]:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if len(corners) > 2 and min(right - left, top - bottom) <= _THIN_POINTS:
        if right - left > top - bottom:
            return [((left, (bottom + top) / 2), (right, (bottom + top) / 2))]
        return [(((left + right) / 2, bottom), ((left + right) / 2, top))]
    return list(pairwise(corners))
