"""Putting the text of one line behind that of another, as it was before a line ended between them."""

from __future__ import annotations

import re
from collections.abc import Callable

from rag.load.pdf_span import SOFT_HYPHEN

IsWord = Callable[[str], bool]

_HYPHENED = re.compile(f"(-?\\w+)[-{SOFT_HYPHEN}]$")
_WORD = re.compile(r"\w+")
_DASH = re.compile(r"\w[—–/]$")
_NO_SPACES = re.compile("[\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Han, kana and their punctuation: written without spaces between words."""
_HANGUL = re.compile("[\uac00-\ud7a3]")
"""Korean puts spaces between words, and still breaks lines within them."""


def joined(text: str, more: str, is_word: IsWord = lambda word: False) -> str:
    """
    Put the text of the next line behind a text; a word that the line's end divided becomes one again.

    Args:
        text: what there is, not empty.
        more: the next line, not empty.
        is_word: whether the document holds a word elsewhere; decides what becomes of a hyphen.
    """
    divided, rest = _HYPHENED.search(text), _WORD.match(more)
    if divided and rest:
        return text[:-1] + ("" if _is_divided(divided[1], rest[0], is_word) else "-") + more
    if _DASH.search(text) or (_NO_SPACES.match(text[-1]) and _NO_SPACES.match(more)):
        return text + more
    if _HANGUL.match(text[-1]) and _HANGUL.match(more) and is_word(text.split()[-1] + more.split()[0]):
        return text + more
    return f"{text} {more}"


def is_hyphened(text: str) -> bool:
    """Tell whether a line ends in a word with a hyphen."""
    return _HYPHENED.search(text) is not None


def _is_divided(first: str, second: str, is_word: IsWord) -> bool:
    """Tell whether a hyphen at a line's end divides one word, rather than joining two."""
    if first[0] == "-" or not first[-1].isalpha() or not second[0].islower():
        return False
    if is_word(first + second):
        return True
    return not (is_word(f"{first}-{second}") or (is_word(first) and is_word(second)))
