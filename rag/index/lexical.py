"""
Matching words: BM25 (k1 = 1.2, b = 0.75) over stemmed words without stop words; the only tantivy.

Any of the question's words may match (OR). The analyser is applied to the question by us, so nothing that a user types
is read as query syntax.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from models.base import Vectors
from rag.index.allowed import Allowed
from rag.store.records import Ids

ANALYZER = "english"
MAX_WORD_LENGTH = 64
MAX_QUESTION_WORDS = 128
WRITER_BYTES = 256_000_000
"""Holds about a million chunks while an index is built, so that they become one segment, which is searched in 60 % of
the time that five take. Small changes use as little as they need."""

SMALL_WRITER_BYTES = 50_000_000


SPARE = 1.3
"""The first reading goes so many times as deep as would do if filter and words had nothing to do with each other."""


_ANALYZER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(MAX_WORD_LENGTH))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .filter(tantivy.Filter.stopword("english"))
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)


def words(text: str) -> list[str]:
    """Return the words of a text as the index compares them: lower case, stemmed, without stop words."""
    return list(_ANALYZER.analyze(text))


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("chunk", indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()


class LexicalIndex:
    """
    Words by chunk row.

    Args:
        directory: where the index lies; it must exist. A new index is made when it is empty. None keeps it in memory.
        through: the newest chunk row in it.
        dead: how many rows were forgotten; the statistics may still count them.
    """

    def __init__(self, directory: Path | None, through: int = 0, dead: int = 0) -> None:
        self._directory = directory
        self.through = through
        self.dead = dead
        self._schema = _schema()
        self._index = tantivy.Index(self._schema, None if directory is None else str(directory))
        self._index.register_tokenizer(ANALYZER, _ANALYZER)
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    @property
    def directory(self) -> Path:
        """Where the index lies."""
        if self._directory is None:
            raise ValueError("this index is in memory only")
        return self._directory

    def rows(self) -> Ids:
        """Return every chunk row in the index, ascending."""
        rows, _ = self._best(tantivy.Query.all_query(), max(1, len(self)))
        return np.sort(rows)

    def update(self, added: Iterable[list[tuple[int, str]]], removed: Ids) -> None:
        """
        Take rows in and out; the files are complete on disk when this returns.

        Args:
            added: blocks of ``(chunk row, text)``, ascending, all newer than ``through``.
            removed: chunk rows to forget.
        """
        through = self.through
        writer = self._index.writer(WRITER_BYTES if self._directory else SMALL_WRITER_BYTES, 1)
        if len(removed):
            # By query: in tantivy 0.27 deletion by term takes an integer for a signed one, and finds nothing.
            writer.delete_documents_by_query(self._member(removed))
        for block in added:
            for row, text in block:
                document = tantivy.Document()
                document.add_unsigned("chunk", row)
                document.add_text("text", text)
                writer.add_document(document)
                through = row
        writer.commit()
        writer.garbage_collect_files()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()
        self.through = through
        self.dead += len(removed)

    def search(self, question: str, k: int, allowed: Allowed | None) -> tuple[Ids, Vectors]:
        """
        Return the ``k`` best allowed chunks, best first.

        Args:
            question: any text.
            k: how many, ``>= 1``; fewer come back when fewer match.
            allowed: which chunk rows may be found; None allows every row.

        Returns:
            Chunk rows and BM25 scores, equal in length; equal scores are ordered by row.
        """
        query = self._query(question)
        if allowed is None:
            return self._best(query, k)
        permitted = max(1, allowed.count)
        depth = max(1, math.ceil(SPARE * k * len(self) / permitted))  # tantivy refuses to look for nothing
        while depth < self._cost_among(permitted):
            hits = self._searcher.search(query, depth, count=False).hits
            rows = self._rows(hits)
            found = np.flatnonzero(allowed.mask[rows])
            if len(found) >= k or len(hits) < depth:
                rows, scores = _ranked(rows[found], [hits[place][0] for place in found.tolist()])
                return rows[:k], scores[:k]
            depth *= 4
        return self._best(self._among(query, allowed.rows), k)

    def scores(self, question: str, rows: Ids) -> Vectors:
        """Return the BM25 score of each row, 0 where no word matches; shape ``(len(rows),)``."""
        found, scores = self._best(self._among(self._query(question), rows), max(1, len(rows)))
        by_row = dict(zip(found.tolist(), scores.tolist(), strict=True))
        return np.array([by_row.get(row, 0.0) for row in rows.tolist()], dtype=np.float32)

    def _query(self, question: str) -> tantivy.Query:
        """
        Match any of the question's words; one that is said twice counts twice.

        It is asked for twice then, not boosted: tantivy skips what cannot be among the best only between plain words,
        which takes 5.9 instead of 9.0 ms among a million chunks.
        """
        asked = words(question)[:MAX_QUESTION_WORDS]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, self._term(word)) for word in asked])

    def _term(self, word: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, "text", word, "freq")

    def _among(self, query: tantivy.Query, rows: Ids) -> tantivy.Query:
        """Restrict a query to some rows without changing a score."""
        silent = tantivy.Query.const_score_query(self._member(rows), 0.0)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, silent), (tantivy.Occur.Must, query)])

    def _cost_among(self, rows: int) -> float:
        """Return how deep the ranking can be read in the time that a search among some rows takes; as measured."""
        return min(15 * rows, rows + len(self) / 25)

    def _member(self, rows: Ids) -> tantivy.Query:
        return tantivy.Query.term_set_query(self._schema, "chunk", rows.tolist())

    def _best(self, query: tantivy.Query, depth: int) -> tuple[Ids, Vectors]:
        hits = self._searcher.search(query, depth, count=False).hits
        return _ranked(self._rows(hits), [score for score, _ in hits])

    def _rows(self, hits: Sequence[tuple[Any, tantivy.DocAddress]]) -> Ids:
        return np.array(self._searcher.fast_field_values("chunk", [address for _, address in hits]), dtype=np.int64)


def _ranked(rows: Ids, scores: Sequence[float]) -> tuple[Ids, Vectors]:
    """Order by score, and equal scores by row."""
    by_row = np.array(scores, dtype=np.float32)
    order = np.lexsort((rows, -by_row))
    return rows[order], by_row[order]
