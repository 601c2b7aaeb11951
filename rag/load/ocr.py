"""
Text recognition for pictures of text, by the Tesseract program where it is installed.

It is a program, not a library: one process reads one picture from its standard input, is killed when the time is up,
and inherits the limit on memory. Its own measure of confidence decides what is kept: a page upside down, or in a script
whose data is not installed, comes out as letters too, and those must not be taken for text.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from models.base import InputError
from rag.load.pdf_span import Span

INSTALL = "install Tesseract (the program `tesseract`, with the data of your languages)"
SURE = 60.0
"""Mean confidence in per cent, by letters. Measured: text 86 to 95; upside down, or in a script it lacks, 24 to 34."""

_POINTS_PER_INCH = 72
_MOST_LANGUAGES = 4
_LISTING_SECONDS = 10.0
_AUTOMATIC_WITH_ORIENTATION, _AUTOMATIC = "1", "3"
_COLUMNS = 12
_WORD_LEVEL = "5"
_ASCENDING, _DESCENDING = re.compile(r"[^acegmnopqrsuvwxyz.,;:_-]"), re.compile(r"[gjpqyQ,;()\[\]{}|/_$@]")
_HEIGHT, _LOW_HEIGHT, _DEPTH = 0.72, 0.5, 0.22
"""How far letters with and without ascenders reach above the baseline, and descenders below it, in letter sizes."""
_WIDTH = 0.45
"""Letters are about that wide at least, in letter sizes; boxes of words sometimes come out too high, never too wide."""
_USUAL_SIZES = (0.75, 1.3)
"""Sizes this close to the usual one, in its terms, are it: what is measured on a scan varies."""


class Recognised(NamedTuple):
    """
    What was read in a picture.

    Attributes:
        lines: words by line, in points, as if the picture were upright.
        confidence: mean over the letters, in per cent; 0 without any.
        width: of the picture as it was read, in points.
        height: likewise.
    """

    lines: list[list[Span]]
    confidence: float
    width: float
    height: float


class _Word(NamedTuple):
    line: tuple[str, ...]
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    text: str


def is_installed() -> bool:
    """Tell whether the program is there, with the data of a language."""
    return bool(_languages(_program()))


def recognise(picture: bytes, dpi: float | None, seconds: float) -> list[Recognised]:
    """
    Read a picture.

    Args:
        picture: a whole file that Tesseract can read: PNM, PNG, JPEG, TIFF or WebP.
        dpi: its pixels per inch; None leaves them to a guess, and measures in pixels.
        seconds: most time to take.

    Returns:
        What was read, by page; only TIFF has more than one.

    Raises:
        InputError: it is no picture, or needs more memory; a sentence without a subject.
        TimeoutError: it takes longer.
    """
    languages = _languages(_program())
    layout = _AUTOMATIC_WITH_ORIENTATION if "osd" in languages else _AUTOMATIC
    names = "+".join(name for name in languages if name != "osd")
    resolution = [] if dpi is None else ["--dpi", f"{dpi:.0f}"]
    command = [_program(), "stdin", "stdout", "-l", names, "--psm", layout, *resolution, "tsv"]
    try:
        done = subprocess.run(  # noqa: S603 - the command is fixed, the names are those that the program listed
            command, input=picture, capture_output=True, timeout=max(seconds, 0.1), env=_environment(), check=True
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise InputError(f"cannot be read by text recognition ({reason or error}).") from error
    pages: dict[str, list[list[str]]] = {}
    for row in done.stdout.decode(errors="replace").splitlines()[1:]:
        fields = row.split("\t")
        if len(fields) >= _COLUMNS:
            pages.setdefault(fields[1], []).append(fields)
    scale = 1.0 if dpi is None else _POINTS_PER_INCH / dpi
    return [_recognised(rows, scale) for rows in pages.values()]


def _program() -> str:
    return shutil.which("tesseract") or ""


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_THREAD_LIMIT": "1"}  # pages are read side by side instead


@lru_cache(maxsize=1)
def _languages(program: str) -> tuple[str, ...]:
    """Return the languages to look for, English first, and "osd" if pages may be turned; empty without the program."""
    if not program:
        return ()
    listed = subprocess.run(  # noqa: S603 - the command is fixed
        [program, "--list-langs"], capture_output=True, timeout=_LISTING_SECONDS, env=_environment(), check=False
    )
    installed = [name for name in listed.stdout.decode(errors="replace").split("\n")[1:] if name.isidentifier()]
    names = sorted(set(installed) - {"osd", "equ", "snum"}, key=lambda name: (name != "eng", name))[:_MOST_LANGUAGES]
    return (*names, *(["osd"] if names and "osd" in installed else []))


def _recognised(rows: Sequence[Sequence[str]], scale: float) -> Recognised:
    """Read the program's table of a page, its blocks, lines and words; positions are in pixels there."""
    words: list[_Word] = []
    width = height = 0.0
    for level, *place, confidence, text in rows:
        left, top, across, down = (int(field) * scale for field in place[5:9])
        width, height = max(width, left + across), max(height, top + down)
        if level == _WORD_LEVEL and text.strip():
            words.append(_Word(tuple(place[:4]), left, top, left + across, top + down, float(confidence), text.strip()))
    letters = sum(len(word.text) for word in words)
    confidence_by_letters = sum(len(word.text) * word.confidence for word in words) / letters if letters else 0.0
    turns = _turns(words)
    for _ in range(turns):
        words = [_turned(word, width) for word in words]
        width, height = height, width
    return Recognised(_spans(words), confidence_by_letters, width, height)


def _turns(words: Sequence[_Word]) -> int:
    """Return by how many quarters a page was turned clockwise; the program reads its lines where they stand."""
    right = down = below = 0.0
    for before, word in pairwise(words):
        x, y = word.left + word.right - before.left - before.right, word.top + word.bottom - before.top - before.bottom
        if word.line == before.line:
            right, down = right + x, down + y
        else:
            below += y
    if abs(down) > abs(right):
        return 1 if down > 0 else 3
    return 2 if right < 0 and below < 0 else 0


def _turned(word: _Word, width: float) -> _Word:
    """Turn a word with its page, once counter-clockwise."""
    return word._replace(left=word.top, right=word.bottom, top=width - word.right, bottom=width - word.left)


def _spans(words: Sequence[_Word]) -> list[list[Span]]:
    """Put words on the baselines of their lines; lines of about the same size are taken to be of one."""
    lines: dict[tuple[str, ...], list[_Word]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word)
    sizes = {line: _size(held) for line, held in lines.items()}
    usual = median(sizes.values()) if sizes else 0.0
    spans: list[list[Span]] = []
    for line, held in lines.items():
        low, high = (share * usual for share in _USUAL_SIZES)
        size = usual if low <= sizes[line] <= high else sizes[line]
        baseline = median(word.bottom - (_DEPTH * size if _DESCENDING.search(word.text) else 0.0) for word in held)
        spans.append([Span(word.text, word.left, word.right, baseline, size) for word in held])
    return spans


def _size(line: Sequence[_Word]) -> float:
    """Return the size of a line's letters, from their height, unless that is more than their width makes likely."""
    heights = [
        (word.bottom - word.top)
        / ((_HEIGHT if _ASCENDING.search(word.text) else _LOW_HEIGHT) + _DEPTH * bool(_DESCENDING.search(word.text)))
        for word in line
    ]
    width = sum(word.right - word.left for word in line) / sum(len(word.text) for word in line)
    return min(median(heights), width / _WIDTH)
