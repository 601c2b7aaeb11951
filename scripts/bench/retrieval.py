"""
``python -m scripts.bench.retrieval DATASET…``: retrieval quality through the product's own ingest and retrieve.

For each dataset the vectors alone, the words alone, and both fused by the default weights; nDCG as trec_eval computes
it. A document's score is that of its best chunk.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pytrec_eval
import typer

from models import command
from rag.config import RetrievalSettings, load
from rag.knowledge_base import KnowledgeBase
from rag.workspace import Workspace
from scripts.bench.datasets import Dataset, data_dir, read_dataset

MEASURES = {"ndcg_cut_10", "recall_10", "recall_100", "map"}
ARMS = {"dense": 1.0, "words": 0.0, "fused": RetrievalSettings().dense_weight}
"""Weight of the vectors in each arm."""

CHUNKS_PER_QUERY = 300


def evaluate(base: KnowledgeBase, dataset: Dataset) -> dict[str, float]:
    """Return the mean of each measure over the dataset's queries."""
    run = {}
    for query, text in dataset.queries.items():
        scores: dict[str, float] = {}
        for hit in base.search(text, CHUNKS_PER_QUERY):
            scores.setdefault(hit.source, hit.score)
        run[query] = dict(list(scores.items())[:100])
    results = pytrec_eval.RelevanceEvaluator(dataset.qrels, MEASURES).evaluate(run)
    return {
        measure: sum(row[measure] for row in results.values()) / len(dataset.queries) for measure in sorted(MEASURES)
    }


def measure(names: Sequence[str], chunk_size: int | None) -> dict[str, object]:
    """Index each dataset once and score every arm on it."""
    report: dict[str, object] = {}
    for name in names:
        dataset = read_dataset(data_dir() / name)
        with tempfile.TemporaryDirectory() as directory:
            chunk = None if chunk_size is None else {"size": chunk_size}
            settings = load(data_dir=Path(directory), chunk=chunk, environment={})
            started = time.perf_counter()
            with Workspace(settings) as workspace:
                indexed = workspace.collection("bench", create=True).add_documents(dataset.documents)
                seconds = time.perf_counter() - started
                embedder = workspace.models.embedder
            arms = {}
            for arm, weight in ARMS.items():
                retrieval = RetrievalSettings(dense_weight=weight, candidates=CHUNKS_PER_QUERY)
                changed = settings.model_copy(update={"retrieval": retrieval})
                with Workspace(changed, embedder=embedder) as workspace:
                    arms[arm] = evaluate(workspace.collection("bench"), dataset)
        report[name] = {"documents": len(dataset.documents), "chunks": indexed.chunks, "ingest_s": seconds, **arms}
        sys.stderr.write(f"{name}: {json.dumps(report[name])}\n")
    return report


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    datasets: Annotated[list[str], typer.Argument(help="folders of the evaluation data")],
    chunk_size: Annotated[int | None, typer.Option(help="tokens of a chunk")] = None,
) -> None:
    """Measure retrieval quality on BEIR-like datasets."""
    print(json.dumps(measure(datasets, chunk_size), indent=2))


if __name__ == "__main__":
    command.run(app)
