"""
``python -m scripts.bench [SECTION]...``: every benchmark beside what people would use instead, with one command.

The environments of the others are made first, in the cache directory, from the pinned requirements; the variables
``HOMEGROUND_BENCH_PEERS`` and ``HOMEGROUND_BENCH_TRL`` name interpreters that are there already. Each benchmark is a
program of its own, which lets its systems take turns; this one runs them, keeps what each printed as JSON, and writes
the tables.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from models.base import InputError
from scripts.bench import tables
from scripts.bench.options import Gguf
from scripts.bench.peers import environment

ROOT = Path(__file__).resolve().parents[2]


class Section(StrEnum):
    """What is measured."""

    ANSWERS = "answers"
    ENGINES = "engines"
    INGEST = "ingest"
    SEARCH = "search"
    RETRIEVAL = "retrieval"
    TRAINING = "training"
    STARTUP = "startup"


@dataclass(frozen=True, slots=True)
class Choices:
    """What the programs are told."""

    generator: str
    gguf: Path | None
    rounds: int
    chunks: int

    @property
    def model(self) -> tuple[str, ...]:
        """The file for llama.cpp, if it is named."""
        return () if self.gguf is None else ("--gguf", str(self.gguf))


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    sections: Annotated[list[Section] | None, typer.Argument(help="only these")] = None,
    out: Annotated[Path, typer.Option(help="folder for the JSON files and the tables")] = Path("bench-results"),
    generator: Annotated[str, typer.Option(help="a model's name or directory")] = "smollm2-135m-instruct",
    gguf: Gguf = None,
    rounds: Annotated[int, typer.Option(min=1, help="how often everything is measured")] = 3,
    chunks: Annotated[int, typer.Option(help="size of the collections that are searched")] = 100_000,
) -> None:
    """Measure, and write one JSON file for each benchmark and the tables of all."""
    out.mkdir(parents=True, exist_ok=True)
    written = [f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n"]
    for section in sections or list(Section):
        for name, words in programs(section, Choices(generator, gguf, rounds, chunks)).items():
            sys.stderr.write(f"{name}: python -m {' '.join(words)}\n")
            report = _run(words)
            (out / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            written.append(f"## {name}\n\n{tables.WRITERS.get(name, tables.figures)(report)}")
            (out / "tables.md").write_text("\n".join(written), encoding="utf-8")
    sys.stdout.write("\n".join(written))


def programs(section: Section, given: Choices) -> dict[str, list[str]]:
    """Return the programs of a section, by the name of what they measure; makes the environment that they need."""
    rounds = ("--rounds", str(given.rounds))
    if section is Section.STARTUP:
        return {"startup": ["scripts.bench.startup", *rounds]}
    python = str(environment.python("trl" if section is Section.TRAINING else "peers"))
    peers = ("--peers-python", python)
    named = ("--model", given.generator, *given.model)
    match section:
        case Section.ANSWERS:
            return {"answers": ["scripts.bench.answers", *peers, "--generator", given.generator, *given.model]}
        case Section.ENGINES:
            return {
                "engines": ["scripts.bench.engines", *rounds, *peers, *named],
                "lengths": ["scripts.bench.lengths", *peers, *named],
                "server": ["scripts.bench.server", *rounds, "--generator", given.generator],
            }
        case Section.INGEST:
            return {"ingest": ["scripts.bench.peers", "ingest", *rounds, *peers]}
        case Section.SEARCH:
            size = ("--chunks", str(given.chunks))
            return {
                "search": ["scripts.bench.search", *size],
                "vectors": ["scripts.bench.vectors", *size, *peers],
            }
        case Section.RETRIEVAL:
            sets = ("adi", "cacm", "cranfield")
            return {"retrieval": ["scripts.bench.peers", "retrieval", *sets, *peers]}
        case Section.TRAINING:
            return {"training": ["scripts.bench.training.speed", *rounds, "--trl-python", python]}


def _run(words: list[str]) -> dict[str, Any]:
    result = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise InputError(f"`python -m {' '.join(words)}` ended with {result.returncode}; see above.")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


if __name__ == "__main__":
    command.run(app, offline=False, log_level="INFO")
