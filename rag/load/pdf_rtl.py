"""
Right-to-left scripts: the letters and words of a PDF page in the order in which they are read.

A page only says where glyphs stand. PDFium turns right-to-left lines around, but not all of them, and glyph by glyph:
where one glyph stands for several letters (the ligature of lam and alef) it turns those around too, and a vowel sign
that is drawn on its own ends up before its letter. So the order is found again from the places alone.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

import pypdfium2.raw as pdfium_c

from rag.load.pdf_span import Span

LETTERS = "\u05d0-\u05f4\u0620-\u065f\u066e-\u06d5\u06fa-\u07bf\u0840-\u08ff\ufb1d-\ufdfb\ufe70-\ufefc"
"""The letters of right-to-left scripts, as the inside of a character class."""

_LETTER = re.compile(f"[{LETTERS}]")
_PRESENTATION_FORM = re.compile(r"[\ufb1d-\ufdfb\ufe70-\ufefc]")
_LATIN = re.compile(r"[A-Za-z]")
_LAM_ALEF = re.compile("\u0644[\u0622\u0623\u0625\u0627]")
"""Where the file names this ligature as one character, PDFium takes it apart in the right order."""
_WORD = re.compile(r"\S+")
_BRACKETS = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_WRONG_BRACKET = re.compile(r"(?:^|\s)[)\]}»]\S|\S[(\[{«](?:\s|$)")
_SCRIPTS = re.compile(f"[^A-Za-z{LETTERS}]*(?:[{LETTERS}][^A-Za-z]*|[A-Za-z][^{LETTERS}]*)?")


def is_right_to_left(text: str) -> bool:
    """Tell whether most letters are of a right-to-left script."""
    return 2 * len(_LETTER.findall(text)) > sum(map(str.isalpha, text))


def has_letters(text: str) -> bool:
    """Tell whether there is a letter of a right-to-left script."""
    return _LETTER.search(text) is not None


def scripts(text: str) -> list[tuple[int, int]]:
    """Cut a word into spans of one direction; two scripts may touch without a space between them."""
    return [match.span() for match in _SCRIPTS.finditer(text) if match[0]]


def plain_letters(text: str) -> str:
    """Replace the forms that letters take within a word by the letters themselves."""
    return _PRESENTATION_FORM.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def reading_order(text_page: ctypes.c_void_p, letters: str) -> list[int]:
    """
    Return the indices of a page's letters in reading order; words stay where they are.

    Args:
        text_page: PDFium's handle.
        letters: the page's letters, by PDFium's index; some of them of a right-to-left script.
    """
    boxes = _boxes(text_page, len(letters))
    words = [_glyphs(range(*match.span()), boxes) for match in _WORD.finditer(letters) if has_letters(match[0])]
    ways = {word[0][0]: _way(word, letters, boxes) for word in words}
    usual = -1 if sum(ways.values()) <= 0 else 1
    order = list(range(len(letters)))
    for word in words:
        start = word[0][0]
        turned = _turned(word, letters) if (ways[start] or usual) < 0 else _reversed(word, letters)
        order[start : start + len(turned)] = turned
    return _with_signs_behind(order, letters, boxes)


def line_order(words: Sequence[Span]) -> list[Span]:
    """Put the words of a right-to-left line into reading order; left-to-right words among them keep theirs."""
    ordered: list[Span] = []
    for backwards, run in groupby(sorted(words, key=lambda word: -word.right), key=lambda word: has_letters(word.text)):
        held = list(run)
        ordered += held if backwards or not any(_LATIN.search(word.text) for word in held) else _left_to_right(held)
    return ordered


def with_brackets_turned(text: str) -> str:
    """Turn brackets that are drawn the way they look in a right-to-left line, not the way they are read."""
    return text.translate(_BRACKETS) if _WRONG_BRACKET.search(text) else text


def _boxes(text_page: ctypes.c_void_p, count: int) -> list[tuple[float, float]]:
    """Return from where to where each letter reaches."""
    box = pdfium_c.FS_RECTF()
    boxes = []
    for index in range(count):
        pdfium_c.FPDFText_GetLooseCharBox(text_page, index, box)
        boxes.append((box.left, box.right))
    return boxes


def _glyphs(word: range, boxes: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Group the letters of a word that stand in exactly the same place: one glyph was drawn for them."""
    return [list(group) for _, group in groupby(word, key=lambda index: boxes[index])]


def _way(word: list[list[int]], letters: str, boxes: Sequence[tuple[float, float]]) -> int:
    """Tell whether a word's letters stand from left to right (1) or right to left (-1); 0 if in one place."""
    places = [boxes[glyph[0]][0] for glyph in word if has_letters(letters[glyph[0]])]
    return (places[-1] > places[0]) - (places[-1] < places[0])


def _turned(word: list[list[int]], letters: str) -> list[int]:
    """Return the letters of a word that PDFium has turned around: those of one glyph, too."""
    found: list[int] = []
    for glyph in word:
        text = "".join(letters[index] for index in glyph)
        found += glyph[::-1] if has_letters(text) and not _LAM_ALEF.fullmatch(text) else glyph
    return found


def _reversed(word: list[list[int]], letters: str) -> list[int]:
    """Return the letters of a word that is still the way it looks; numbers in it run from left to right."""
    found: list[int] = []
    for is_number, run in groupby(word[::-1], key=lambda glyph: letters[glyph[0]].isdecimal()):
        glyphs = list(run)
        found += [index for glyph in (glyphs[::-1] if is_number else glyphs) for index in glyph]
    return found


def _with_signs_behind(order: list[int], letters: str, boxes: Sequence[tuple[float, float]]) -> list[int]:
    """Put vowel signs behind the letter that they stand over."""
    for k in range(len(order) - 2, -1, -1):
        sign, letter = order[k], order[k + 1]
        if unicodedata.category(letters[sign]) != "Mn" or not _is_within(boxes[sign], boxes[letter]):
            continue
        order[k], order[k + 1] = letter, sign
        if k and letters[order[k - 1]] == " " and _is_within(boxes[order[k - 1]], boxes[letter]):
            del order[k - 1]  # a gap that only the sign's place made
    return order


def _is_within(inner: tuple[float, float], outer: tuple[float, float]) -> bool:
    return outer[0] < (inner[0] + inner[1]) / 2 < outer[1] and inner != outer


def _left_to_right(words: list[Span]) -> list[Span]:
    """Put words that were collected from right to left into their own order; marks at their end belong to the line."""
    marks: list[Span] = []
    while words and not any(map(str.isalnum, words[-1].text)):
        marks.append(words.pop())
    return [*words[::-1], *marks[::-1]]
