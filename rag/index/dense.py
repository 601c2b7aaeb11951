"""
Nearest vectors: exact while a collection is small, approximate (inverted lists) when it is large; the only faiss.

Vectors are L2-normalised, so the inner product that faiss ranks by is the cosine similarity.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.base import Vectors
from rag.store.records import Ids

if sys.platform == "darwin":
    # faiss and torch each bring an OpenMP runtime, which macOS refuses to load twice (faiss issues 2555, 4273).
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")

import faiss

if sys.platform == "darwin":
    faiss.omp_set_num_threads(1)

Blocks = Callable[[], Iterator[tuple[Ids, Vectors]]]
Mask = npt.NDArray[np.bool_]

FLAT_LIMIT = 50_000
"""Up to here a scan of everything takes under 10 ms on two cores and is exact."""

TRAINING_POINTS_PER_LIST = 64
LEAST_LISTS_SHARE = 32
"""At least one list in so many is read: real questions are less alike than the ones that recall is measured with."""

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
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._lock = threading.Lock()  # faiss may not be read while it is written
        self._nprobe = 0
        self._recall = 1.0
        self._built_rows = 0

    @classmethod
    def load(cls, directory: Path, detail: Mapping[str, float]) -> DenseIndex:
        """Read an index that :meth:`save` wrote; the caller has checked the file's hash."""
        index = faiss.read_index(str(directory / FILE_NAME))
        loaded = cls(index.d)
        loaded._index = index
        loaded._nprobe = int(detail["nprobe"])
        loaded._recall = detail["recall@10"]
        loaded._built_rows = int(detail["built_rows"])
        return loaded

    def save(self, directory: Path) -> dict[str, float]:
        """Write the index into ``directory`` and return what :meth:`load` needs beside the file."""
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

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add rows; ``ids`` of shape ``(n,)``, ``vectors`` of shape ``(n, dim)``."""
        with self._lock:
            self._index.add_with_ids(vectors, ids)

    @classmethod
    def build(cls, dim: int, rows: int, blocks: Blocks) -> DenseIndex:
        """
        Build an index over everything that ``blocks`` yields.

        Args:
            dim: length of a vector.
            rows: how many rows there are.
            blocks: yields ``(ids, vectors)``; called twice, so that the rows need not lie in memory at once.
        """
        built = cls(dim)
        if rows <= FLAT_LIMIT:
            for ids, vectors in blocks():
                built.add(ids, vectors)
            return built
        lists = 2 ** round(math.log2(4 * math.sqrt(rows)))
        rng = np.random.default_rng(0)
        sample = _sample(blocks, min(rows, TRAINING_POINTS_PER_LIST * lists) / rows, rng)
        built._index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
        built._index.train(sample)
        built._built_rows = rows
        queries = _questions(sample, rng)
        best = _BestSoFar(len(queries))
        for ids, vectors in blocks():
            built.add(ids, vectors)
            best.update(queries, ids, vectors)
        built._choose_nprobe(queries, best.ids)
        return built

    def _choose_nprobe(self, queries: Vectors, exact: Ids) -> None:
        """Read twice as many lists until the recall against the exact search reaches the goal."""
        lists = self._index.nlist
        self._nprobe = max(1, lists // LEAST_LISTS_SHARE)
        while True:
            parameters = faiss.SearchParametersIVF(nprobe=self._nprobe)
            _, found = self._index.search(queries, RECALL_DEPTH, params=parameters)
            agree = sum(len(np.intersect1d(one, other)) for one, other in zip(found, exact, strict=True))
            self._recall = agree / exact.size
            if self._recall >= RECALL_GOAL or self._nprobe >= lists:
                return
            self._nprobe = min(lists, 2 * self._nprobe)

    def search(self, query: Vectors, k: int, allowed: Mask | None) -> tuple[Ids, Vectors]:
        """
        Return the ``k`` nearest allowed chunks, best first.

        Args:
            query: one L2-normalised vector, shape ``(dim,)``.
            k: how many, ``>= 1``; fewer come back when fewer are allowed.
            allowed: which chunk rows may be found, indexed by row; None allows every row.

        Returns:
            Chunk rows and cosine similarities, equal in length.
        """
        if len(self) == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        selector, share = None, 1.0
        if allowed is not None:
            # The array must outlive the search: the selector only points at it.
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            share = np.count_nonzero(allowed) / len(self)
        if self._nprobe:
            # A rare filter needs more lists to find as many rows; skipping a forbidden row costs next to nothing.
            nprobe = self._index.nlist if share == 0 else min(self._index.nlist, math.ceil(self._nprobe / share))
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=nprobe)
        else:
            parameters = faiss.SearchParameters(sel=selector)
        with self._lock:
            scores, ids = self._index.search(query[np.newaxis], min(k, len(self)), params=parameters)
        found = ids[0] >= 0
        return ids[0][found], scores[0][found]


def _sample(blocks: Blocks, share: float, rng: np.random.Generator) -> Vectors:
    """Draw rows with probability ``share``."""
    return np.concatenate([vectors[rng.random(len(vectors)) < share] for _, vectors in blocks()])


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
