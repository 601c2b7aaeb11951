"""
Tie an answer to exact slices of its sources.

A marker ``[n]`` counts only if source n was given to the model. What it cites is the sentence of that source which
shares most words with the claim. An answer without markers gets its citations by the same comparison over all sources,
and they are labelled as computed. Words are compared as the lexical index sees them: stemmed, without stop words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag.index.lexical import words
from rag.types import Citation, Document, Hit, Sentence

MIN_WORDS = 3
"""A heading or a remnant of fewer words backs nothing, unless its source holds nothing else."""

MIN_SUPPORT = 0.5
"""Share of a claim's words that a sentence must hold before it is cited for a claim without a marker."""

MIN_SHARED_WORDS = 2

_MARKER = re.compile(r"\[(\d{1,3})\]")
_VALUE = re.compile(r"""(?:"|[:\[{(]\s*|(?<!\]),\s*)\Z""")
"""What stands before a list of one number in JSON; a comma behind a marker separates markers."""

_BEFORE = 64
"""So many characters before a marker are looked at."""

_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?:\s*\[\d{1,3}\])*[\"')\]]*(?:\s+|$)"  # a full stop, and the markers behind it
    r"|\n\s*\n|\n(?=\s*(?:[-*•|#]|\d+[.)]\s))"  # a new paragraph, list item, table row or heading
)
"""Where a sentence ends. A single line break is none: lines of a PDF break anywhere."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A slice of a hit's chunk, with offsets in the document and its words."""

    start: int
    end: int
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A sentence of an answer: its slice, its words without markers, and the numbers of its markers."""

    start: int
    end: int
    text: str
    numbers: list[int]


@dataclass(frozen=True, slots=True)
class _Backing:
    """A numbered source's best sentence for a claim, and the share of the claim's words that it holds."""

    number: int
    sentence: _Sentence
    support: float


class MarkerFilter:
    """
    Lets streamed text through, but no marker of a source that was not given.

    What stands where a value stands, as in ``{"rooms": [12]}``, is no marker and passes.

    Args:
        sources: how many sources were given; ``[1]`` to ``[sources]`` pass.
    """

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._held = ""
        self._before = ""

    def feed(self, piece: str) -> str:
        """Return what can be shown now; a possible beginning of a marker is held back."""
        text = self._held + piece
        cut = text.rfind("[")
        self._held = text[cut:] if cut >= 0 and re.fullmatch(r"\[\d{0,3}", text[cut:]) else ""
        return self._checked(text[: len(text) - len(self._held)])

    def close(self) -> str:
        """Return what was still held back."""
        held, self._held = self._held, ""
        return held

    def _checked(self, text: str) -> str:
        before, self._before = self._before, (self._before + text)[-_BEFORE:]

        def passed(match: re.Match[str]) -> str:
            is_given = 1 <= int(match[1]) <= self._sources
            return match[0] if is_given or _VALUE.search((before + text[: match.start()])[-_BEFORE:]) else ""

        return _MARKER.sub(passed, text)


def cite(
    answer: str, hits: Sequence[Hit], documents: dict[int, Document]
) -> tuple[tuple[Citation, ...], tuple[Sentence, ...]]:
    """
    Return the citations of an answer, in the order of its claims, each quote once, and what stands behind each claim.

    Args:
        answer: the text as shown.
        hits: the sources in the order of their numbers.
        documents: the hits' documents, by row.
    """
    sources = [_sentences(hit, documents[hit.document_id]) for hit in hits]
    claims = _claims(answer, len(hits))
    marked = any(claim.numbers for claim in claims)
    found: dict[tuple[int, int], Citation] = {}
    sentences = []
    for claim in claims:
        said = frozenset(words(claim.text))
        candidates = claim.numbers if marked else range(1, len(hits) + 1)
        best = _best_sentences(said, candidates, sources)
        if not marked:
            best = [backing for backing in best[:1] if _is_backed(said, backing)]
        places = []
        for backing in best:
            hit = hits[backing.number - 1]
            citation = _citation(backing, hit, documents[hit.document_id], computed=not marked)
            place = hit.document_id, citation.start
            found.setdefault(place, citation)
            places.append(list(found).index(place))
        if places or len(said) >= MIN_WORDS:  # a word or two say nothing that needs a source
            support = max((backing.support for backing in best), default=0.0)
            sentences.append(Sentence(claim.start, claim.end, tuple(places), support))
    return tuple(found.values()), tuple(sentences)


def sentence_ends(text: str) -> list[int]:
    """Return the character offsets behind each sentence of a text."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]


