"""``python -m scripts.bench.training.speed``: tokens per second and memory of a LoRA run, beside TRL's SFTTrainer."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from models.base import InputError
from models.prompt import plain
from models.store import locate
from scripts.bench.datasets import data_dir
from scripts.bench.training.rows import snips, write

ROOT = Path(__file__).resolve().parents[3]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    trl_python: Annotated[Path, typer.Option(exists=True, help="interpreter of TRL's environment")],
    steps: Annotated[int, typer.Option(help="optimiser steps of a run")] = 12,
    batch: Annotated[int, typer.Option(help="rows of a step")] = 16,
    rounds: Annotated[int, typer.Option(help="how often each side runs; they alternate")] = 3,
    checkpointing: Annotated[bool, typer.Option(help="gradient checkpointing on both sides, TRL's default")] = False,
) -> None:
    """Train both sides on the same rows, SmolLM2-135M, r = 16 on all linear layers, float32."""
    model = locate("smollm2-135m-instruct", "generator")
    rows = snips(data_dir(), "train")[: 64 * batch]
    flag = str(int(checkpointing))
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch) / "ours.jsonl", Path(scratch) / "theirs.jsonl"
        write(ours, rows)
        theirs.write_text("".join(json.dumps(_conversation(row)) + "\n" for row in rows), encoding="utf-8")
        sides = {
            "homeground": [sys.executable, "-m", "scripts.bench.training.our_side", str(ours)],
            "trl": [
                str(trl_python), str(Path(__file__).with_name("trl_side.py")), str(model.directory), str(theirs),
            ],
        }  # fmt: skip
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, words in sides.items():
                found[name].append(_run([*words, str(steps), str(batch), flag]))
                sys.stderr.write(f"{name}: {found[name][-1]}\n")
    report = {name: _summary(runs) for name, runs in found.items()}
    ratio = report["homeground"]["tokens_per_s"] / report["trl"]["tokens_per_s"]
    print(json.dumps({"gradient_checkpointing": checkpointing, **report, "ratio": ratio}, indent=2))


def _conversation(row: dict[str, str]) -> dict[str, Any]:
    turns = [{"role": one.role, "content": one.content} for one in plain(row["prompt"])]
    turns[0]["content"] = row["system"]
    return {"prompt": turns, "completion": [{"role": "assistant", "content": row["completion"]}]}


def _run(words: list[str]) -> dict[str, Any]:
    result = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise InputError(f"{' '.join(words)} ended with {result.returncode}; see above.")
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def _summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {
        "tokens_per_s": statistics.median(run["tokens"] / run["seconds"] for run in runs),
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


if __name__ == "__main__":
    command.run(app)
