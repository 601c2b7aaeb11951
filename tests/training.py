"""A tiny run: a random model, rows that can be learnt, and the settings around them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from finetune import files
from finetune.config import TrainConfig, read
from finetune.encode import Row, encode
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.fakes import write_tiny_generator


def tiny_model(directory: Path) -> Model:
    """Write a random two-layer model; return it."""
    return Model("tiny", "generator", write_tiny_generator(directory), "0" * 64, "Apache-2.0", 512)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def questions(count: int) -> list[dict[str, str]]:
    """Return rows whose answer is the last letter of the question, of different lengths."""
    letters = "abcdefgh"
    return [
        {"prompt": f"{'say ' * (number % 7)}{number} {letters[number % 8]}", "completion": letters[number % 8]}
        for number in range(count)
    ]


def write_config(directory: Path, base: Path | str, **settings: Any) -> Path:
    """Write a config for rows in ``train.jsonl``; settings replace the defaults here."""
    if not (directory / "train.jsonl").is_file():
        write_rows(directory / "train.jsonl", questions(60))
    defaults: dict[str, Any] = {
        "base": str(base),
        "name": "letters",
        "data": {"train": "train.jsonl"},
        "steps": 6,
        "learning_rate": "1e-2",
        "batch_size": 4,
        "max_length": 256,
        "lora": {"r": 4, "alpha": 8},
    }
    path = directory / "run.yaml"
    path.write_text(yaml.safe_dump(defaults | settings), encoding="utf-8")
    return path


def config(directory: Path, **settings: Any) -> TrainConfig:
    return read(write_config(directory, "tiny", **settings))


def encoded(tokenizer: ChatTokenizer, rows: Sequence[Mapping[str, Any]], directory: Path) -> list[Row]:
    read_rows = files.read([write_rows(directory / "rows.jsonl", rows)])
    assert not read_rows.bad
    return [encode(example, tokenizer, 512) for example in read_rows.usable]
