"""
``python -m scripts.bench.ingest``: ingest throughput against the bare encoder, and the cost of an unchanged folder.

The same chunks go once through ``rag.ingest``'s own path (read, cut, embed, store, index) and once through the encoder
alone. The two alternate many times over a small set of files, because a shared machine's speed changes by the minute;
medians are compared.
"""

from __future__ import annotations

import json
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from models import command
from rag.config import load
from rag.workspace import Workspace
from scripts.bench.datasets import data_dir

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    name: Annotated[str, typer.Argument(help="a documentation set of the evaluation data")] = "bigdocs_python",
    files: Annotated[int, typer.Option(help="how many of its files, spread evenly")] = 12,
    rounds: Annotated[int, typer.Option(help="how often each of the two runs")] = 9,
) -> None:
    """Compare ingest with the bare encoder on the same chunks."""
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(data_dir() / name / f"{name}.tar.gz") as archive:
            archive.extractall(Path(scratch) / "all", filter="data")
        every = [path for path in sorted((Path(scratch) / "all").rglob("*")) if path.is_file()]
        chosen = every[:: max(1, len(every) // files)]
        ingest, bare, chunks = [], [], 0
        for number in range(rounds):
            settings = load(data_dir=Path(scratch) / f"data{number}", environment={})
            with Workspace(settings) as workspace:
                embedder = workspace.models.embedder
                started = time.perf_counter()
                report = workspace.collection("bench", create=True).add(*chosen)
                ingest.append(time.perf_counter() - started)
                info = workspace.store.documents.collection("bench")
                rows = workspace.store.passages.roster(info.id).chunks
                blocks = workspace.store.passages.texts_between(info.id, 0, int(rows[-1]))
                texts = [text for block in blocks for _, text in block]
                chunks = len(texts)
                started = time.perf_counter()
                embedder.embed(texts)
                bare.append(time.perf_counter() - started)
                sys.stderr.write(
                    f"{chunks} chunks, {len(report.errors)} errors: {ingest[-1]:.1f} s, bare {bare[-1]:.1f} s\n"
                )
    print(
        json.dumps(
            {
                "chunks": chunks,
                "ingest_chunks_per_s": chunks / statistics.median(ingest),
                "encoder_chunks_per_s": chunks / statistics.median(bare),
                "ratio": statistics.median(bare) / statistics.median(ingest),
                "ratios": sorted(alone / whole for alone, whole in zip(bare, ingest, strict=True)),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    command.run(app)
