"""
Words as answers are judged by: whatever the script and the punctuation, with numbers kept as they are.

``models.squad`` stays what the published measures (exact match, F1) are counted with. Here it is asked whether one text
stands in another, and there "1.5 days" must not be "15 days", nor "„Raum 7“" be anything but "Raum 7".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

ARTICLES = ("a", "an", "the")
IN_NUMBERS = ".,:"
MINUS = "-−"

_SPACELESS = ("CJK ", "HIRAGANA", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Beginnings of the names of characters whose scripts put no space between words."""

_LOOSE = re.compile(r"(?<!\d)[.,:]|[.,:](?!\d)|(?<=[^\s.,:])-|-(?!\d)")
"""Of the signs that may belong to a number, those that do not."""

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_INITIALS = re.compile(r"\b[^\W\d_](?:\.[^\W\d_])+\b")
"""As in "9 a.m." and "U.S."."""


def words(text: str) -> list[str]:
    """
    Return a text's words without case, punctuation or articles; where nothing else is left, the articles.

    Numbers keep their sign, their point and their comma, currencies are words, and so is every character of a script
    that puts no space between words.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_WRITTEN)
    plain = _INITIALS.sub(lambda found: found[0].replace(".", ""), plain)
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), plain)
    found = _LOOSE.sub(" ", plain).split()
    return [word for word in found if word not in ARTICLES] or found


def contains(text: str, wanted: str) -> float:
    """Return 1 if the words of the one stand in the other, one behind the other."""
    said = words(wanted)
    return float(stand(said, text) if said else wanted.strip() in text)


def stand(wanted: Sequence[str], text: str) -> bool:
    """Return whether words stand in a text, one behind the other."""
    return f" {' '.join(wanted)} " in _line(text)


def apart(text: str) -> str:
    """Return a text with space around every character of a script that puts none between words."""
    return text if text.isascii() else "".join(f" {one} " if _is_spaceless(one) else one for one in text)


@lru_cache(maxsize=8)
def _line(text: str) -> str:
    """Return a text's words in one line; kept, because a document is asked for many answers."""
    return f" {' '.join(words(text))} "


@lru_cache(maxsize=65_536)
def _is_spaceless(character: str) -> bool:
    is_letter = unicodedata.category(character)[0] in "LM"
    return is_letter and unicodedata.name(character, "").startswith(_SPACELESS)


class _Written(dict[int, str]):
    """What becomes of each character, as ``str.translate`` asks for it."""

    def __missing__(self, code: int) -> str:
        self[code] = self._of(chr(code))
        return self[code]

    def _of(self, character: str) -> str:
        kind = unicodedata.category(character)
        if kind == "Cf":  # soft hyphens, marks of direction
            return ""
        if kind == "Sc" or _is_spaceless(character):
            return f" {character} "
        if character in IN_NUMBERS:
            return character
        if character in MINUS:
            return "-"
        return " " if kind[0] in "PSZC" else character


_WRITTEN = _Written()
