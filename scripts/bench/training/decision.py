"""
``python -m scripts.bench.training.decision --directory DIR``: SNIPS as a decision for ``scripts.decide``.

What retrieval reads are the training examples themselves, a document an intent, so that it can show the model examples
that are like the request; what fine-tuning learns are the same examples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml

from models import command
from rag.evaluate.rows import spread
from scripts.bench.datasets import data_dir
from scripts.bench.training import rows
from scripts.decide.leaks import Questions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    directory: Annotated[Path, typer.Option(file_okay=False, help="where the decision is written")],
    examples: Annotated[int, typer.Option(min=1, help="that adapters learn, and retrieval finds")] = 1600,
    questions: Annotated[int, typer.Option(min=1, help="that decide")] = 100,
) -> None:
    """Write documents, examples, test questions and ``decide.yaml``."""
    data = data_dir()
    (directory / "documents").mkdir(parents=True, exist_ok=True)
    test = spread(rows.snips(data, "test"), questions)
    asked = Questions(row["prompt"] for row in test)
    known = [row for row in rows.snips(data, "train") if not asked.asked_in(row["prompt"])]
    train = spread(known, examples)
    rows.write(directory / "train.jsonl", train)
    rows.write(directory / "test.jsonl", test)
    (directory / "schema.json").write_text(json.dumps(rows.snips_schema(data)), encoding="utf-8")
    by_intent: dict[str, list[str]] = {}
    for row in train:
        by_intent.setdefault(json.loads(row["completion"])["intent"], []).append(
            f"{row['prompt']}\n{row['completion']}\n"
        )
    for intent, said in by_intent.items():
        (directory / "documents" / f"{intent}.txt").write_text("\n".join(said), encoding="utf-8")
    settings = {
        "name": "snips",
        "documents": "documents",
        "train": "train.jsonl",
        "test": "test.jsonl",
        "score": "fields",
        "form": {"schema": "schema.json"},
        "requirements": {"changes": "never", "facts": False, "format": True},
        "answer": {"passages": 2, "max_tokens": 96},
        "training": {"epochs": 1, "learning_rate": 1.5e-3, "batch_size": 8, "max_length": 512},
    }
    (directory / "decide.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    sys.stdout.write(f"python -m scripts.decide --config {directory / 'decide.yaml'}\n")


if __name__ == "__main__":
    command.run(app)