def _claims(answer: str, sources: int) -> list[_Claim]:
    """Return each sentence with its markers' numbers, up to ``sources``; lone markers belong to what is before."""
    claims: list[_Claim] = []
    start = 0
    for end in [*sentence_ends(answer), len(answer)]:
        begin, sentence, start = start, answer[start:end], end
        written = dict.fromkeys(int(match[1]) for match in _MARKER.finditer(sentence))
        numbers = [number for number in written if 1 <= number <= sources]
        claim = _MARKER.sub("", sentence).strip()
        last = begin + len(sentence.rstrip())
        if claim:
            first = begin + len(sentence) - len(sentence.lstrip())
            claims.append(_Claim(first, last, claim, numbers))
        elif claims and numbers:
            claims[-1] = replace(claims[-1], end=last, numbers=[*claims[-1].numbers, *numbers])
    return claims


def _sentences(hit: Hit, document: Document) -> list[_Sentence]:
    """Return the sentences of a hit that can back a claim."""
    text, offset = hit.chunk.text, hit.chunk.start
    cuts = {0, len(text), *sentence_ends(text)}
    for heading in document.headings:
        if offset <= heading.start < hit.chunk.end:
            line_end = document.text.find("\n", heading.start, hit.chunk.end)
            cuts |= {heading.start - offset, (hit.chunk.end if line_end < 0 else line_end) - offset}
    found = []
    for start, end in pairwise(sorted(cuts)):
        stripped = text[start:end].strip()
        if stripped:
            begin = offset + start + text[start:end].index(stripped)
            found.append(_Sentence(begin, begin + len(stripped), frozenset(words(stripped))))
    titles = {heading.start for heading in document.headings}
    telling = [sentence for sentence in found if len(sentence.words) >= MIN_WORDS and sentence.start not in titles]
    return telling or found


def _best_sentences(
    said: frozenset[str], numbers: Iterable[int], sources: Sequence[Sequence[_Sentence]]
) -> list[_Backing]:
    """Return, for each numbered source, the sentence that shares most words with a claim; the best source first."""
    backings = []
    for number in numbers:
        if sources[number - 1]:
            sentence = max(sources[number - 1], key=lambda candidate: _closeness(said, candidate.words))
            backings.append(_Backing(number, sentence, len(said & sentence.words) / max(1, len(said))))
    return sorted(
        backings, key=lambda backing: ([-part for part in _closeness(said, backing.sentence.words)], backing.number)
    )


def _is_backed(said: frozenset[str], backing: _Backing) -> bool:
    """Return whether a sentence backs a claim that names no source: one word in common is chance."""
    return backing.support >= MIN_SUPPORT and len(said & backing.sentence.words) >= MIN_SHARED_WORDS


def _closeness(said: frozenset[str], held: frozenset[str]) -> tuple[int, float]:
    """Order sentences by how many words of a claim they hold; among equals, by how little they hold beside them."""
    shared = len(said & held)
    return shared, shared / max(1, len(held))


def _citation(backing: _Backing, hit: Hit, document: Document, *, computed: bool) -> Citation:
    sentence = backing.sentence
    return Citation(
        number=backing.number,
        document_id=hit.document_id,
        source=hit.source,
        title=hit.title,
        collection=hit.collection,
        page=document.page_at(sentence.start),
        heading=" > ".join(document.headings_at(sentence.start)),
        quote=document.text[sentence.start : sentence.end],
        start=sentence.start,
        end=sentence.end,
        score=hit.score,
        support=backing.support,
        computed=computed,
    )
