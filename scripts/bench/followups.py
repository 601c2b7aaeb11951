"""
``python -m scripts.bench.followups``: where the evidence for a follow-up question stands among the passages found.

Three ways to search for it: alone, always behind the question before it, and by the rule of ``rag/followup.py``. The
conversations are those of ``docs/samples/followups.jsonl``; the last four change the subject.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import typer

from models import command
from models.base import Message
from rag.config import load
from rag.followup import standalone
from rag.knowledge_base import KnowledgeBase
from rag.workspace import Workspace

SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"
WAYS: dict[str, Callable[[str, str], str]] = {
    "alone": lambda before, question: question,
    "always behind": lambda before, question: f"{before} {question}",
    "by the rule": lambda before, question: standalone(question, [Message("user", before)]),
}
PASSAGES = 10

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main() -> None:
    """Measure retrieval for follow-up questions on the sample handbook."""
    lines = (SAMPLES / "followups.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    with (
        tempfile.TemporaryDirectory() as directory,
        Workspace(load(data_dir=Path(directory), environment={})) as opened,
    ):
        base = opened.collection("handbook", create=True)
        base.add(SAMPLES / "handbook")
        report = {
            name: _score([_rank(base, way(row["after"], row["question"]), row) for row in rows])
            for name, way in WAYS.items()
        }
    print(json.dumps(report | {"conversations": len(rows)}, indent=2))


def _rank(base: KnowledgeBase, question: str, row: dict[str, str]) -> int | None:
    """Return the place, from 1, of the first passage that holds the evidence; None when it is not among the first."""
    for place, hit in enumerate(base.search(question, PASSAGES), 1):
        if hit.source == row["source"] and " ".join(row["quote"].split()) in " ".join(hit.chunk.text.split()):
            return place
    return None


def _score(ranks: list[int | None]) -> dict[str, float]:
    found = [rank for rank in ranks if rank is not None]
    return {
        "first": sum(rank == 1 for rank in found),
        "among three": sum(rank <= 3 for rank in found),
        "reciprocal rank": sum(1 / rank for rank in found) / len(ranks),
    }


if __name__ == "__main__":
    command.run(app)
