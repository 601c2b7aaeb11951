"""
Cut a Document into Chunks along its own structure.

A chunk is a slice, never a rewrite: ``document.text[c.start:c.end] == c.text``, so an answer can quote its source
exactly. Sizes are counted in the embedder's own tokens, because what lies behind its limit is silently not read.
Sections (from heading to heading) are cut into paragraphs, paragraphs that are too long into sentences, sentences into
runs of tokens; the pieces are then packed evenly. There is no overlap: controlled studies find no benefit end to end
(arXiv 2601.14123), and passages are joined with their neighbours when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rag.types import Chunk, Document, searched_prefix

TokenStarts = Callable[[str], npt.NDArray[np.int64]]
Span = tuple[int, int]

CHARACTERS_PER_TOKEN = 20
"""So many characters count as a token at least: an embedder may read a run without spaces, however long, as one."""

SMALL_SECTION_TOKENS = 32
"""A section shorter than this says too little on its own and is packed with the next one."""

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?。！？;])[\"')\]]*\s+|(?<=[。！？])|\n")


def split(document: Document, token_starts: TokenStarts, *, size: int, limit: int) -> list[Chunk]:
    """
    Cut a document.

    Args:
        document: with non-empty text.
        token_starts: the embedder's tokeniser, see :meth:`models.base.Embedder.token_starts`.
        size: most tokens of a chunk's own text, ``>= 1``.
        limit: most tokens of a chunk together with its title and headings, ``>= 2``.

    Returns:
        Chunks in order; every character that is not white space lies in exactly one.
    """
    counter = _Counter(token_starts(document.text))
    chunks: list[Chunk] = []
    for section in _sections(document, counter):
        headings = document.headings_at(section[0])
        prefix = len(token_starts(searched_prefix(document.title, headings)))
        room = max(1, min(size, limit - prefix))
        for start, end in _pack(list(_pieces(document.text, section, counter, room)), counter, room):
            start, end = _trim(document.text, start, end)
            if start < end:
                text = document.text[start:end]
                chunks.append(Chunk(start, end, text, headings, document.page_at(start)))
    return chunks


class _Counter:
    """Counts the tokens of any slice of one text."""

    def __init__(self, starts: npt.NDArray[np.int64]) -> None:
        self._starts = starts

    def __call__(self, span: Span) -> int:
        first, last = np.searchsorted(self._starts, span)
        return max(int(last - first), (span[1] - span[0]) // CHARACTERS_PER_TOKEN)

    def runs(self, span: Span, size: int) -> Iterator[Span]:
        """Cut a span before every ``size``-th token, and where it goes on for too long without one."""
        first, last = np.searchsorted(self._starts, span)
        cuts = [span[0], *self._starts[first + size : last : size].tolist(), span[1]]
        for start, end in pairwise(cuts):
            yield from pairwise([*range(start, end, CHARACTERS_PER_TOKEN * size), end])


def _sections(document: Document, counter: _Counter) -> Iterator[Span]:
    """Yield spans from heading to heading; one that is too small is joined with what follows."""
    bounds = sorted({0, len(document.text), *(heading.start for heading in document.headings)})
    start = 0
    for end in bounds[1:]:
        if end == len(document.text) or counter((start, end)) >= SMALL_SECTION_TOKENS:
            yield start, end
            start = end


def _pieces(text: str, span: Span, counter: _Counter, room: int) -> Iterator[Span]:
    """Yield the largest natural pieces of a span that have room: paragraphs, else sentences, else runs of tokens."""
    for paragraph in _cut(text, span, _PARAGRAPH):
        if counter(paragraph) <= room:
            yield paragraph
            continue
        for sentence in _cut(text, paragraph, _SENTENCE):
            if counter(sentence) <= room:
                yield sentence
            else:
                yield from counter.runs(sentence, room)


def _cut(text: str, span: Span, boundary: re.Pattern[str]) -> Iterator[Span]:
    """Cut a span behind every match of ``boundary``; the parts join up to the span again."""
    start = span[0]
    for match in boundary.finditer(text, *span):
        if match.end() > start:
            yield start, match.end()
            start = match.end()
    if start < span[1]:
        yield start, span[1]


def _pack(pieces: list[Span], counter: _Counter, room: int) -> Iterator[Span]:
    """Join neighbouring pieces into as few chunks as fit, of even length."""
    if not pieces:
        return
    total = sum(counter(piece) for piece in pieces)
    target = total / max(1, -(-total // room))
    start, used = pieces[0][0], 0
    for piece in pieces:
        tokens = counter(piece)
        if used and (used + tokens > room or used >= target):
            yield start, piece[0]
            start, used = piece[0], 0
        used += tokens
    yield start, pieces[-1][1]


def _trim(text: str, start: int, end: int) -> Span:
    stripped = text[start:end].strip()
    if not stripped:
        return start, start
    start += text[start:end].index(stripped)
    return start, start + len(stripped)
