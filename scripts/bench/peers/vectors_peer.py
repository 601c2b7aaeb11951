"""
A vector store over given vectors: ``python -m scripts.bench.peers.vectors_peer STORE VECTORS.npy QUERIES.npy``.

STORE is ``chroma``, ``lancedb``, ``lancedb-ivf`` or ``qdrant``, each with the defaults of its local mode. A line is the
number of a query; the answer holds the rows found and the seconds. The first line, ``-1``, builds.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.bench.peers import lines

K = 10
BATCH = 5_000
"""Chroma takes no more at once."""

Search = Callable[[np.ndarray], list[int]]


def chroma(vectors: np.ndarray) -> Search:
    """Chroma in memory: HNSW, cosine."""
    import chromadb

    settings = chromadb.Settings(anonymized_telemetry=False)
    collection = chromadb.EphemeralClient(settings).create_collection(
        "bench", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    for begin in range(0, len(vectors), BATCH):
        rows = range(begin, min(len(vectors), begin + BATCH))
        collection.add(ids=[str(row) for row in rows], embeddings=vectors[rows.start : rows.stop])
    return lambda query: [
        int(one) for one in collection.query(query_embeddings=[query], n_results=K, include=[])["ids"][0]
    ]


def lancedb(vectors: np.ndarray, *, indexed: bool) -> Search:
    """LanceDB on disk: everything compared, or its default index (IVF_PQ)."""
    import lancedb as lance
    import pyarrow as pa

    folder = tempfile.mkdtemp()
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = lance.connect(folder).create_table("bench", pa.table({"row": np.arange(len(vectors)), "vector": flat}))
    if indexed:
        table.create_index(metric="cosine")

    def search(query: np.ndarray) -> list[int]:
        found = table.search(query).distance_type("cosine").select(["row", "_distance"]).limit(K).to_arrow()
        return [int(row) for row in found["row"].to_pylist()]

    return search


def qdrant(vectors: np.ndarray) -> Search:
    """Qdrant's local mode in memory: everything compared."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("bench", vectors_config=size)
    client.upload_collection("bench", vectors, ids=range(len(vectors)))
    return lambda query: [int(point.id) for point in client.query_points("bench", query.tolist(), limit=K).points]


STORES: dict[str, Callable[[np.ndarray], Search]] = {
    "chroma": chroma,
    "lancedb": lambda vectors: lancedb(vectors, indexed=False),
    "lancedb-ivf": lambda vectors: lancedb(vectors, indexed=True),
    "qdrant": qdrant,
}


def main(build: Callable[[np.ndarray], Search], vectors: np.ndarray, queries: np.ndarray) -> None:
    """Build when asked to, then answer one query a line."""
    built: list[Search] = []

    def answer(number: int) -> dict[str, Any]:
        started = time.perf_counter()
        if number < 0:
            built.append(build(vectors))
            return {"seconds": time.perf_counter() - started}
        worked = time.process_time()
        rows = built[0](queries[number])
        seconds, processor = time.perf_counter() - started, time.process_time() - worked
        return {"rows": rows, "seconds": seconds, "processor_s": processor}

    lines.serve(answer)


if __name__ == "__main__":
    main(STORES[sys.argv[1]], np.load(sys.argv[2]), np.load(sys.argv[3]))
