"""Our index over given vectors, as :mod:`scripts.bench.peers.vectors_peer` runs the others."""

import sys

import numpy as np

from rag.index.dense import DenseIndex
from scripts.bench.peers.vectors_peer import K, Search, main


def ours(vectors: np.ndarray) -> Search:
    """Build the index that a collection of this size has; stored vectors are read from memory."""
    index = DenseIndex.build(vectors.shape[1], lambda rows: vectors[rows], np.arange(len(vectors)))
    return lambda query: [int(row) for row in index.search(query, K, None)[0]]


if __name__ == "__main__":
    main(ours, np.load(sys.argv[1]), np.load(sys.argv[2]))
