"""Words to lines: words that follow one another on one baseline, cut where a column or a table's cell ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median

from rag.load import pdf_rtl
from rag.load.pdf_marks import Rule
from rag.load.pdf_span import SOFT_HYPHEN, Span

LIST_MARK = re.compile(
    r"[•‣◦⁃∙●○■□▪▫◆◇►▶➢➤✓✔☐☑☒\uf000-\uf0ff]|[-–—*·](?=\s|$)|\[\d{1,3}\]"
    r"|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)](?=\s|$)"
)
"""What the items of a list begin with."""
GAP = 0.9
"""White space this wide, in letter sizes, ends a line: spaces in justified text are narrower, columns further apart."""

_MARK_GAP = 4.0
"""Likewise between the mark of a list's item and its text."""
_SAME_LINE = 0.5
"""A raised or lowered letter stands at most so far from its line, in letter sizes."""
_WIDE = 0x1100
"""From here on scripts begin whose letters are about twice as wide."""
_TOUCHING = 1.0
"""A word may reach so many points over a drawn line that ends its cell."""
_SAME_PLACE = 0.25
"""Words that begin this close together, in letter sizes, and read the same were drawn twice to look bold."""


def lines(words: Sequence[Span], verticals: Sequence[Rule]) -> list[Span]:
    """
    Join words into lines.

    Args:
        words: of one direction, in the order of the file.
        verticals: lines drawn down the page; text on two sides of one is not joined.
    """
    return [_joined(piece) for row in _rows(words) for piece in _cut(row, verticals)]


def width_in_letters(text: str) -> int:
    """Return how many Latin letters would take the place of a text, about."""
    return sum(2 if ord(letter) >= _WIDE else 1 for letter in text)


def _rows(words: Sequence[Span]) -> Iterator[list[Span]]:
    """Group words that follow one another on one baseline; raised letters belong to it."""
    row: list[Span] = []
    for word in words:
        if row and abs(word.baseline - row[-1].baseline) > _SAME_LINE * max(word.size, row[-1].size):
            yield row
            row = []
        row.append(word)
    if row:
        yield row


def _cut(row: list[Span], verticals: Sequence[Rule]) -> Iterator[list[Span]]:
    """Cut a row at wide gaps and at drawn lines."""
    middle = (row[0].top + row[0].bottom) / 2
    crossing = [rule.at for rule in verticals if rule.start <= middle <= rule.end]
    piece: list[Span] = []
    end = 0.0
    for word in sorted(row, key=lambda word: word.left):
        if piece and _is_apart(piece, end, word, crossing):
            yield piece
            piece = []
        end = max(end, word.right) if piece else word.right
        if not (piece and _is_again(word, piece[-1])):
            piece.append(word)
    if piece:
        yield piece


def _is_apart(piece: list[Span], end: float, word: Span, verticals: Sequence[float]) -> bool:
    mark = LIST_MARK.fullmatch(piece[0].text) if len(piece) == 1 else None
    if word.left - end > (_MARK_GAP if mark else GAP) * max(word.size, piece[-1].size):
        return True
    return any(end - _TOUCHING <= at <= word.left + _TOUCHING for at in verticals)


def _is_again(word: Span, before: Span) -> bool:
    return word.text == before.text and abs(word.left - before.left) < _SAME_PLACE * word.size


def _joined(words: list[Span]) -> Span:
    """Write words, from left to right, as one line; it looks like most of its letters."""
    backwards = pdf_rtl.is_right_to_left("".join(word.text for word in words))
    if backwards:
        words = pdf_rtl.line_order(words)
    text = words[0].text
    for word in words[1:]:
        text = text[:-1] + word.text if text.endswith(SOFT_HYPHEN) else f"{text} {word.text}"
    largest = max(words, key=lambda word: len(word.text) * word.size)
    return Span(
        pdf_rtl.with_brackets_turned(text) if backwards else text,
        min(word.left for word in words),
        max(word.right for word in words),
        median(word.baseline for word in words),
        largest.size,
        all(word.bold for word in words),
        all(word.fixed for word in words),
    )
