"""
Cut a Document into Chunks along its own structure.

A chunk is a slice, never a rewrite: ``document.text[c.start:c.end] == c.text``, so an answer can quote its source
exactly. Sizes are counted in the embedder's own tokens, because what lies behind its limit is silently not read.
Sections (from heading to heading) are cut into blocks, blocks that are too long into what they consist of (a table into
rows, code into lines, prose into list items and sentences), and that into runs of tokens; the pieces are then packed
evenly. A chunk that begins below a table's header repeats it beside its text. By default nothing overlaps: controlled
studies find no benefit end to end (arXiv 2601.14123).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rag.markup import Block, Kind, Span, blocks, cut, header_ends
from rag.types import Chunk, Document, Heading, searched_prefix

TokenStarts = Callable[[str], npt.NDArray[np.int64]]

CHARACTERS_PER_TOKEN = 20
"""So many characters count as a token at least: an embedder may read a run without spaces, however long, as one."""

SMALL_TOKENS = 32
"""A section or an introduction shorter than this says too little on its own and is packed with what it belongs to."""

_RST = "text/x-rst"
_SOURCE_CODE = re.compile(r"text/(x-(?!rst)|javascript|css)|application/(toml|yaml)")
_LINE = re.compile(r"\n\s*")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t])")
_SENTENCE = re.compile(r"(?<=[.!?。！？;])[\"')\]]*\s+|(?<=[。！？])|\n")
_PLAIN = (_SENTENCE,)
_WITH_LISTS = (_ITEM, _SENTENCE)
_CODE = (_BLANK_LINE, _LINE)
"""Where a block that is too long is cut, the best place first."""
_WORD = re.compile(r"\w")
_DIRECTIVE = re.compile(r"[ \t]*\.\.[ ][^\n]*::[^\n]*\s*\Z")
_TARGETS = re.compile(r"\.\. _[^\n]*:[ \t]*\n\s*(?:\.\. _[^\n]*:[ \t]*\n\s*)*")


def split(document: Document, token_starts: TokenStarts, *, size: int, limit: int, overlap: int = 0) -> list[Chunk]:
    """
    Cut a document.

    Args:
        document: with non-empty text.
        token_starts: the embedder's tokeniser, see :meth:`models.base.Embedder.token_starts`.
        size: most tokens of a chunk's own text and table header, ``>= 1``.
        limit: most tokens of a chunk together with its title and headings, ``>= 2``.
        overlap: most tokens, of whole sentences, that a chunk repeats of the one before it in its section; at most half
            of what it has room for.

    Returns:
        Chunks in order; every character that is not white space lies in exactly one, or more with an overlap.
    """
    counter = _Counter(token_starts(document.text))
    cutter = _Cutter(document, counter)
    chunks: list[Chunk] = []
    for span, headings in _sections(document, counter):
        prefix = len(token_starts(searched_prefix(document.title, headings)))
        room = max(1, min(size, limit - prefix))
        repeated = min(overlap, room // 2)
        room -= repeated
        for packed in _pack(list(cutter.pieces(span, room)), room):
            start, end = _trim(document.text, packed[0].start, packed[-1].end)
            if start < end:
                header = next(piece.header for piece in packed if piece.end > start)
                if repeated and not header and chunks and chunks[-1].start >= span[0]:
                    start = cutter.reach_back((chunks[-1].start, start), repeated)
                chunks.append(Chunk(start, end, document.text[start:end], headings, document.page_at(start), header))
    return chunks


class _Counter:
    """Counts the tokens of any slice of one text."""

    def __init__(self, starts: npt.NDArray[np.int64]) -> None:
        self._starts = starts.data

    def __call__(self, span: Span) -> int:
        start, end = span
        first = bisect_left(self._starts, start)
        return max(bisect_left(self._starts, end, first) - first, (end - start) // CHARACTERS_PER_TOKEN)

    def runs(self, span: Span, size: int) -> Iterator[Span]:
        """Cut a span before every ``size``-th token, and where it goes on for too long without one."""
        first, last = (bisect_left(self._starts, offset) for offset in span)
        cuts = [span[0], *self._starts[first + size : last : size], span[1]]
        for start, end in pairwise(cuts):
            yield from pairwise([*range(start, end, CHARACTERS_PER_TOKEN * size), end])


def _sections(document: Document, counter: _Counter) -> list[tuple[Span, tuple[str, ...]]]:
    """
    Return the parts from heading to heading, each with the titles above it.

    One that is too small is joined with what follows below its heading or beside it, else with what precedes.
    """
    labels = _TARGETS.finditer(document.text) if document.media_type == _RST else ()
    moved = {label.end(): label.start() for label in labels if label.end() < len(document.text)}
    sections: list[tuple[Span, tuple[str, ...]]] = []
    path: list[Heading] = []
    start, top = 0, 0
    for heading, following in pairwise([Heading(0, 0, ""), *document.headings, Heading(len(document.text), -1, "")]):
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
        top = min(top, heading.level)
        end = moved.get(following.start, following.start)
        small = counter((start, end)) < SMALL_TOKENS
        if small and following.level >= top:
            continue
        if small and sections:
            (before, _), titles = sections[-1]
            sections[-1] = (before, end), titles
        else:
            sections.append(((start, end), tuple(above.title for above in path[1:])))
        start, top = end, following.level
    return sections


class _Piece(NamedTuple):
    """
    A slice that is not cut any further.

    Attributes:
        tokens: its length.
        header: the table header that a chunk repeats which begins here.
        lead: that header's tokens.
    """

    start: int
    end: int
    tokens: int
    header: str = ""
    lead: int = 0


class _Cutter:
    """Cuts sections of one document into pieces that have room."""

    def __init__(self, document: Document, counter: _Counter) -> None:
        self._text = document.text
        self._count = counter
        self._heading_starts = {heading.start for heading in document.headings}
        self._rst = document.media_type == _RST
        self._prose = _PLAIN if document.media_type == "text/plain" else _WITH_LISTS  # a dash there may be just a dash
        self._paragraphs = Kind.CODE if _SOURCE_CODE.match(document.media_type) else Kind.PROSE

    def reach_back(self, before: Span, most: int) -> int:
        """Return where a chunk's last whole sentences begin, of at most so many tokens; its end if there are none."""
        start = max(before[0], before[1] - most * CHARACTERS_PER_TOKEN)
        sentences = [at for at, _ in cut(self._text, (start, before[1]), _SENTENCE)]
        # The first is the whole chunk, which is not repeated, or the rest of a sentence that began further up.
        return next((at for at in sentences[1:] if self._count((at, before[1])) <= most), before[1])

    def pieces(self, span: Span, room: int) -> Iterator[_Piece]:
        """Yield the largest natural pieces; what introduces the next block is held back and joined with it."""
        held: _Piece | None = None
        found = blocks(self._text, span, paragraphs=self._paragraphs, rst=self._rst)
        for block, following in pairwise([*found, None]):
            if block is None:
                return
            tokens = self._count(block[:2])
            if held and self._stands_apart(held, block, tokens, room):
                yield held
                held = None
            parts = self._parts(block, room - held.tokens if held else room, room)
            first = next(parts)
            if held:
                first = first._replace(start=held.start, tokens=held.tokens + first.tokens)
                held = None
            whole = first.end == block.end and first.tokens <= room // 2
            if whole and following and self._introduces(block, tokens, following):
                held = first
            else:
                yield first
                yield from parts

    def _introduces(self, block: Block, tokens: int, following: Block) -> bool:
        """Tell whether a block belongs to the next one: a heading, a directive, what stands above a table or code."""
        if block.kind is Kind.PROSE and following.kind is not Kind.PROSE:
            return True
        if tokens >= SMALL_TOKENS:
            return False
        line = self._text.rfind("\n", 0, block.start) + 1
        return line in self._heading_starts or (self._rst and bool(_DIRECTIVE.match(self._text, line, block.end)))

    def _stands_apart(self, held: _Piece, block: Block, tokens: int, room: int) -> bool:
        """Tell whether a block is better kept whole than joined with what introduces it."""
        if held.tokens + tokens <= room:
            return False
        if block.kind is Kind.TABLE and (tokens > room or held.tokens < SMALL_TOKENS):
            return held.tokens + self._count((block.start, self._head_end(block))) > room
        return tokens <= room and held.tokens >= SMALL_TOKENS

    def _parts(self, block: Block, first_room: int, room: int) -> Iterator[_Piece]:
        """Yield a block as pieces: itself if it fits beside what is held, else its parts."""
        if self._count(block[:2]) <= first_room:
            yield self._piece(block[:2])
        elif block.kind is Kind.TABLE:
            yield from self._rows(block, first_room, room)
        else:
            boundaries = _CODE if block.kind is Kind.CODE else self._prose
            yield from map(self._piece, self._cut(block[:2], boundaries, first_room))

    def _rows(self, table: Block, first_room: int, room: int) -> Iterator[_Piece]:
        """Yield a table as pieces: the header with the first row, then each row with the header to repeat."""
        header, lead = self._header(table, room // 2)
        at = self._head_end(table)
        if self._count((table.start, at)) <= first_room:
            yield self._piece((table.start, at))
        else:
            at = table.body
            yield from map(self._piece, self._cut((table.start, at), (_LINE, _SENTENCE), first_room))
        for row in self._cut((at, table.end), (_LINE, _SENTENCE), room - lead):
            yield _Piece(*row, self._count(row), header, lead)

    def _header(self, table: Block, most: int) -> tuple[str, int]:
        """Return as much of a table's header as has at most so many tokens, and how many; empty if it says nothing."""
        for end in header_ends(self._text, table):
            header = self._text[table.start : end].strip()
            if (tokens := self._count((table.start, end))) <= most and _WORD.search(header):
                return header, tokens
        return "", 0

    def _head_end(self, table: Block) -> int:
        """Return the offset behind a table's first row."""
        _, end = next(cut(self._text, (table.body, table.end), _LINE), (0, table.end))
        return end

    def _cut(self, span: Span, boundaries: tuple[re.Pattern[str], ...], room: int) -> Iterator[Span]:
        """Cut a span at the first boundary, what is still too long at the next ones, and in the end anywhere."""
        if not boundaries:
            yield from self._count.runs(span, room)
            return
        for part in cut(self._text, span, boundaries[0]):
            if self._count(part) <= room:
                yield part
            else:
                yield from self._cut(part, boundaries[1:], room)

    def _piece(self, span: Span) -> _Piece:
        return _Piece(*span, self._count(span))


def _pack(pieces: list[_Piece], room: int) -> Iterator[list[_Piece]]:
    """Put neighbouring pieces together to as few chunks as fit, of even length; each begins with its table header."""
    total = sum(-(-piece.tokens * room // (room - piece.lead)) for piece in pieces)
    target = total / max(1, -(-total // room))
    packed: list[_Piece] = []
    used = 0
    for piece in pieces:
        filled = packed[0].lead + used if packed else 0
        if used and (filled + piece.tokens > room or filled >= target):
            yield packed
            packed, used = [], 0
        packed.append(piece)
        used += piece.tokens
    if packed:
        yield packed


def _trim(text: str, start: int, end: int) -> Span:
    stripped = text[start:end].strip()
    if not stripped:
        return start, start
    start += text[start:end].index(stripped)
    return start, start + len(stripped)
