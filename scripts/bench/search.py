"""
``python -m scripts.bench.search``: how long a search takes, what it finds, and what it occupies, at a number of chunks.

Everything but embedding the question: permission filter, both searches, completion of scores, fusion, reading the hits.
The words are those of real documentation, half of one chunk and half of another where there are not enough; the vectors
are real embeddings of a sample, and for the rest copies of these moved a little, because embedding a million chunks
takes a day on two cores. Recall is against an exact scan over the permitted vectors. Filling, building and searching
each have a process of their own, so that the memory of one is not counted for another; none holds all vectors at once.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from models import command
from models.base import Embedder, Vectors
from rag.chunk import split
from rag.config import RetrievalSettings, load
from rag.index import CollectionIndex
from rag.index.allowed import Allowed
from rag.load import Parser, SourceFile
from rag.retrieve import search
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Ids, Prepared, Roster
from rag.types import Chunk, Document
from rag.workspace import Workspace
from scripts.bench.datasets import data_dir
from scripts.bench.startup import resident_mib

SETS = ("bigdocs_python", "bigdocs_postgresql_html")
SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)
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
            if number >= len(chunks):
                other = chunks[rng.integers(len(chunks))][1].text
                text = text[: len(text) // 2] + " " + other[len(other) // 2 :]
            one = Chunk(0, len(text), text, chunk.headings)
            batch.append(Prepared(Document(f"{number}", text, document.title), [one], vector[np.newaxis]))
        yield batch


def fill(data: Path, rows: int, sample: int) -> None:
    """Make the collection: ``rows`` chunks, moved copies of ``sample`` that are really embedded."""
    with Workspace(load(data_dir=data, environment={})) as workspace:
        if workspace.collections():
            return
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


def opened(data: Path) -> dict[str, float]:
    """Open the collection, build its indexes where there are none, save them; return seconds and MiB."""
    started = time.perf_counter()
    with Workspace(load(data_dir=data, environment={})) as workspace:
        workspace.collection("bench")
        ready = time.perf_counter() - started
    saved = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ready_s": ready, "closed_s": saved, "peak_mib": peak}


def permitted(roster: Roster, share: float) -> Ids | None:
    """Return the rows of the documents that may be read; None for all."""
    if share == 1:
        return None
    chosen = np.random.default_rng(1).choice(roster.documents, int(share * len(roster.documents)), replace=False)
    return np.sort(chosen)


def searched(data: Path) -> dict[str, Any]:
    """Open a built collection and search it; return milliseconds, recall and MiB."""
    command.keep_threads_quiet()
    questions = [row["text"] for row in map(json.loads, (data_dir() / "python_faq" / "queries.jsonl").open())]
    with Workspace(load(data_dir=data, environment={})) as workspace:
        store, settings = workspace.store, workspace.settings.retrieval
        info = store.documents.collection("bench")
        queries = np.stack([workspace.models.embedder.embed_query(question) for question in questions])
        before = resident_mib(os.getpid())
        index = workspace.collection("bench")._index
        filters = [permitted(index.current().roster, share) for share in SHARES]
        times = np.empty((len(questions), len(SHARES), 2))
        as_reader = np.empty((len(questions), len(SHARES)))
        for number, (question, query) in enumerate(zip(questions, queries, strict=True)):
            for place, documents in enumerate(filters):
                started = time.perf_counter(), time.process_time()
                scored = search(question, query, K, store=store, index=index, settings=settings, documents=documents)
                store.passages.hits(scored[:K], "bench")
                times[number, place] = np.subtract((time.perf_counter(), time.process_time()), started)
                as_reader[number, place] = seconds_as_reader(question, query, index, settings, documents, store)
        after = resident_mib(os.getpid())
        now = index.current()
        masks = [now.allowed(documents) for documents in filters]
        found = [[now.nearest(query, K, mask)[0] for query in queries] for mask in masks]
        exact = scanned(workspace, info, queries, masks)
        return {
            **{
                f"readable {share:g}": {
                    "p50_ms": 1000 * float(np.median(times[:, place, 0])),
                    "p95_ms": 1000 * float(np.quantile(times[:, place, 0], 0.95)),
                    "reader_p50_ms": 1000 * float(np.median(as_reader[:, place])),
                    "reader_first_ms": 1000 * float(as_reader[0, place]),
                    "processor_p50_ms": 1000 * float(np.median(times[:, place, 1])),
                    "recall@10": float(np.mean([np.isin(*pair).mean() for pair in zip(best, ours, strict=True)])),
                }
                for place, (share, ours, best) in enumerate(zip(SHARES, found, exact, strict=True))
            },
            "dense": {"lists": now.dense._index.nlist if now.dense._nprobe else 0, "recall": now.dense._recall},
            "resident_mib": {"before opening": before, "after searches": after},
            "load": os.getloadavg()[0],
        }


def seconds_as_reader(
    question: str,
    query: Vectors,
    index: CollectionIndex,
    settings: RetrievalSettings,
    documents: Ids | None,
    store: Store,
) -> float:
    """Return what the same search takes for somebody who may read only these documents, words counted over them."""
    started = time.perf_counter()
    scored = search(
        question, query, K, store=store, index=index, settings=settings, documents=documents, readable=documents
    )
    store.passages.hits(scored[:K], "bench")
    return time.perf_counter() - started


def scanned(workspace: Workspace, info: CollectionInfo, queries: Vectors, masks: list[Allowed | None]) -> list[Ids]:
    """Return the exact nearest permitted rows of each query, shape ``(queries, 10)``, for each mask."""
    rows = [np.empty((len(queries), 0), np.int64) for _ in masks]
    cosines = [np.empty((len(queries), 0), np.float32) for _ in masks]
    newest = int(workspace.store.passages.roster(info.id).chunks[-1])
    for ids, vectors in workspace.store.passages.vectors_between(info.id, 0, newest):
        scores = queries @ vectors.T
        for number, mask in enumerate(masks):
            allowed = slice(None) if mask is None else mask.mask[ids]
            every = np.hstack([cosines[number], scores[:, allowed]])
            names = np.hstack([rows[number], np.broadcast_to(ids[allowed], (len(queries), len(ids[allowed])))])
            best = np.argpartition(-every, min(K, every.shape[1]) - 1, axis=1)[:, :K]
            cosines[number] = np.take_along_axis(every, best, axis=1)
            rows[number] = np.take_along_axis(names, best, axis=1)
    return rows


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    chunks: Annotated[int, typer.Option(help="chunks in the collection")] = 100_000,
    sample: Annotated[int, typer.Option(help="chunks that are really embedded")] = 5_000,
    data_path: Annotated[
        Path | None, typer.Option(help="keep the collection here, or use the one that is here")
    ] = None,
) -> None:
    """Measure search latency, recall with permission filters, and memory."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh,
    ):
        data = data_path or Path(scratch)
        fresh.submit(fill, data, chunks, sample).result()
        report = {"chunks": chunks, "opened": fresh.submit(opened, data).result()}
        report |= {"opened_again": fresh.submit(opened, data).result(), **fresh.submit(searched, data).result()}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    command.run(app)
