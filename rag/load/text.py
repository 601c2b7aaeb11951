"""
Plain text in any encoding, and what the other readers need of it: decoding, and removing what no text should hold.

Characters are never composed or folded: a quote must be found again in the file as people see it.
"""

from __future__ import annotations

import codecs
import re

import charset_normalizer

from models.base import InputError
from rag.load.values import Extracted

TITLE_LENGTH = 200
"""Longer titles and headings are cut; they are repeated in front of every chunk."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = (
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_BROADER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
"""A declared name -> the superset that is really meant by it, as browsers read it."""

_LINE_END = re.compile(r"\r\n?")
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_BINARY_SHARE = 0.05
_SNIFFED_BYTES = 8192


def read(data: bytes, name: str) -> Extracted:
    """Read a plain text."""
    text, warnings = decode(data)
    return Extracted(text, warnings=warnings)


def clean(text: str) -> str:
    """Make every line end a line feed, and drop control characters (tabs stay) and lone surrogates."""
    return _UNWANTED.sub("", _LINE_END.sub("\n", text))


def one_line(text: str) -> str:
    """Make a title of a text: white space collapsed, not longer than ``TITLE_LENGTH``."""
    words = " ".join(clean(text).split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1].rstrip() + "…"


def decode(data: bytes, declared: str = "") -> tuple[str, tuple[str, ...]]:
    """
    Turn bytes into clean text: a byte order mark decides, else UTF-8 if it fits, else what was declared, else a guess.

    Args:
        data: the bytes.
        declared: the encoding that the file names for itself, for example in a meta element.

    Returns:
        The text as :func:`clean` leaves it, and a warning where the encoding was guessed.

    Raises:
        InputError: the bytes are no text.
    """
    encoding, warnings = _encoding(data, declared)
    text = data.decode(encoding, errors="replace")
    if len(_CONTROL.findall(text)) > _BINARY_SHARE * len(text):
        raise InputError("is binary, not text.")
    return clean(text), warnings


def is_binary(data: bytes) -> bool:
    """Tell whether bytes begin like no text: a zero byte that is not half of a UTF-16 or UTF-32 character."""
    return b"\0" in data[:_SNIFFED_BYTES] and not _wide_encoding(data)


def _encoding(data: bytes, declared: str) -> tuple[str, tuple[str, ...]]:
    """Choose the encoding, with a warning if it is a guess."""
    if wide := _wide_encoding(data):
        return wide, ()
    for candidate in ("utf-8", declared):
        if name := _fitting(data, candidate):
            return name, ()
    matches = charset_normalizer.from_bytes(data, cp_isolation=list(_GUESSES))
    # Of encodings that explain the bytes equally well the more common one is meant: "à" rather than "ŕ".
    best = min(matches, key=lambda m: (m.chaos, -m.coherence, _GUESSES.index(m.encoding)), default=None)
    guess = best.encoding if best else "cp1252"
    return guess, (f"is not in UTF-8; it was read as {guess}, which is a guess.",)


def _wide_encoding(data: bytes) -> str:
    """Name the encoding that a byte order mark, or the pattern of zero bytes of UTF-16, gives away."""
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    sample = data[:_SNIFFED_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > max(1, len(sample) / 3) and even == 0:
        return "utf-16-le"
    if even > max(1, len(sample) / 3) and odd == 0:
        return "utf-16-be"
    return ""


def _fitting(data: bytes, name: str) -> str:
    """Return the codec for a name if there is one and the bytes are valid in it."""
    try:
        canonical = codecs.lookup(name).name
        codec = _BROADER.get(canonical, canonical)
        data.decode(codec)
    except (LookupError, UnicodeError, ValueError):
        return ""
    return codec
