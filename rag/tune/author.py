"""
Write questions about a collection, for whoever has none: headings that are questions, and the local generator's.

A question written from a passage tends to repeat its words, which flatters the search for words. So one is kept only if
a rare word of it does not stand in the passage. Its evidence is the passage's place, not a chunk: the same questions
measure every chunk size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np

from models.base import Embedder, Generator, SamplingParams
from models.prompt import Passage, asking
from rag.answer import OWNER
from rag.evaluate.questions import Evidence, Question
from rag.index.lexical import words
from rag.types import Document, searched_prefix

SEED = 0
TRIES = 5
"""So many passages are tried for each question that is wanted; a model of 135M has one in six kept."""

LEAST_CHARACTERS = 120
MOST_CHARACTERS = 400
QUESTION_WORDS = range(4, 31)
MAX_NEW_TOKENS = 40

RARE_SHARE = 0.02
RARE_CHUNKS = 2
"""A word is rare if at most :data:`RARE_SHARE` of the chunks hold it, or at most so many."""

SHORTEST_WORD = 3
ASKING_WORDS = frozenset(
    words(
        "how what which who whom whose when where why much many long often do does did can could may might must shall "
        "should will would have has had get there you your our between difference happen mean"
    )
)
"""However rare in the documents, these say nothing of a question's subject."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n\s*")
_MARKUP = re.compile(r"\s*[#|>*+\-`=~.:]")
_QUESTION = re.compile(r"[^?\n]*\??")

Span = tuple[int, int]


@dataclass(slots=True)
class Written:
    """
    What came of writing questions; grows while they are written.

    Attributes:
        questions: those that were kept.
        headings: how many of them are headings of the documents.
        asked: passages for which the generator wrote one.
        dropped: how many of these were dropped, by reason.
    """

    questions: list[Question] = field(default_factory=list)
    headings: int = 0
    asked: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def keep(self, text: str, document: Document, span: Span) -> None:
        """Add a question."""
        evidence = (Evidence(document.source, document.text[slice(*span)]),)
        self.questions.append(Question(f"q{len(self.questions) + 1:03}", text, evidence, synthetic=True))


class Author:
    """
    Writes questions.

    Args:
        generator: what writes them.
        embedder: tells whether a question is about its passage.
        least_similarity: the cosine below which it is not.
        chunks: the text of every chunk of the collection, to tell which words are rare.
    """

    def __init__(
        self, generator: Generator, embedder: Embedder, least_similarity: float, chunks: Iterable[str]
    ) -> None:
        self._generator = generator
        self._embedder = embedder
        self._least_similarity = least_similarity
        self._holding: Counter[str] = Counter()
        self._chunks = 0
        for chunk in chunks:
            self._holding.update(set(words(chunk)))
            self._chunks += 1
        self._seen: set[str] = set()

    def write(self, wanted: int, rows: Sequence[int], read: Callable[[int], Document]) -> Iterator[Written]:
        """
        Write questions; yield the growing result after the headings, and after each passage.

        Args:
            wanted: how many, at most; fewer come if too many have to be dropped.
            rows: the documents, in an order that is the same every time.
            read: gives a document by its row.
        """
        rng = np.random.default_rng(SEED)
        order = [rows[number] for number in rng.permutation(len(rows)).tolist()]
        written = Written()
        for document in map(read, order):
            for text, span in heading_questions(document):
                if len(written.questions) < wanted and self._is_new(text):
                    written.keep(text, document, span)
                    written.headings += 1
        yield written
        while rows and len(written.questions) < wanted and written.asked < TRIES * wanted:
            document = read(order[written.asked % len(order)])
            written.asked += 1
            if fault := self._write_one(document, rng, written):
                written.dropped[fault] += 1
            yield written

    def _write_one(self, document: Document, rng: np.random.Generator, written: Written) -> str:
        """Write a question about a passage of the document and keep it; return why not, if it was not kept."""
        spans = list(_sentences(document.text, (0, len(document.text))))
        if not spans:
            return "no sentences to ask about"
        start, end = spans[int(rng.integers(len(spans)))]
        title = searched_prefix(document.title, document.headings_at(start))
        passage = Passage(title, document.text[start:end])
        text = self._ask(passage)
        fault = self.fault(text, passage)
        if not fault:
            written.keep(text, document, (start, end))
        return fault

    def _ask(self, passage: Passage) -> str:
        """Return what the generator asks, as far as its first question mark."""
        text = ""
        params = SamplingParams(max_tokens=MAX_NEW_TOKENS)
        with closing(self._generator.stream(asking(passage), params, scope=OWNER)) as tokens:
            for token in tokens:
                text += token.text
                if "?" in text or "\n" in text.lstrip():
                    break
        found = _QUESTION.match(text.lstrip())
        return found[0].strip() if found else ""

    def fault(self, question: str, passage: Passage) -> str:
        """Return why a question is of no use for its passage; empty if it is. No question passes twice."""
        if not question.endswith("?") or len(question.split()) not in QUESTION_WORDS:
            return "no question"
        asked, said = set(words(question)), set(words(passage.text))
        if (
            not asked & (said | set(words(passage.title)))
            or self._similarity(question, passage) < self._least_similarity
        ):
            return "about something else"
        if not any(self._is_rare(word) for word in asked - said):
            return "no rare word of its own"
        return "" if self._is_new(question) else "asked before"

    def _similarity(self, question: str, passage: Passage) -> float:
        (vector,) = self._embedder.embed([f"{passage.title}\n{passage.text}"])
        return float(vector @ self._embedder.embed_query(question))

    def _is_rare(self, word: str) -> bool:
        if len(word) < SHORTEST_WORD or word in ASKING_WORDS:
            return False
        return self._holding[word] <= max(RARE_CHUNKS, RARE_SHARE * self._chunks)

    def _is_new(self, question: str) -> bool:
        plain = " ".join(words(question))
        new = plain not in self._seen
        self._seen.add(plain)
        return new


def heading_questions(document: Document) -> Iterator[tuple[str, Span]]:
    """Yield the headings that are questions, each with the first sentences below it."""
    ends = [*(heading.start for heading in document.headings[1:]), len(document.text)]
    for heading, end in zip(document.headings, ends, strict=False):
        if heading.title.endswith("?") and len(heading.title.split()) in QUESTION_WORDS:
            line_end = document.text.find("\n", heading.start, end)
            for span in islice(_sentences(document.text, (max(line_end, heading.start), end)), 1):
                yield heading.title, span


def _sentences(text: str, span: Span) -> Iterator[Span]:
    """Yield neighbouring sentences of prose, together of a useful length; tables, lists and code are left out."""
    cuts = [span[0], *(match.end() for match in _SENTENCE_END.finditer(text, *span)), span[1]]
    start = span[0]
    for begin, end in pairwise(cuts):
        length = len(text[start:end].strip())
        if _MARKUP.match(text, begin, end) or length > MOST_CHARACTERS:
            start = end
        elif length >= LEAST_CHARACTERS:
            start = end - len(text[start:end].lstrip())
            yield start, start + length
            start = end
