"""
``python -m scripts.bench.search``: how long a search takes, and what it finds, at a given number of chunks.

Everything but embedding the question: permission filter, both searches, completion of scores, fusion, reading the hits.
The words are those of real documentation; the vectors are real embeddings of a sample, and for the rest copies of these
moved a little, because embedding 100,000 chunks takes half an hour on two cores. Recall is against an exact scan over
the permitted vectors.
"""

from __future__ import annotations

import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from models import command
from models.base import Embedder, Vectors
from rag.chunk import split
from rag.config import load
from rag.load import Parser, SourceFile
from rag.retrieve import search
from rag.store.records import EmbedderIdentity, Ids, Prepared
from rag.types import Chunk, Document
from rag.workspace import Workspace
from scripts.bench.datasets import data_dir

SETS = ("bigdocs_python", "bigdocs_postgresql_html")
BATCH = 2_000
MOVED_COSINE = 0.9
K = 10


def read_chunks(embedder: Embedder) -> list[tuple[Document, Chunk]]:
    """Return the chunks of the documentation sets."""
    found: list[tuple[Document, Chunk]] = []
    with tempfile.TemporaryDirectory() as directory, Parser() as parser:
        for name in SETS:
            with tarfile.open(data_dir() / name / f"{name}.tar.gz") as archive:
                archive.extractall(directory, filter="data")
        files = [path for path in sorted(Path(directory).rglob("*")) if path.is_file()]
        requests = (SourceFile(path, path.relative_to(directory).as_posix()) for path in files)
        for outcome in parser.parse_many(requests):
            if isinstance(outcome.result, Exception):
                continue
            document = outcome.result.document
            found += [
                (document, c) for c in split(document, embedder.token_starts, size=200, limit=embedder.max_tokens)
            ]
    return found


def moved(vectors: Vectors, rng: np.random.Generator) -> Vectors:
    """Return the vectors, each moved in a random direction to a cosine of 0.9 with what it was."""
    noise = rng.normal(size=vectors.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = vectors + noise * np.sqrt(1 / MOVED_COSINE**2 - 1)
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), dtype=np.float32)


def batches(chunks: list[tuple[Document, Chunk]], sample: Vectors, rows: int) -> Iterator[list[Prepared]]:
    """Yield documents of one chunk each, until there are ``rows`` of them."""
    rng = np.random.default_rng(0)
    for begin in range(0, rows, BATCH):
        numbers = range(begin, min(rows, begin + BATCH))
        vectors = moved(sample[[number % len(sample) for number in numbers]], rng)
        batch = []
        for number, vector in zip(numbers, vectors, strict=True):
            document, chunk = chunks[number % len(chunks)]
            text = chunk.text
            one = Chunk(0, len(text), text, chunk.headings)
            batch.append(Prepared(Document(f"{number}", text, document.title), [one], vector[np.newaxis]))
        yield batch


def measure(workspace: Workspace, questions: list[str], queries: Vectors, share: float) -> dict[str, float]:
    """Return seconds and recall of filtered searches, where ``share`` of the documents may be read."""
    base = workspace.collection("bench")
    info = workspace.store.documents.collection("bench")
    index = base._index
    roster = workspace.store.passages.roster(info.id)
    rng = np.random.default_rng(1)
    permitted: Ids | None = None
    if share < 1:
        permitted = np.sort(rng.choice(roster.documents, max(1, int(share * len(roster.documents))), replace=False))
    vectors = workspace.store.passages.vectors(roster.chunks, info.embedder.dim)
    readable = np.ones(len(vectors), dtype=bool) if permitted is None else np.isin(roster.documents, permitted)
    settings = workspace.settings.retrieval
    seconds, agree = [], 0
    for question, query in zip(questions, queries, strict=True):
        started = time.perf_counter()
        scored = search(question, query, K, store=workspace.store, index=index, settings=settings, documents=permitted)
        workspace.store.passages.hits(scored, "bench")
        seconds.append(time.perf_counter() - started)
        now = index.current()
        found, _ = now.nearest(query, K, now.allowed(permitted))
        exact = roster.chunks[readable][np.argpartition(-(vectors[readable] @ query), K)[:K]]
        agree += len(np.intersect1d(found, exact))
    ordered = sorted(seconds)
    return {
        "p50_ms": 1000 * statistics.median(ordered),
        "p95_ms": 1000 * ordered[int(0.95 * len(ordered))],
        "recall@10": agree / (K * len(questions)),
    }


def fill(workspace: Workspace, rows: int, sample: int) -> None:
    """Make the collection: ``rows`` chunks, ``sample`` of them really embedded."""
    embedder = workspace.models.embedder
    chunks = read_chunks(embedder)
    picked = np.random.default_rng(2).permutation(len(chunks))[:sample]
    sys.stderr.write(f"{len(chunks)} chunks read; embedding {len(picked)}\n")
    chunks = [chunks[number] for number in picked] + chunks
    vectors = embedder.embed([chunk.searched_text(document.title) for document, chunk in chunks[: len(picked)]])
    identity = EmbedderIdentity(embedder.name, embedder.weights_hash, embedder.dim)
    info = workspace.store.documents.create_collection("bench", identity)
    for batch in batches(chunks, vectors, rows):
        workspace.store.documents.put(info.id, batch, "bench")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    rows: Annotated[int, typer.Option(help="chunks in the collection")] = 100_000,
    sample: Annotated[int, typer.Option(help="chunks that are really embedded")] = 5_000,
    data_path: Annotated[Path | None, typer.Option(help="keep the collection here")] = None,
) -> None:
    """Measure search latency and recall with permission filters."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Workspace(load(data_dir=data_path or Path(scratch), environment={})) as workspace,
    ):
        if not workspace.collections():
            fill(workspace, rows, sample)
        embedder = workspace.models.embedder
        started = time.perf_counter()
        index = workspace.collection("bench")._index
        built = time.perf_counter() - started
        questions = [row["text"] for row in map(json.loads, (data_dir() / "python_faq" / "queries.jsonl").open())]
        queries = np.stack([embedder.embed_query(question) for question in questions])
        report = {f"readable {share:g}": measure(workspace, questions, queries, share) for share in (1, 0.5, 0.1, 0.01)}
        dense = {"lists": index._dense._index.nlist if index._dense._nprobe else 0, "recall": index._dense._recall}
    print(json.dumps({"rows": rows, "build_s": built, "dense": dense, **report}, indent=2))


if __name__ == "__main__":
    command.run(app)
