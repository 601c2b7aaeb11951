"""
Nearest vectors: exact while a collection is small, approximate (inverted lists) when it is large; the only faiss.

Vectors are L2-normalised, so the inner product that faiss ranks by is the cosine similarity. The inverted lists hold
one byte a dimension, a quarter of the vectors' size; what they find best is scored again with the stored vectors, so
that every cosine that leaves this module is exact.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from models.base import Vectors
from rag.index.allowed import Allowed
from rag.store.records import Ids

if sys.platform == "darwin":
    # faiss and torch each bring an OpenMP runtime, which macOS refuses to load twice (faiss issues 2555, 4273).
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")

import faiss

if sys.platform == "darwin":
    faiss.omp_set_num_threads(1)

THREADS = faiss.omp_get_max_threads()
"""They build an index; for one question one searches, because with two, 10,000 vectors take 1.8 in place of .7 ms."""

ReadVectors = Callable[[Ids], Vectors]

FLAT_LIMIT = 50_000
"""Up to here a scan of everything takes under 10 ms on two cores and is exact."""

BLOCK = 20_000
"""Rows that are in memory at once while many are added."""

TRAINING_POINTS_PER_LIST = 64
MOST_LISTS = 2048
"""Training takes time with the square of it: over a million rows twice as many cost 3.8 times as much, and found 0.2 %
more."""

LEAST_LISTS_SHARE = 32
LEAST_READ = 16_000
"""
At least one list in 32 is read, and at least so many vectors, which takes a millisecond: real questions are less alike
than the ones that recall is measured with, and a few lie far from every list that holds what they ask for.
"""

LEAST_COMPARED = 4_000
"""Up to so many permitted vectors are all compared. It costs under a millisecond, and of things that have nothing to do
with the question the nearest are found, too."""

SPARE = 1.5
"""So many times the rows asked for are scored exactly; bytes misplace a cosine by up to 0.003, see decisions.md."""

RECALL_GOAL = 0.99
RECALL_QUERIES = 200
RECALL_DEPTH = 10
QUESTION_COSINE = 0.6
"""Similarity of a typical question to its passage; recall is measured with queries this far from a stored vector."""

FILE_NAME = "vectors.faiss"


class DenseIndex:
    """
    Vectors by chunk row.

    Args:
        dim: length of a vector.
        vectors: reads the stored vectors of chunk rows, shape ``(n, dim)``; zeros for a row that is gone.

    Attributes:
        through: the newest chunk row in it.
    """

    def __init__(self, dim: int, vectors: ReadVectors) -> None:
        self._dim = dim
        self._vectors = vectors
        self.through = 0
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._lock = threading.Lock()  # faiss may not be read while it is written
        self._nprobe = 0
        self._recall = 1.0
        self._built_rows = 0

    @classmethod
    def load(cls, directory: Path, vectors: ReadVectors, through: int, detail: Mapping[str, float]) -> DenseIndex:
        """Read an index that :meth:`save` wrote; the caller has checked the file's hash."""
        index = faiss.read_index(str(directory / FILE_NAME))
        loaded = cls(index.d, vectors)
        loaded._index = index
        loaded.through = through
        loaded._nprobe = int(detail["nprobe"])
        loaded._recall = detail["recall@10"]
        loaded._built_rows = int(detail["built_rows"])
        return loaded

    def save(self, directory: Path) -> dict[str, float]:
        """
        Write the index into ``directory`` and return what :meth:`load` needs beside the file.

        Searches may go on meanwhile, but nothing may be added.
        """
        faiss.write_index(self._index, str(directory / FILE_NAME))
        return {
            "nprobe": self._nprobe,
            "lists": self._index.nlist if self._nprobe else 0,
            "recall@10": self._recall,
            "built_rows": self._built_rows,
        }

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def outgrown_by(self, new: int) -> bool:
        """Return whether a fresh build over ``new`` rows more would choose another kind of index, or other lists."""
        return len(self) + new > max(FLAT_LIMIT, 2 * self._built_rows)

    def add(self, rows: Ids) -> None:
        """Add chunk rows, shape ``(n,)``, ascending, all newer than ``through``."""
        for ids, vectors in self._blocks(rows):
            with self._lock:
                self._index.add_with_ids(vectors, ids)
            self.through = int(ids[-1])

    @classmethod
    def build(cls, dim: int, vectors: ReadVectors, rows: Ids) -> DenseIndex:
        """
        Build an index; the vectors are read in blocks, so that they need not lie in memory at once.

        Args:
            dim: length of a vector.
            vectors: reads stored vectors, see :class:`DenseIndex`.
            rows: the chunk rows that it shall hold, ascending.
        """
        built = cls(dim, vectors)
        if len(rows) <= FLAT_LIMIT:
            built.add(rows)
            return built
        faiss.omp_set_num_threads(THREADS)
        lists = min(MOST_LISTS, 2 ** round(math.log2(4 * math.sqrt(len(rows)))))
        rng = np.random.default_rng(0)
        sample = vectors(np.sort(rng.choice(rows, min(len(rows), TRAINING_POINTS_PER_LIST * lists), replace=False)))
        built._index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
        )
        built._index.train(sample)
        built._built_rows = len(rows)
        queries = _questions(sample, rng)
        best = _BestSoFar(len(queries))
        del sample
        for ids, block in built._blocks(rows):
            built._index.add_with_ids(block, ids)
            best.update(queries, ids, block)
        built.through = int(rows[-1])
        built._choose_nprobe(queries, best.ids)
        return built

    def _blocks(self, rows: Ids) -> Iterator[tuple[Ids, Vectors]]:
        for begin in range(0, len(rows), BLOCK):
            ids = rows[begin : begin + BLOCK]
            yield ids, self._vectors(ids)

    def _choose_nprobe(self, queries: Vectors, exact: Ids) -> None:
        """Read twice as many lists until the recall against the exact search reaches the goal."""
        lists = self._index.nlist
        self._nprobe = min(lists, max(lists // LEAST_LISTS_SHARE, math.ceil(lists * LEAST_READ / len(self))))
        while True:
            _, found = self._index.search(
                queries, math.ceil(SPARE * RECALL_DEPTH), params=self._reading(None, len(self))
            )
            agree = sum(len(np.intersect1d(one, other)) for one, other in zip(found, exact, strict=True))
            self._recall = agree / exact.size
            if self._recall >= RECALL_GOAL or self._nprobe >= lists:
                return
            self._nprobe = min(lists, 2 * self._nprobe)

    def search(self, query: Vectors, k: int, allowed: Allowed | None) -> tuple[Ids, Vectors]:
        """
        Return the ``k`` nearest allowed chunks, best first.

        Args:
            query: one L2-normalised vector, shape ``(dim,)``.
            k: how many, ``>= 1``; fewer come back when fewer are allowed.
            allowed: which chunk rows may be found; None allows every row.

        Returns:
            Chunk rows and cosine similarities, equal in length.
        """
        if not self._nprobe:
            return self._find(query, k, allowed)
        rows, _ = self._find(query, math.ceil(SPARE * k), allowed)
        cosines = self._vectors(rows) @ query
        best = np.lexsort((rows, -cosines))[:k]
        return rows[best], cosines[best]

    def _find(self, query: Vectors, k: int, allowed: Allowed | None) -> tuple[Ids, Vectors]:
        """Return the best ``k`` by what the index itself holds."""
        if len(self) == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        selector, permitted = None, len(self)
        if allowed is not None:
            # The bits outlive the search, as they must: the selector only points at them.
            selector, permitted = faiss.IDSelectorBitmap(allowed.bits), allowed.count
        parameters = self._reading(selector, permitted) if self._nprobe else faiss.SearchParameters(sel=selector)
        with self._lock:
            faiss.omp_set_num_threads(1)  # of this thread's searches
            scores, ids = self._index.search(query[np.newaxis], min(k, len(self)), params=parameters)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]

    def _reading(self, selector: faiss.IDSelector | None, permitted: int) -> faiss.SearchParametersIVF:
        """
        Read lists, nearest first, until enough permitted vectors were compared, however far from the query those lie.

        Of few permitted ones a larger share is compared, because as many as ever are wanted.
        """
        lists = self._index.nlist
        depth = max(LEAST_COMPARED, math.ceil(self._nprobe / lists * math.sqrt(permitted * len(self))))
        return faiss.SearchParametersIVF(sel=selector, nprobe=lists, max_codes=depth, ensure_topk_full=True)


def _questions(sample: Vectors, rng: np.random.Generator) -> Vectors:
    """Move some stored vectors as far away as a question is from its passage."""
    chosen = sample[rng.choice(len(sample), min(RECALL_QUERIES, len(sample)), replace=False)]
    other = sample[rng.permutation(len(sample))[: len(chosen)]]
    away = other - np.sum(other * chosen, axis=1, keepdims=True) * chosen
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    moved = QUESTION_COSINE * chosen + math.sqrt(1 - QUESTION_COSINE**2) * away
    return np.ascontiguousarray(moved, dtype=np.float32)


class _BestSoFar:
    """The exact nearest rows of some queries, over blocks that come one after another."""

    def __init__(self, queries: int) -> None:
        self.ids = np.full((queries, RECALL_DEPTH), -1, dtype=np.int64)
        self._scores = np.full((queries, RECALL_DEPTH), -np.inf, dtype=np.float32)

    def update(self, queries: Vectors, ids: Ids, vectors: Vectors) -> None:
        scores, positions = faiss.knn(queries, vectors, min(RECALL_DEPTH, len(ids)), metric=faiss.METRIC_INNER_PRODUCT)
        all_scores = np.hstack([self._scores, scores])
        all_ids = np.hstack([self.ids, ids[positions]])
        order = np.argsort(-all_scores, axis=1)[:, :RECALL_DEPTH]
        self._scores = np.take_along_axis(all_scores, order, axis=1)
        self.ids = np.take_along_axis(all_ids, order, axis=1)
