"""An embedder that remembers: chunks which two ways of cutting have in common are embedded once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from models.base import Embedder, Vectors
from rag.store import Store
from rag.store.records import CollectionInfo

SAMPLE = 96
"""So many passages tell how fast the embedder is."""


NEWEST = 2**63 - 1
"""The largest row there can be."""


class RememberingEmbedder:
    """
    Embeds each text once.

    Args:
        embedder: makes the vectors of texts not met before.

    Attributes:
        characters: how many were asked for in passages, remembered ones included.
        seconds: spent in the embedder for passages.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._passages: dict[bytes, Vectors] = {}
        self._questions: dict[str, Vectors] = {}
        self.name = embedder.name
        self.weights_hash = embedder.weights_hash
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens
        self.characters = 0
        self.seconds = 0.0

    def learn(self, store: Store, collection: CollectionInfo) -> int:
        """Take in the vectors that a collection holds; return how many characters they stand for."""
        vectors = (vector for _, block in store.passages.vectors_between(collection.id, 0, NEWEST) for vector in block)
        characters = 0
        for text, vector in zip(searched_texts(store, collection), vectors, strict=True):
            self._passages[_key(text)] = vector.copy()
            characters += len(text)
        return characters

    def characters_per_second(self, texts: Iterable[str]) -> float:
        """Return how fast the embedder is, measured on the first of some passages."""
        sample = list(islice(texts, SAMPLE))
        started = time.perf_counter()
        self._embedder.embed(sample)
        return sum(map(len, sample)) / (time.perf_counter() - started)

    def token_starts(self, text: str) -> npt.NDArray[np.int64]:
        """Return where each token begins."""
        return self._embedder.token_starts(text)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed passages; those met before cost nothing."""
        started = time.perf_counter()
        new = list(dict.fromkeys(text for text in texts if _key(text) not in self._passages))
        if new:
            for text, vector in zip(new, self._embedder.embed(new), strict=True):
                self._passages[_key(text)] = vector.copy()
        self.seconds += time.perf_counter() - started
        self.characters += sum(map(len, texts))
        return np.stack([self._passages[_key(text)] for text in texts]) if texts else self._embedder.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        """Embed a question; one met before costs nothing."""
        if text not in self._questions:
            self._questions[text] = self._embedder.embed_query(text)
        return self._questions[text]


def searched_texts(store: Store, collection: CollectionInfo) -> Iterator[str]:
    """Yield what is searched of every chunk, in the order of their rows."""
    for block in store.passages.texts_between(collection.id, 0, NEWEST):
        for _, text in block:
            yield text


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
