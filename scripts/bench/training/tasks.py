"""``python -m scripts.bench.training.tasks snips|geography``: what an adapter of the default model learns of a task."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from finetune.config import read
from models import command
from models.base import InputError
from scripts.bench.datasets import data_dir
from scripts.bench.training import rows

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Directory = Annotated[Path, typer.Option(help="where the rows, the settings and the adapter are written")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with an interrupted run")]


@app.command()
def snips(directory: Directory, resume: Resume = False) -> None:
    """Utterances to JSON: 7 intents, 39 slot names; judged on the 700 test rows."""
    data = data_dir()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "schema.json").write_text(json.dumps(rows.snips_schema(data)), encoding="utf-8")
    gate = {"score": "json_schema", "schema": "schema.json", "rows": 100, "max_tokens": 100}
    settings = {
        "name": "snips",
        "steps": 620,
        "batch_size": 8,
        "learning_rate": 1.5e-3,
        "packing": True,
        "eval_every": 310,
        "gate": gate,
    }
    _train(directory, rows.snips, settings, resume=resume)


@app.command()
def geography(directory: Directory, resume: Resume = False) -> None:
    """Questions to SQL in a private schema; judged by what the queries return, on queries of new kinds."""
    data = data_dir()
    directory.mkdir(parents=True, exist_ok=True)
    database = data / "text2sql_geography" / "geography.sqlite"
    gate = {"score": "sql", "database": str(database), "rows": 200, "max_tokens": 200, "max_forgetting": 1}
    settings = {
        "name": "geography",
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 1.5e-3,
        "packing": True,
        "gate": gate,
    }
    _train(directory, rows.geography, settings, resume=resume)


@app.command()
def score(
    name: Annotated[str, typer.Argument(help="the adapter")],
    directory: Directory,
    base: Annotated[bool, typer.Option(help="answer with the base model, too")] = True,
) -> None:
    """Score an adapter that was trained here, and its base, on every test row; the gate took a sample."""
    from finetune import files, gate, scores
    from finetune.generate import generate
    from models.adapter_store import locate as locate_adapter
    from models.lora import ResidentAdapters, verifier
    from models.network import best_device, best_dtype, load_network
    from models.store import locate
    from models.tokenizer import ChatTokenizer

    config = read(directory / "run.yaml")
    model, device, chosen = locate(config.base, "generator"), best_device(), scores.choose(config.gate)
    if chosen is None:
        raise InputError(f"{directory / 'run.yaml'} names no score.")
    tokenizer = ChatTokenizer(model)
    network = load_network(model, best_dtype(device)).to(device)
    lora = ResidentAdapters(network, verifier(model, tokenizer))
    examples = files.read([directory / "test.jsonl"]).usable
    prompts = [tokenizer.prompt_ids(example.prompt) for example in examples]
    told: dict[str, Any] = {"rows": len(examples)}
    for side, adapter in (("after", locate_adapter(name)), *([("before", None)] if base else [])):
        lora.activate(adapter)
        started = time.perf_counter()
        answers = generate(network, tokenizer, prompts, config.gate.max_tokens or 256)
        pairs = zip(answers, examples, strict=True)
        measured = [chosen.measure(answer.text, example.answer) for answer, example in pairs]
        told[side] = {"seconds": time.perf_counter() - started}
        for key in measured[0]:
            values = np.array([numbers[key] for numbers in measured])
            told[side][key] = {"mean": float(values.mean()), "interval": gate.interval(values)}
        sys.stderr.write(f"{side}: {told[side]}\n")
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _train(
    directory: Path,
    task: Callable[[Path, str], list[dict[str, str]]],
    settings: dict[str, Any],
    *,
    resume: bool,
) -> None:
    for split in ("train", "test"):
        rows.write(directory / f"{split}.jsonl", task(data_dir(), split))
    path = directory / "run.yaml"
    fixed = {"base": "smollm2-135m-instruct", "data": {"train": "train.jsonl", "eval": "test.jsonl"}, "max_length": 512}
    path.write_text(yaml.safe_dump({**fixed, **settings}, sort_keys=False), encoding="utf-8")
    config = read(path)
    from finetune import run
    from finetune.setup import set_up
    from finetune.train import as_object

    outcome = run.run(set_up(config, skip_bad_rows=False), resume=resume, overwrite=not resume)
    if outcome is not None:
        sys.stdout.write(json.dumps(as_object(outcome), indent=2) + "\n")


if __name__ == "__main__":
    command.run(app)
