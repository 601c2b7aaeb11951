"""
AsciiDoc: the text stays as it is written; titles are recognised by their equals signs or hashes, or by an underline.

Nothing is a title between the delimiters of listings, literal text, tables and comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate

from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import Heading, MetadataValue

_TITLE = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_DELIMITER = re.compile(r"-{4,}|\.{4,}|\+{4,}|/{4,}|`{3,}|[|,:!]={3,}")
_UNDERLINES = "=-~^+"
_SLACK = 1
"""By how many characters an underline may be longer or shorter than its title."""
_ATTRIBUTE = re.compile(r":([A-Za-z0-9][\w-]*):[ \t]+(\S.*)")
_BEFORE_TITLE = re.compile(r"|//.*|\[.*\]|:!?\w[\w-]*!?:.*")
_AUTHOR = re.compile(r"([^\W\d_][\w.'-]*(?: [\w.'-]+){0,2})(?: <[^>]+>)?")
_MARKUP = (
    (re.compile(r"\[\[[^\]]*\]\]|\(\(\([^)]*\)\)\)"), ""),  # anchors, index entries
    (re.compile(r"(?:link|xref|mailto|https?):[^\s\[\]]*\[([^\]]*)\]|<<(?:[^,>]*,)?[ \t]*([^>]*)>>"), r"\1\2"),
    (re.compile(r"(?<!\w)([*_`#]{1,2})(\S(?:.*?\S)?)\1(?!\w)"), r"\2"),
)


def read(data: bytes, name: str) -> Extracted:
    """Read an AsciiDoc file."""
    text, warnings = decode(data)
    lines = [line.rstrip() for line in text.split("\n")]
    headings = tuple(_headings(text, lines))
    title = headings[0].title if headings and headings[0].level == 1 else ""
    return Extracted(text, title, headings, metadata=_metadata(lines), warnings=warnings)


def _headings(text: str, lines: list[str]) -> Iterator[Heading]:
    starts = accumulate((len(line) + 1 for line in text.split("\n")), initial=0)
    delimiter = ""
    for start, line, below, above in zip(starts, lines, [*lines[1:], ""], ["", *lines[:-1]], strict=False):
        if delimiter:
            delimiter = "" if line == delimiter else delimiter
        elif level := _level(line, below, above):
            title = _TITLE.fullmatch(line)
            if words := _plain(title[2] if title else line):
                yield Heading(start, level, words)
        elif _DELIMITER.fullmatch(line) and not _level(above, line, ""):
            delimiter = line


def _level(line: str, below: str, above: str) -> int:
    """Return the level of the title that a line is; 0 if it is none."""
    if title := _TITLE.fullmatch(line):
        return len(title[1])
    sign = below[:1]
    if above or not line or not line[0].isalnum() or not sign or sign not in _UNDERLINES or below.strip(sign):
        return 0
    return _UNDERLINES.index(sign) + 1 if abs(len(line) - len(below)) <= _SLACK else 0


def _metadata(lines: list[str]) -> dict[str, MetadataValue]:
    """Return the attributes in the header, which ends with the first empty line behind the title, and the author."""
    fields: dict[str, MetadataValue] = {}
    title = False
    for line in lines:
        if attribute := _ATTRIBUTE.fullmatch(line):
            fields[attribute[1].lower()] = one_line(attribute[2])
        elif title and (not line or line.startswith("=")):
            break
        elif title and (author := _AUTHOR.fullmatch(line)):
            fields.setdefault("author", author[1])
        elif _TITLE.fullmatch(line):
            title = True
        elif not title and not _BEFORE_TITLE.fullmatch(line):
            break
    return fields


def _plain(title: str) -> str:
    """Take inline markup off."""
    for pattern, replacement in _MARKUP:
        title = pattern.sub(replacement, title)
    return one_line(title)
