"""Try settings on a copy of a collection, cut anew in a data directory that is thrown away afterwards."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag.config import ChunkSettings
from rag.evaluate.questions import Question, Target
from rag.evaluate.retrieval import means
from rag.evaluate.run import Result, run_questions
from rag.knowledge_base import KnowledgeBase
from rag.tune.candidates import Candidate
from rag.tune.remember import RememberingEmbedder
from rag.types import Document, Heading
from rag.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Trial:
    """
    A candidate on some questions.

    Attributes:
        candidate: the settings.
        results: one for each question.
        chunks: of the collection, cut in this way.
        ingest_s: what indexing all documents in this way takes, embedding reckoned at the measured speed.
    """

    candidate: Candidate
    results: list[Result]
    chunks: int
    ingest_s: float

    @property
    def means(self) -> dict[str, float]:
        """Each measure, over the questions."""
        return means(self.scores)

    @property
    def scores(self) -> dict[str, Mapping[str, float]]:
        """Each measure, by question."""
        return {result.query: result.scores for result in self.results}

    @property
    def search_ms(self) -> float:
        """Milliseconds of a search, the median; embedding the question, the same for all, is left out."""
        return 1000 * statistics.median(result.seconds for result in self.results)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A copy of the collection, cut in one way."""

    base: KnowledgeBase
    chunks: int
    ingest_s: float


class Trials:
    """
    Measures candidates on copies of a collection.

    Args:
        base: the collection.
        scratch: a workspace that is thrown away afterwards, with ``embedder``.
        embedder: remembers the collection's vectors.
        speed: characters that the embedder reads in a second.
        targets: where the evidence of each question stands, by its id.
        hidden: texts of questions; a heading of the same words is taken out of the copies, or it would give the answer
            away.
    """

    def __init__(
        self,
        base: KnowledgeBase,
        scratch: Workspace,
        embedder: RememberingEmbedder,
        speed: float,
        targets: Mapping[str, Sequence[Target]],
        hidden: Iterable[str],
    ) -> None:
        self._base = base
        self._scratch = scratch
        self._embedder = embedder
        self._speed = speed
        self._targets = targets
        self._hidden = {_plain(text) for text in hidden}
        self._cuts: dict[ChunkSettings, _Cut] = {}

    def run(self, candidate: Candidate, questions: Sequence[Question]) -> Trial:
        """Measure a candidate on some questions."""
        if candidate.chunk not in self._cuts:
            self._cuts[candidate.chunk] = self._cut(candidate)
        for question in questions:
            self._embedder.embed_query(question.text)
        cut = self._cuts[candidate.chunk]
        base = cut.base.with_settings(candidate.over(cut.base.settings))
        results = run_questions(base, questions, self._targets)
        return Trial(candidate, results, cut.chunks, cut.ingest_s)

    def _cut(self, candidate: Candidate) -> _Cut:
        base = self._scratch.collection(f"cut-{len(self._cuts)}", create=True)
        base = base.with_settings(candidate.over(base.settings))
        seconds, characters = self._embedder.seconds, self._embedder.characters
        report = base.add_documents(
            hide(self._base.document(row), self._hidden) for row in self._base.sources().values()
        )
        other = report.seconds - (self._embedder.seconds - seconds)
        return _Cut(base, report.chunks, other + (self._embedder.characters - characters) / self._speed)


def hide(document: Document, questions: set[str]) -> Document:
    """Return the document without the headings that are one of ``questions``; blanks keep every offset as it was."""
    hidden = [heading for heading in document.headings if _plain(heading.title) in questions]
    if not hidden:
        return document
    text = document.text
    for heading in hidden:
        for start, end in [match.span() for match in _written(heading).finditer(text, heading.start)][:1]:
            text = text[:start] + " " * (end - start) + text[end:]
    kept = tuple(heading for heading in document.headings if heading not in hidden)
    return replace(document, text=text, headings=kept)


def _written(heading: Heading) -> re.Pattern[str]:
    """Match a heading's words as they stand in the text, whatever markup stands between them."""
    return re.compile(r"\W+".join(re.findall(r"\w+", heading.title)))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
