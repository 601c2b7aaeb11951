"""
``python -m scripts.bench.vectors``: nearest vectors, ours beside Chroma, LanceDB and Qdrant's local mode.

The vectors and questions are those of :mod:`scripts.bench.search`. Every store is a process of its own and has the
vectors in memory or on disk as its quick start does it; each question goes to all of them in turn. Recall is against
an exact scan.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from models import command
from models.base import Vectors
from rag.config import load
from rag.workspace import Workspace
from scripts.bench.datasets import data_dir
from scripts.bench.options import PeersPython
from scripts.bench.peers.processes import Talk
from scripts.bench.search import K, fill

PEERS = {"Chroma": "chroma", "LanceDB, exact": "lancedb", "LanceDB, IVF_PQ": "lancedb-ivf", "Qdrant, local": "qdrant"}
OURS = "Homeground"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    peers_python: PeersPython,
    chunks: Annotated[int, typer.Option(help="vectors; a collection that is there may hold more")] = 100_000,
    sample: Annotated[int, typer.Option(help="vectors that are really embedded, if the collection is made")] = 5_000,
    data_path: Annotated[Path | None, typer.Option(help="the collection of scripts.bench.search, made or used")] = None,
) -> None:
    """Measure milliseconds for the ten nearest, recall, seconds to build, and memory."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        data = data_path or Path(scratch) / "data"
        fill(data, chunks, sample)
        vectors, queries = _read(data, chunks)
        files = [str(Path(scratch) / name) for name in ("vectors.npy", "queries.npy")]
        for path, array in zip(files, (vectors, queries), strict=True):
            np.save(path, array)
        words = {OURS: [sys.executable, "-m", "scripts.bench.peers.vectors_ours", *files]}
        for name, store in PEERS.items():
            words[name] = [str(peers_python), "-m", "scripts.bench.peers.vectors_peer", store, *files]
        talks = {name: running.enter_context(Talk(name, line)) for name, line in words.items()}
        report = _measured(talks, vectors, queries)
    sys.stdout.write(json.dumps({"chunks": len(vectors), "queries": len(queries), "stores": report}, indent=2) + "\n")


def _read(data: Path, most: int) -> tuple[Vectors, Vectors]:
    """Return the collection's first vectors, and the embedded questions."""
    lines = (data_dir() / "python_faq" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    with Workspace(load(data_dir=data, environment={})) as workspace:
        info = workspace.store.documents.collection("bench")
        rows = workspace.store.passages.roster(info.id).chunks
        through = int(rows[min(most, len(rows)) - 1])
        blocks = [block for _, block in workspace.store.passages.vectors_between(info.id, 0, through)]
        queries = [workspace.models.embedder.embed_query(json.loads(line)["text"]) for line in lines]
    return np.concatenate(blocks), np.stack(queries)


def _measured(talks: dict[str, Talk], vectors: Vectors, queries: Vectors) -> dict[str, Any]:
    built = {}
    for name, talk in talks.items():
        built[name] = talk.ask(-1)["seconds"]
        sys.stderr.write(f"{name}: built in {built[name]:.1f} s\n")
    best = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    times: dict[str, list[float]] = defaultdict(list)
    worked: dict[str, list[float]] = defaultdict(list)
    recall: dict[str, list[float]] = defaultdict(list)
    names = list(talks)
    for number, exact in enumerate(best):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            told = talks[name].ask(number)
            times[name].append(1000 * told["seconds"])
            worked[name].append(1000 * told["processor_s"])
            recall[name].append(float(np.isin(exact, told["rows"]).mean()))
    return {
        name: {
            "p50_ms": statistics.median(times[name]),
            "p95_ms": statistics.quantiles(times[name], n=20)[-1],
            "processor_p50_ms": statistics.median(worked[name]),
            "recall@10": statistics.fmean(recall[name]),
            "build_s": built[name],
            "peak_mib": talk.peak_mib,
            "p50_ratio": statistics.median(times[name]) / statistics.median(times[OURS]),
        }
        for name, talk in talks.items()
    }


if __name__ == "__main__":
    command.run(app)
