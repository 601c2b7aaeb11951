"""
Rows of a PDF page to paragraphs: lines that the page's width broke are joined, those that were meant to end are kept.

A line was meant to end where the next line's first word would have fitted behind it. Everything else that parts
paragraphs is looked at too: spacing, indentation, a change of letters, and the marks of list items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rag.load.pdf_joining import IsWord, is_hyphened, joined
from rag.load.pdf_lines import LIST_MARK, width_in_letters
from rag.load.pdf_rtl import is_right_to_left
from rag.load.pdf_span import Span

_LEADERS = re.compile(r"(?:\s?[.…_·]){4,}\s?")
_SENTENCE_END = re.compile(r"[.!?:;。！？][\"”’')\]]*$")

_INDENT = 0.8
"""How far a line begins behind the others to be indented, in letter sizes."""
_MOST_INDENT = 5.0
_LEADING, _WIDEST_LEADING, _KNOWN_AFTER = 1.3, 2.6, 4
"""From baseline to baseline, in letter sizes: where little is known, and at most; and how many steps make it known."""
_WHITE_SPACE = 1.3
_LIST_SPACE = 2.2
"""From so many leadings on there is white space between two lines, or between two items of a list."""
_SAME_SIZE = 0.07
_OTHER_SIZE = 1.3
_APART = 2.0
"""Text so far apart, in letter sizes, stands side by side on purpose; such a row is a line of its own."""
_SLACK, _PROSE_SLACK = 0.3, 1.5
_OPEN = 3.0
"""What may be left free behind a full line, in letter sizes: beside a word that did not fit (lines of prose are seldom
ended on purpose), and altogether."""
_SHORT_LINE = 30
"""Lines with fewer letters, outside of prose, are names, values or addresses."""
_PROSE_LINES = 3
_PROSE_LETTERS = 18
_PROSE_SHARE = 0.65


@dataclass(slots=True)
class Paragraph:
    """
    A paragraph, or the items of a list.

    Attributes:
        text: lines that were meant to end are kept as lines.
        size: of its first line's letters, in points.
        bold: whether all of its first line is bold.
        top: baseline of the first line, as in :class:`~rag.load.pdf_span.Span`.
        lines: number of lines on the page.
        is_row: whether its first line has parts that stand side by side.
        is_open: whether its last line is full and ends no sentence.
    """

    text: str
    size: float
    bold: bool
    top: float
    lines: int = 1
    is_row: bool = False
    is_open: bool = False


class _Line(NamedTuple):
    """A row of a column; ``start`` and ``end`` grow in reading direction. ``apart``: it has parts side by side."""

    text: str
    start: float
    end: float
    baseline: float
    size: float
    bold: bool
    fixed: bool
    apart: bool

    @property
    def first_word(self) -> float:
        """About how wide the first word is, in points."""
        return (self.end - self.start) * len(self.text.split(maxsplit=1)[0]) / len(self.text)


class _Block(NamedTuple):
    """
    Lines of one size that follow closely.

    Attributes:
        end: how far a line may reach.
        leading: from baseline to baseline, in points.
        prose: whether most lines are full, so that one that is not ends a paragraph.
    """

    lines: list[_Line]
    end: float
    leading: float
    prose: bool


def paragraphs(rows: Sequence[Sequence[Span]], is_word: IsWord) -> list[Paragraph]:
    """
    Join the rows of columns that are read one after the other.

    Args:
        rows: lines of text side by side, in reading order.
        is_word: whether the document holds a word elsewhere; decides what becomes of hyphens at line ends.
    """
    writer = _Writer(is_word)
    for column in _columns([_line(part) for row in rows for part in _parts(row)]):
        for block in _blocks(column):
            writer.write(block)
        writer.end_column()
    return writer.found


def goes_on(before: Paragraph, after: Paragraph) -> bool:
    """Tell whether a paragraph is the rest of the one that ended the column or page before it."""
    alike = abs(before.size - after.size) <= _SAME_SIZE * before.size and before.bold == after.bold
    return alike and before.is_open and (after.text[:1].islower() or is_hyphened(before.text))


def _parts(row: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Take apart what stands side by side in letters of different sizes, as a title and a date do."""
    sizes = [span.size for span in row]
    if max(sizes) > _OTHER_SIZE * min(sizes) and _is_apart(row):
        yield from ([span] for span in row)
    else:
        yield row


def _is_apart(row: Sequence[Span]) -> bool:
    ordered = sorted(row, key=lambda span: span.left)
    return any(after.left - before.right > _APART * before.size for before, after in pairwise(ordered))


def _line(row: Sequence[Span]) -> _Line:
    text, led = _LEADERS.subn(" … ", " ".join(span.text for span in row))
    left, right = min(span.left for span in row), max(span.right for span in row)
    start, end = (-right, -left) if is_right_to_left(text) else (left, right)
    largest = max(row, key=lambda span: len(span.text))
    bold, fixed = all(span.bold for span in row), all(span.fixed for span in row)
    return _Line(text.strip(), start, end, row[0].baseline, largest.size, bold, fixed, led > 0 or _is_apart(row))


def _columns(lines: list[_Line]) -> Iterator[list[_Line]]:
    """Cut where the next line is further up: there another column begins."""
    column: list[_Line] = []
    for line in lines:
        if column and line.baseline < column[-1].baseline:
            yield column
            column = []
        column.append(line)
    if column:
        yield column


