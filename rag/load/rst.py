"""
reStructuredText: the text stays as it is written; titles are recognised by their underlines.

The rules are those of docutils: any punctuation character, repeated; an underline shorter than its title only from four
characters on; an equal overline makes another style; levels follow the order in which styles first appear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import Heading

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*")
_SURE_LENGTH = 4
_LONGEST_TITLE = 1000
_LOWEST_LEVEL = 6
_MARKUP = (
    (re.compile(r":[A-Za-z][\w:+.-]*:`[!~]?([^`]*)`"), r"\1"),
    (re.compile(r"``(.+?)``"), r"\1"),
    (re.compile(r"`([^`<]*?)\s*(?:<[^`>]*>)?`_{0,2}"), r"\1"),
    (re.compile(r"(?<!\w)(\*\*?)(\S(?:.*?\S)?)\1(?!\w)"), r"\2"),
    (re.compile(r"\\\s"), ""),
    (re.compile(r"\\(.)"), r"\1"),
)


def read(data: bytes, name: str) -> Extracted:
    """Read a reStructuredText file."""
    text, warnings = decode(data)
    headings = tuple(_headings(text))
    return Extracted(text, headings[0].title if headings else "", headings, warnings=warnings)


def _headings(text: str) -> Iterator[Heading]:
    lines = [line.rstrip() for line in text.split("\n")]
    offsets = _offsets(text)
    levels: dict[tuple[str, bool], int] = {}
    last = -1
    for i, underline in enumerate(lines):
        if i - 1 <= last or not _ADORNMENT.fullmatch(underline) or not lines[i - 1]:
            continue
        overlined = i - 2 > last and lines[i - 2] == underline
        if not _is_title(lines[i - 1], underline, overlined) or not (overlined or i == 1 or not lines[i - 2]):
            continue
        title = _plain(lines[i - 1])
        if title:
            level = levels.setdefault((underline[0], overlined), len(levels) + 1)
            yield Heading(offsets[i - 2 if overlined else i - 1], min(level, _LOWEST_LEVEL), title)
            last = i


def _offsets(text: str) -> list[int]:
    """Return the offset at which each line begins."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _is_title(title: str, underline: str, overlined: bool) -> bool:
    """Tell whether a line can be the title above an underline."""
    if len(underline) < min(len(title), _SURE_LENGTH) or len(title) > _LONGEST_TITLE:
        return False
    if title.startswith(".. ") or _ADORNMENT.fullmatch(title):
        return False
    return overlined or not title[0].isspace()


def _plain(title: str) -> str:
    """Take inline markup off."""
    for pattern, replacement in _MARKUP:
        title = pattern.sub(replacement, title)
    return one_line(title)
