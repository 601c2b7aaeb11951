"""
The values that flow through retrieval and answering; all frozen.

``Document -> [Chunk] -> stored`` when writing, ``question -> [Hit] -> prompt -> Answer`` when reading. Vectors never
travel inside these values: they go beside them as one float32 array of shape ``(n, dim)``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from models.base import Message

MetadataValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Heading:
    """
    A heading of a document.

    Attributes:
        start: character offset in the document's text at which the heading's line begins.
        level: 1 for a top heading, up to 6.
        title: the heading's words, without markup.
    """

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """
    A file's text, with the structure that a citation needs.

    Attributes:
        source: what identifies the document in its collection: a path relative to the indexed folder, with ``/``.
        text: the whole text; every quote is a slice of it.
        title: for people; falls back to the file's name.
        media_type: for example ``application/pdf``.
        headings: ascending by ``start``.
        page_starts: character offset at which each page begins, ascending; empty where a format has no pages.
        metadata: what the file says of itself, for example front matter; filters read it.
        sha256: hexadecimal SHA-256 of the file's bytes, the document's version.
        modified: the file's modification time, seconds since 1970, or 0 when unknown.
        origin: where it was read from, an absolute path; empty for an upload.
    """

    source: str
    text: str
    title: str
    media_type: str = "text/plain"
    headings: tuple[Heading, ...] = ()
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, MetadataValue] = field(default_factory=lambda: MappingProxyType({}))
    sha256: str = ""
    modified: float = 0.0
    origin: str = ""

    def page_at(self, offset: int) -> int | None:
        """Return the page, counted from 1, that holds the character at ``offset``; None without pages."""
        return bisect_right(self.page_starts, offset) or None if self.page_starts else None

    def headings_at(self, offset: int) -> tuple[str, ...]:
        """Return the titles of the headings above ``offset``, outermost first."""
        path: list[Heading] = []
        for heading in self.headings:
            if heading.start > offset:
                break
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
        return tuple(heading.title for heading in path)


MAX_PREFIX_CHARACTERS = 160


def searched_prefix(title: str, headings: tuple[str, ...]) -> str:
    """
    Return the line that stands above a chunk when it is embedded and indexed, and is never quoted.

    Of a long path the innermost headings are kept, within :data:`MAX_PREFIX_CHARACTERS`.
    """
    path = [part for part in dict.fromkeys((title, *headings)) if part]
    return " > ".join(path)[-MAX_PREFIX_CHARACTERS:]


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    A slice of a document: ``document.text[chunk.start : chunk.end] == chunk.text``.

    Attributes:
        start: character offset of the slice's beginning.
        end: character offset after its last character.
        text: the slice itself; this is what is quoted.
        headings: titles above the slice, outermost first.
        page: page at ``start``, counted from 1; None without pages.
        table_header: of a slice that begins below a table's header, that header, to be read above it; never quoted.
    """

    start: int
    end: int
    text: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    table_header: str = ""

    @property
    def read_text(self) -> str:
        """What a reader needs to understand the slice: the table's header above it, if there is one."""
        return f"{self.table_header}\n{self.text}" if self.table_header else self.text

    def searched_text(self, title: str, *, prefix: bool = True) -> str:
        """
        Return what is embedded and indexed for words: the document's title and the headings, then the slice.

        A title or heading that is the slice's first line stands there only: said twice, its words would count twice.
        """
        said = self.text.partition("\n")[0].strip("#=* \t").casefold()
        path = [part for part in (title, *self.headings) if part.casefold() != said] if prefix else []
        above = searched_prefix("", tuple(path))
        return f"{above}\n{self.read_text}" if above else self.read_text


@dataclass(frozen=True, slots=True)
class Filter:
    """
    Which documents a search may look at; every condition that is set must hold.

    Attributes:
        source: shell pattern on the source, for example ``policies/*.pdf``.
        media_type: exact media type.
        modified_from: earliest modification time, seconds since 1970.
        modified_before: modification times from here on are left out.
        metadata: fields of the document that must have exactly these values.
    """

    source: str | None = None
    media_type: str | None = None
    modified_from: float | None = None
    modified_before: float | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scored:
    """
    A chunk's row with its scores.

    Attributes:
        score: the fused score that orders hits, higher is better.
        dense: cosine similarity with the question, in ``[-1, 1]``.
        lexical: BM25 score, ``>= 0``.
    """

    chunk_id: int
    score: float
    dense: float
    lexical: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage stands: its document's row and source, the page, and the slice of the document's text."""

    document_id: int
    source: str
    page: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """
    A passage that retrieval found.

    Attributes:
        chunk_id: the chunk's row in the store.
        chunk: the chunk; when chunks that follow each other were joined, one slice over all of them.
        document_id: the document's row in the store.
        source: the document's identity in its collection.
        title: the document's title.
        collection: the collection's name.
        score: the fused score that orders hits, higher is better.
        dense: cosine similarity with the question, in ``[-1, 1]``.
        lexical: BM25 score, ``>= 0``.
        relevance: the reranker's score, in ``[0, 1]``; None where none has read the passage.
        copies: where else the collection holds nearly the same words.
    """

    chunk_id: int
    chunk: Chunk
    document_id: int
    source: str
    title: str
    collection: str
    score: float
    dense: float
    lexical: float
    relevance: float | None = None
    copies: tuple[Place, ...] = ()

    @property
    def label(self) -> str:
        """The line that stands above the passage in a prompt: the document's title, and the headings."""
        return " > ".join([self.title, *(heading for heading in self.chunk.headings if heading != self.title)])

    @property
    def place(self) -> Place:
        """Where the passage stands."""
        return Place(self.document_id, self.source, self.chunk.page, self.chunk.start, self.chunk.end)


@dataclass(frozen=True, slots=True)
class Citation:
    """
    An exact quote that stands behind an answer: ``document.text[start:end] == quote``.

    Attributes:
        number: the source's number in the prompt, counted from 1; ``[1]`` in the answer refers to it.
        support: share of the claim's words that the quote holds, in ``[0, 1]``; low means a wrong marker or claim.
        computed: True when the model wrote no marker and the quote was found by comparing the answer with the sources.
    """

    number: int
    document_id: int
    source: str
    title: str
    collection: str
    page: int | None
    heading: str
    quote: str
    start: int
    end: int
    score: float
    support: float
    computed: bool


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, with indexes of its citations and the share of its words that the best of them holds."""

    start: int
    end: int
    citations: tuple[int, ...]
    support: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and tokens that one answer took; ``first_token_s`` and ``total_s`` count from the question's arrival."""

    retrieve_s: float = 0.0
    first_token_s: float = 0.0
    total_s: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a question got.

    Attributes:
        text: the answer as shown.
        abstained: True when the sources do not hold an answer; ``text`` then says so.
        citations: quotes behind the answer, in the order of the answer.
        hits: the passages that retrieval gave to the model, best first.
        refusal_probability: how likely the model found it that the passages hold no answer; None where it was not
            asked, or cannot tell.
        likelihood: geometric mean of the probabilities of the answer's tokens; None where the model was not asked.
        sentences: the answer's sentences that say anything, where there were sources.
        prompt: the messages that the model read; none where it was not asked.
    """

    text: str
    abstained: bool
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    timings: Timings
    model: str
    adapter: str | None
    collection: str | None
    engine: str
    finish_reason: str = "stop"
    refusal_probability: float | None = None
    likelihood: float | None = None
    sentences: tuple[Sentence, ...] = ()
    prompt: tuple[Message, ...] = ()