def _blocks(column: list[_Line]) -> Iterator[_Block]:
    """Cut a column where the size of the letters changes, and at white space."""
    steps = sorted((b.baseline - a.baseline) / a.size for a, b in pairwise(column) if _is_same_size(a, b))
    widest = _WIDEST_LEADING if len(steps) >= _KNOWN_AFTER else _LEADING
    leading = min(max(steps[len(steps) // 4] if steps else _LEADING, 1.0), widest)
    edge = sorted(line.end for line in column)[-2:][0]
    block = column[:1]
    for before, line in pairwise(column):
        if not _is_same_size(before, line) or line.baseline - before.baseline > _WHITE_SPACE * leading * before.size:
            yield _block(block, edge, leading)
            block = []
        block.append(line)
    yield _block(block, edge, leading)


def _is_same_size(a: _Line, b: _Line) -> bool:
    return abs(a.size - b.size) <= _SAME_SIZE * a.size


def _block(lines: list[_Line], edge: float, leading: float) -> _Block:
    """Tell prose from other lines; how far those may reach is seen from the column's edge, which two lines make."""
    end = max(line.end for line in lines)
    full = sum(_is_full(a, b, end) for a, b in pairwise(lines))
    letters = sum(width_in_letters(line.text) for line in lines)
    prose = len(lines) >= _PROSE_LINES and letters >= _PROSE_LETTERS * len(lines)
    prose = prose and full >= _PROSE_SHARE * (len(lines) - 1)
    return _Block(lines, end if prose else edge, leading * lines[0].size, prose)


def _is_full(line: _Line, after: _Line, end: float, slack: float = _SLACK) -> bool:
    """Tell whether the next line's first word would not have fitted behind a line that ends where lines end."""
    return -line.size <= end - line.end <= after.first_word + slack * line.size


class _Writer:
    """Puts line after line behind what is written already."""

    def __init__(self, is_word: IsWord) -> None:
        self.found: list[Paragraph] = []
        self._is_word = is_word
        self._first: _Line | None = None  # of the paragraph or the list item that is being written
        self._before: _Line | None = None

    def end_column(self) -> None:
        """Begin a new paragraph with the next line."""
        self._before = None

    def write(self, block: _Block) -> None:
        """Write the lines of a block."""
        margin = min((line.start for line in block.lines if line.fixed), default=0.0)
        for line in block.lines:
            text = line.text
            if line.fixed:
                width = (line.end - line.start) / len(text)
                text = " " * round((line.start - margin) / width) + text
            self._write(line, text, block)
            is_open = not _SENTENCE_END.search(text) and block.end - line.end <= _OPEN * line.size
            self.found[-1].is_open = is_open
            self._before = line

    def _write(self, line: _Line, text: str, block: _Block) -> None:
        before, first = self._before, self._first
        if before is None or first is None or self._begins(before, first, line, block):
            self.found.append(Paragraph(text, line.size, line.bold, line.baseline, is_row=line.apart))
            self._first = line
            return
        paragraph = self.found[-1]
        paragraph.lines += 1
        if self._is_line_end(before, line, block):
            paragraph.text += f"\n{text}"
            self._first = line
        else:
            paragraph.text = joined(paragraph.text, text, self._is_word)

    def _begins(self, before: _Line, first: _Line, line: _Line, block: _Block) -> bool:
        """Tell whether a line begins a paragraph."""
        step, listed = line.baseline - before.baseline, bool(LIST_MARK.match(line.text))
        if not _is_same_size(before, line):
            return True
        if listed and LIST_MARK.match(first.text):
            return step > _LIST_SPACE * block.leading
        if step > _WHITE_SPACE * block.leading:
            return True
        if listed or (line.fixed and before.fixed) or line.apart or before.apart:
            return False
        full = self._is_full(before, line, block)
        if line.fixed != before.fixed:
            return True
        if line.bold != before.bold and not full:
            return True
        indent = line.start - before.start
        if abs(indent) <= _INDENT * line.size or _is_centred(before, line) or LIST_MARK.match(first.text):
            return block.prose and not full and bool(_SENTENCE_END.search(before.text))
        if before is first:
            return not full if indent > 0 else indent < -_MOST_INDENT * line.size
        return True

    def _is_full(self, before: _Line, line: _Line, block: _Block) -> bool:
        return _is_full(before, line, block.end, _PROSE_SLACK if block.prose else _SLACK)

    def _is_line_end(self, before: _Line, line: _Line, block: _Block) -> bool:
        """Tell whether the line before was meant to end, within a paragraph."""
        if LIST_MARK.match(line.text) or line.apart or before.apart or (line.fixed and before.fixed):
            return True
        if is_hyphened(before.text):
            return False
        full, ends_sentence = self._is_full(before, line, block), bool(_SENTENCE_END.search(before.text))
        short = not block.prose and width_in_letters(before.text) < _SHORT_LINE
        if line.text[0].islower() and not ends_sentence:
            return short and not full
        return not full or short or (not block.prose and (ends_sentence or _is_centred(before, line)))


def _is_centred(a: _Line, b: _Line) -> bool:
    return abs(a.start + a.end - b.start - b.end) <= a.size < abs(a.start - b.start)
