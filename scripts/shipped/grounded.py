"""
``python -m scripts.shipped.grounded --directory DIR``: the training rows of the adapter that answers from passages.

Its passages are what our own retrieval finds among all of them, and in our own documentation. Training is then

    python -m finetune.train --config DIR/run.yaml

and takes a night on two cores with the default number of passages.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models import command
from models.prompt import REFUSAL
from rag import config
from rag.evaluate.rows import write_rows
from rag.ground import Recipe, ground, read_answered
from rag.types import Document
from scripts.bench.datasets import data_dir
from scripts.shipped.orders import plant
from scripts.shipped.questions import Part, passages, split

if TYPE_CHECKING:
    from rag.knowledge_base import KnowledgeBase

RECIPE = Path(__file__).with_name("grounded.yaml")
OWN = Path(__file__).with_name("own.jsonl")
DOCS = Path(__file__).parents[2] / "docs"
SHOWN = (2, 3)
"""Passages of an example; half of the families get as many as answering gives by default, half one less."""

FAMILY = 6
WITH_EVIDENCE, SHUFFLED, WITH_ORDERS = 0.9, 0.3, 0.06

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    directory: Annotated[Path, typer.Option(file_okay=False, help="where rows, settings and the run are written")],
    families: Annotated[int, typer.Option(min=1, help="passages that are asked about")] = 3500,
    held_out: Annotated[int, typer.Option(min=1, help="passages that held-out questions are about")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="of every draw")] = 0,
) -> None:
    """Write ``train.jsonl``, ``dev.jsonl`` and ``run.yaml``."""
    from rag.workspace import Workspace

    directory.mkdir(parents=True, exist_ok=True)
    parts = split(passages(data_dir()), families, held_out, seed)
    told = {}
    with Workspace(config.load(data_dir=directory / "store", environment={})) as workspace:
        for name, part in zip(("train", "dev"), parts, strict=True):
            rows = _grounded(workspace.collection(name, create=True), part, directory, seed)
            if name == "train":
                rows += _about_us(workspace.collection("docs", create=True), seed)
            rows = plant(rows, WITH_ORDERS, seed)
            write_rows(directory / f"{name}.jsonl", rows)
            told[name] = Counter(row["answer"] == REFUSAL for row in rows)
    shutil.copyfile(RECIPE, directory / "run.yaml")
    counted = {name: {"answered": counts[False], "refused": counts[True]} for name, counts in told.items()}
    sys.stdout.write(
        json.dumps(counted | {"next": f"python -m finetune.train --config {directory / 'run.yaml'}"}) + "\n"
    )


def _grounded(base: KnowledgeBase, part: Part, directory: Path, seed: int) -> list[dict[str, Any]]:
    """Index the passages and let retrieval choose what stands beside each."""
    base.add_documents(part.documents)
    rows = []
    for turn, passages_shown in enumerate(SHOWN):
        path = directory / f"{base.name}-{passages_shown}.jsonl"
        write_rows(path, part.questions_of(turn, len(SHOWN)))
        recipe = Recipe(passages_shown, WITH_EVIDENCE, FAMILY, SHUFFLED, seed)
        rows += ground(base, read_answered(path), recipe)
    return rows


def _about_us(base: KnowledgeBase, seed: int) -> list[dict[str, Any]]:
    """Return examples about our own documentation: settings, commands and tables, as an encyclopaedia has none."""
    base.add_documents([Document(path.name, path.read_text("utf-8"), path.stem) for path in sorted(DOCS.glob("*.md"))])
    return ground(base, read_answered(OWN), Recipe(SHOWN[-1], WITH_EVIDENCE, FAMILY, SHUFFLED, seed))


if __name__ == "__main__":
    command.run(app)
