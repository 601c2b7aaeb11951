"""The tasks' rows in the form that training reads, made from the evaluation data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SNIPS_SYSTEM = "Turn the request into JSON."
SQL_SYSTEM = "Translate the question into SQL."


def snips(data: Path, split: str) -> list[dict[str, str]]:
    """Return utterances with their JSON; splits are train, dev and test."""
    return [
        {"system": SNIPS_SYSTEM, "prompt": row["input"], "completion": row["output"]}
        for row in _lines(data / "snips" / f"{split}.jsonl")
    ]


def snips_schema(data: Path) -> dict[str, Any]:
    """Return the JSON Schema of what SNIPS expects: one of 7 intents, slots among 39 names."""
    names = json.loads((data / "snips" / "schema.json").read_text(encoding="utf-8"))
    text = {"type": "string"}
    slot = {"anyOf": [text, {"type": "array", "items": text}]}
    return {
        "type": "object",
        "required": ["intent", "slots"],
        "additionalProperties": False,
        "properties": {
            "intent": {"enum": names["intents"]},
            "slots": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict.fromkeys(names["slot_names"], slot),
            },
        },
    }


def geography(data: Path, split: str) -> list[dict[str, str]]:
    """Return questions with their SQL; splits are those of ``query_split``, whose test queries are new in kind."""
    files = [data / "text2sql_geography" / f"{name}.jsonl" for name in ("train", "dev", "test")]
    rows = [row for file in files for row in _lines(file)]
    return [
        {"system": SQL_SYSTEM, "prompt": row["input"], "completion": row["output"]}
        for row in rows
        if row["query_split"] == split and row["gold_executes"]
    ]


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write rows, one a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
