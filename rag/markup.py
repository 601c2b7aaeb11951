"""
The blocks of a text: paragraphs, and what a cut at any blank line or sentence would damage, tables and code.

A table has a header line, a delimiter line of as many cells (``| --- | --- |``), and then one line a row, as GitHub
Flavored Markdown defines it, except that a row must hold a bar. Code stands between fences; in reStructuredText it is
what is indented below a line that ends with ``::``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

Span = tuple[int, int]

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_FENCE = re.compile(r"^[ \t]*+(`{3,}|~{3,})([^\n]*)", re.MULTILINE)
_LITERAL = re.compile(
    r"^(?P<outer>[ \t]*+)"
    r"(?:(?P<directive>\.\.[ ](?:code|code-block|sourcecode|parsed-literal|productionlist)::[^\n]*)"
    r"|(?!\.\.[ ])[^\n]*::[ \t]*)\n(?:[ \t]*+\n)*+(?=(?P<inner>[ \t]++)\S)",
    re.MULTILINE,
)
_DELIMITER = re.compile(r"^[ \t]*+(?:\|[ \t]*+)?:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+$", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*+")


class Kind(Enum):
    """What a block is."""

    PROSE = auto()
    CODE = auto()
    TABLE = auto()


class Block(NamedTuple):
    """
    A part of a text, with the white space behind it.

    Attributes:
        start: character offset of its beginning.
        end: offset behind it; the next block begins there.
        kind: what it is.
        body: of a table, offset of the first row below the delimiter line.
    """

    start: int
    end: int
    kind: Kind
    body: int = 0


def blocks(text: str, span: Span, *, paragraphs: Kind = Kind.PROSE, rst: bool = False) -> Iterator[Block]:
    """
    Take a part of a text apart; the blocks join up to it again.

    Args:
        text: the whole text.
        span: the part, from the beginning of a line to the beginning of another or the end of the text.
        paragraphs: what a paragraph is that is neither in a fence nor in a table.
        rst: whether the text is reStructuredText.
    """
    at, end = span
    for code in _literal_blocks(text, span) if rst else _fences(text, span):
        yield from _tables_and_paragraphs(text, (at, code.start), paragraphs)
        yield code
        at = code.end
    yield from _tables_and_paragraphs(text, (at, end), paragraphs)


def cut(text: str, span: Span, boundary: re.Pattern[str]) -> Iterator[Span]:
    """Cut a part of a text behind every match of ``boundary``; the pieces join up to it again."""
    start, end = span
    for match in boundary.finditer(text, start, end):
        if match.end() > start:
            yield start, match.end()
            start = match.end()
    if start < end:
        yield start, end


def header_ends(text: str, table: Block) -> Iterator[int]:
    """Yield where a table's header may be broken off: below the delimiter line, then behind each column, last first."""
    yield table.body
    line_end = _line_end(text, table.start, table.body)
    bars = [bar.end() for bar in _BAR.finditer(text, table.start, line_end)]
    yield from (end for end in reversed(bars) if text[table.start : end].strip() != "|")


def _tables_and_paragraphs(text: str, span: Span, paragraphs: Kind) -> Iterator[Block]:
    at, end = span
    for table in _tables(text, span):
        for part in cut(text, (at, table.start), _PARAGRAPH):
            yield Block(*part, paragraphs)
        yield table
        at = table.end
    for part in cut(text, (at, end), _PARAGRAPH):
        yield Block(*part, paragraphs)


def _fences(text: str, span: Span) -> Iterator[Block]:
    """Find fenced code; a fence that nothing closes is none."""
    if text.find("```", *span) < 0 and text.find("~~~", *span) < 0:
        return
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text, *span):
        if opening is None:
            opening = fence if fence[1][0] == "~" or "`" not in fence[2] else None
        elif fence[1].startswith(opening[1]) and not fence[2].strip():
            yield Block(opening.start(), _next_text(text, fence.end(), span[1]), Kind.CODE)
            opening = None


def _literal_blocks(text: str, span: Span) -> Iterator[Block]:
    """Find what is indented below ``::``; a directive for code belongs to it, a sentence that ends so does not."""
    at, end = span
    while match := _LITERAL.search(text, at, end):
        at, inner, outer = match.end(), match["inner"], match["outer"]
        if not inner.startswith(outer) or inner == outer:
            continue
        while at < end and (text.startswith(inner, at) or text[at : _line_end(text, at, end)].isspace()):
            at = _line_end(text, at, end)
        yield Block(match.start() if match["directive"] else match.end(), at, Kind.CODE)


def _tables(text: str, span: Span) -> Iterator[Block]:
    low, end = span
    if text.find("|", low, end) < 0:
        return
    for delimiter in _DELIMITER.finditer(text, low, end):
        line = delimiter.start()
        header = text.rfind("\n", low, max(low, line - 1)) + 1 or low
        cells = _cells(delimiter[0])
        if header < line and cells and _cells(text[header:line]) == cells:
            body = at = min(end, delimiter.end() + 1)
            while at < end and text.find("|", at, line_end := _line_end(text, at, end)) >= 0:
                at = line_end
            low = _next_text(text, at, end)
            yield Block(header, low, Kind.TABLE, body)


def _cells(line: str) -> int:
    """Count the cells of a table's line; 0 for a line without a bar."""
    line = line.strip()
    bars = [bar.start() for bar in _BAR.finditer(line)]
    return len(bars) + 1 - (bars[0] == 0) - (0 < bars[-1] == len(line) - 1) if bars else 0


def _line_end(text: str, at: int, end: int) -> int:
    """Return the offset behind the line that ``at`` lies in."""
    found = text.find("\n", at, end)
    return end if found < 0 else found + 1


def _next_text(text: str, at: int, end: int) -> int:
    """Return the offset from ``at`` on at which a line begins that is not blank."""
    match = _BLANK_LINES.match(text, at, end)
    return match.end() if match else at
