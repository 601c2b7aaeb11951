"""
``python -m scripts.bench.answers``: from a question to the last token, beside the peers, with the same models.

The documents are the sample handbook, as our loaders read it. Every system is one process that has indexed them and
loaded its models; each question goes to all of them in turn, beginning with another one each time, so that a shared
machine's moods meet everybody. No question comes twice, and all answers have the same length.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from models.base import InputError
from models.prompt import GROUNDED_SYSTEM
from models.store import locate
from rag.load import Parser, SourceFile
from scripts.bench.options import Gguf, PeersPython
from scripts.bench.peers import gguf as gguf_files
from scripts.bench.peers import processes
from scripts.bench.peers.answering import Work
from scripts.bench.peers.processes import OURS, System, Talk
from scripts.bench.sameness import Answered, differences, holds

SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"
WARMING_UP = "What is the company called?"

ARMS = {
    "Homeground, OpenVINO": (OURS, "openvino"),
    "Homeground, transformers": (OURS, "transformers"),
    "LangChain, llama.cpp": (System.LANGCHAIN, "llama.cpp"),
    "LangChain, transformers": (System.LANGCHAIN, "transformers"),
    "LlamaIndex, llama.cpp": (System.LLAMAINDEX, "llama.cpp"),
    "LlamaIndex, transformers": (System.LLAMAINDEX, "transformers"),
    "Haystack, llama.cpp": (System.HAYSTACK, "llama.cpp"),
    "Haystack, transformers": (System.HAYSTACK, "transformers"),
    "txtai, llama.cpp": (System.TXTAI, "llama.cpp"),
}
"""
System and engine by the name of the arm; the first is what the others are compared with. txtai with transformers is
left out: it gives up when the first token takes longer than five seconds.
"""

REFERENCE = next(iter(ARMS))

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    peers_python: PeersPython,
    embedder: Annotated[str, typer.Option(help="for all systems")] = "all-minilm-l6-v2",
    generator: Annotated[str, typer.Option(help="for all systems")] = "smollm2-135m-instruct",
    gguf: Gguf = None,
    questions: Annotated[int, typer.Option(min=2, help="how many are asked")] = 12,
    chunk_tokens: Annotated[int, typer.Option(help="size of a chunk, in the embedder's tokens")] = 240,
    new_tokens: Annotated[int, typer.Option(help="how long every answer is")] = 48,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="only these beside the first")] = None,
) -> None:
    """Answer questions end to end with every system and engine."""
    chosen = {name: arm for name, arm in ARMS.items() if arms is None or name in arms or name == REFERENCE}
    rows = sample_questions()[:questions]
    model = locate(generator, "generator")
    work: dict[str, Any] = {
        "texts": _documents(),
        "embedder": str(locate(embedder, "embedder").directory),
        "generator": str(model.directory),
        "gguf": str(gguf or gguf_files.gguf(model.name)),
        "instructions": GROUNDED_SYSTEM,
        "chunk_tokens": chunk_tokens,
        "passages": 3,
        "new_tokens": new_tokens,
        "threads": len(os.sched_getaffinity(0)),
    }
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        talks: dict[str, Talk] = {}
        for name, (system, engine) in chosen.items():
            path = Path(scratch) / f"{system}-{engine}.json"
            Work(**work, engine=engine).write(path)
            words = processes.command(system, peers_python, "answers", str(path))
            talks[name] = running.enter_context(Talk(name, words))
            told = talks[name].ask(WARMING_UP)
            sys.stderr.write(f"{name}: {told['prompt_tokens']} prompt tokens, {told['total_s']:.1f} s\n")
        replies = _asked(talks, rows)
        memory = {name: talk.peak_mib for name, talk in talks.items()}
    sys.stdout.write(json.dumps(_report(replies, rows, new_tokens, memory), indent=2) + "\n")


def sample_questions() -> list[dict[str, Any]]:
    """Return the questions about the sample handbook that it answers, with their evidence."""
    lines = (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["answerable"]]


def _documents() -> list[tuple[str, str, str]]:
    """Return source, title and text of the handbook's files."""
    folder = SAMPLES / "handbook"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = []
    with Parser() as parser:
        for outcome in parser.parse_many(SourceFile(path, path.relative_to(folder).as_posix()) for path in files):
            if isinstance(outcome.result, Exception):
                raise InputError(f"{outcome.result}") from outcome.result
            document = outcome.result.document
            found.append((document.source, document.title, document.text))
    return found


def _asked(talks: dict[str, Talk], rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Ask every question of every system, each time in another order."""
    replies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    names = list(talks)
    for number, row in enumerate(rows):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            replies[name].append(talks[name].ask(row["question"]))
            sys.stderr.write(f"{row['id']} {name}: {replies[name][-1]['total_s']:.2f} s\n")
    return replies


def _report(
    replies: dict[str, list[dict[str, Any]]], rows: list[dict[str, Any]], new_tokens: int, memory: dict[str, float]
) -> dict[str, Any]:
    answered = {
        name: [_answered(reply, row) for reply, row in zip(told, rows, strict=True)] for name, told in replies.items()
    }
    differing = differences(answered, REFERENCE, new_tokens)
    return {
        "questions": len(rows),
        "new_tokens": new_tokens,
        "same_work": not any(differing.values()),
        "systems": {
            name: {
                "differences": differing[name],
                **_summary(found, answered[REFERENCE]),
                "peak_mib": memory[name],
                "answers": [
                    {**asdict(one), "text": reply["text"], "retrieved": [source for source, _ in reply["passages"]]}
                    for one, reply in zip(found, replies[name], strict=True)
                ],
            }
            for name, found in answered.items()
        },
    }


def _answered(reply: dict[str, Any], row: dict[str, Any]) -> Answered:
    evidence = [(one["source"], one["quote"]) for one in row["evidence"]]
    found = any(
        source == where and holds(text, quote) for source, text in reply["passages"] for where, quote in evidence
    )
    return Answered(
        reply["prompt_tokens"],
        reply["new_tokens"],
        found,
        reply["first_token_s"],
        reply["total_s"],
        reply["processor_s"],
    )


def _summary(found: list[Answered], ours: list[Answered]) -> dict[str, Any]:
    """Return medians, quartiles, and how many times as long as ours the same questions took (median of ratios)."""
    told: dict[str, Any] = {
        "prompt_tokens": statistics.median(one.prompt_tokens for one in found),
        "with_evidence": sum(one.has_evidence for one in found),
    }
    for key in ("first_token_s", "total_s", "processor_s"):
        times = [getattr(one, key) for one in found]
        quarters = statistics.quantiles(times, n=4)
        ratios = [mine / getattr(reference, key) for mine, reference in zip(times, ours, strict=True)]
        told[key] = {"median": quarters[1], "quartiles": [quarters[0], quarters[2]], "ratio": statistics.median(ratios)}
    return told


if __name__ == "__main__":
    command.run(app)
