"""
From ranked chunks to passages that are worth reading: copies collapsed, neighbours joined.

Copies of a passage (a policy in three folders, a boilerplate paragraph) would push everything else out of the first
places; they become further places of the first one. Chunks of one section that follow each other were cut only for the
embedder's sake; they are read as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rag.types import Hit

SHINGLE_WORDS = 5
SAME_SHARE = 0.8
"""Two passages are copies when they share this much of their runs of five words (Jaccard)."""

_WORD = re.compile(r"\w+")

Shingles = frozenset[tuple[str, ...]]
ReadSlice = Callable[[int, int, int], str]
"""Document row, first and behind-last character -> that slice of its text."""


def collapse(hits: Iterable[Hit], k: int) -> list[Hit]:
    """
    Keep the first ``k`` hits that are no copies of a better one; a copy's place is added to the one it copies.

    Args:
        hits: best first; read only as far as needed.
        k: how many to keep, ``>= 1``.
    """
    kept: list[Hit] = []
    seen: list[Shingles] = []
    for hit in hits:
        shingles = _shingles(hit.chunk.text)
        original = next((i for i, other in enumerate(seen) if _are_copies(shingles, other)), None)
        if original is not None:
            kept[original] = replace(kept[original], copies=(*kept[original].copies, hit.place))
        elif len(kept) < k:
            kept.append(hit)
            seen.append(shingles)
        else:
            break
    return kept


def join(hits: Sequence[Hit], read: ReadSlice) -> list[Hit]:
    """
    Join hits whose chunks follow each other in one section of one document.

    Args:
        hits: best first.
        read: reads a document's text, for what stands between two chunks.

    Returns:
        Hits, best first; a joined one stands where its best chunk stood, with that chunk's row and scores.
    """
    rank = {hit.chunk_id: place for place, hit in enumerate(hits)}
    runs: list[list[Hit]] = []
    for hit in sorted(hits, key=lambda hit: hit.chunk_id):
        if runs and _follows(hit, runs[-1][-1]):
            runs[-1].append(hit)
        else:
            runs.append([hit])
    joined = [_joined(run, rank, read) for run in runs]
    return sorted(joined, key=lambda hit: rank[hit.chunk_id])


def _follows(hit: Hit, before: Hit) -> bool:
    """Tell whether a chunk is the next one of the same section; the chunks of a document have consecutive rows."""
    return (
        hit.document_id == before.document_id
        and hit.chunk_id == before.chunk_id + 1
        and hit.chunk.headings == before.chunk.headings
    )


def _joined(run: list[Hit], rank: dict[int, int], read: ReadSlice) -> Hit:
    best = min(run, key=lambda hit: rank[hit.chunk_id])
    if len(run) == 1:
        return best
    first, last = run[0].chunk, run[-1].chunk
    text = read(best.document_id, first.start, last.end)
    copies = tuple(place for hit in run for place in hit.copies)
    return replace(best, chunk=replace(first, end=last.end, text=text), copies=copies)


def _shingles(text: str) -> Shingles:
    """Return the runs of five words of a text; of a shorter one, all its words as one run."""
    words = _WORD.findall(text.casefold())
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return frozenset(tuple(words[start : start + SHINGLE_WORDS]) for start in range(count))


def _are_copies(some: Shingles, others: Shingles) -> bool:
    if min(len(some), len(others)) < SAME_SHARE * max(len(some), len(others)):
        return False
    shared = len(some & others)
    return shared >= SAME_SHARE * (len(some) + len(others) - shared)
