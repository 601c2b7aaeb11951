"""What one search works on: both indexes of a collection, and which rows live, all of the same moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.base import Vectors
from rag.index.allowed import Allowed, Readable
from rag.index.dense import DenseIndex
from rag.index.lexical import LexicalIndex
from rag.index.private import PrivateWords
from rag.store.records import Ids, Roster


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    A collection's indexes as they were when the search began; later changes do not reach it.

    Attributes:
        dense: the vectors; it may know deleted rows, and rows that came later.
        lexical: the words, of exactly the living rows.
        roster: the living rows.
        readable: finds the rows of sets of documents among them.
        private: the words of parts of the collection.
    """

    dense: DenseIndex
    lexical: LexicalIndex
    roster: Roster
    readable: Readable
    private: PrivateWords

    def for_reader(self, documents: Ids | None) -> Snapshot:
        """
        Return the collection as somebody sees it who may read only these documents: with word statistics of their own.

        Args:
            documents: rows of documents; None for all, which changes nothing.
        """
        if documents is None:
            return self
        return replace(self, lexical=self.private.of(self.readable.of(documents).rows))

    def allowed(self, documents: Ids | None) -> Allowed | None:
        """
        Return which chunk rows a search may find.

        Args:
            documents: rows of the documents that the caller may read and the filter lets through; None for all.

        Returns:
            None when no row needs to be held back.
        """
        if documents is not None:
            return self.readable.of(documents)
        chunks = self.roster.chunks
        if len(self.dense) == len(chunks):
            return None
        mask = np.zeros(int(chunks.max(initial=0)) + 1, dtype=np.bool_)
        mask[chunks] = True
        return Allowed(mask)

    def nearest(self, query: Vectors, k: int, allowed: Allowed | None) -> tuple[Ids, Vectors]:
        """Return the ``k`` nearest allowed chunks and their cosine similarities, see :meth:`DenseIndex.search`."""
        rows, cosines = self.dense.search(query, k, allowed)
        ours = rows <= self.roster.chunks.max(initial=0)  # the index itself takes in what comes later
        return rows[ours], cosines[ours]

    def matching(self, question: str, k: int, allowed: Allowed | None) -> tuple[Ids, Vectors]:
        """Return the ``k`` allowed chunks that match best and their BM25, see :meth:`LexicalIndex.search`."""
        return self.lexical.search(question, k, allowed)

    def lexical_scores(self, question: str, rows: Ids) -> Vectors:
        """Return the BM25 score of each row, see :meth:`LexicalIndex.scores`."""
        return self.lexical.scores(question, rows)

    def openings(self, rows: Ids) -> Ids:
        """Return the row of the first chunk of each living chunk's document; documents ascend as their chunks do."""
        chunks, owners = self.roster.chunks, self.roster.documents
        return chunks[np.searchsorted(owners, owners[np.searchsorted(chunks, rows)])]
