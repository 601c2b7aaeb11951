"""
``python -m scripts.bench.server``: what the server adds to its engine, and what it does when several users wait.

Each question differs from all others, so that no answer comes from memory. The share outside the engine is measured
for one user alone: everything between the request and the first piece of the answer that is not the engine reading
the prompt: HTTP, rights, retrieval, making the prompt, choosing the token, sending it.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from models import command
from models.engine import EngineName
from scripts.bench.answers import sample_questions
from scripts.bench.served import Asked, Served, served

WARM = 6
"""Questions before anything is measured: the first ones compile, allocate, and make the graph that embeds questions."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    generator: Annotated[str, typer.Option(help="the model")] = "smollm2-135m-instruct",
    engine: Annotated[EngineName, typer.Option(help="what runs it")] = "auto",
    slots: Annotated[int | None, typer.Option(help="answers made at a time; by itself what suits the engine")] = None,
    passages: Annotated[int, typer.Option(help="how many a question comes with; 6 make some 900 tokens")] = 3,
    users: Annotated[list[int] | None, typer.Option(help="how many ask at once; several times")] = None,
    requests: Annotated[int, typer.Option(help="questions for each number of users, or one each if they are more")] = 8,
    new_tokens: Annotated[int, typer.Option(help="how long every answer is")] = 48,
    rounds: Annotated[int, typer.Option(help="how often each number of users is tried; they alternate")] = 1,
) -> None:
    """Measure the share of time outside the engine, and the throughput with waiting users."""
    levels = users or [1, 2, 4, 8, 16]
    questions = _questions()
    with served(generator, engine, slots, passages) as server:
        for _ in range(WARM):
            server.ask(next(questions), new_tokens)
        outside = [_outside(server, next(questions), new_tokens) for _ in range(requests)]
        crowds: dict[int, list[dict[str, Any]]] = {level: [] for level in levels}
        for _ in range(rounds):
            for level in levels:
                crowds[level].append(_crowd(server, questions, level, max(requests, level), new_tokens))
                sys.stderr.write(f"{level}: {crowds[level][-1]}\n")
    report = {
        "outside_the_engine": _shares(outside),
        "users": _compared(crowds),
        "requests": requests,
        "rounds": rounds,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _questions() -> Iterator[str]:
    """Yield the handbook's questions over and over, never the same words twice."""
    texts = [row["question"] for row in sample_questions()]
    return (f"{text} ({number})" for number, text in enumerate(itertools.cycle(texts)))


def _outside(server: Served, question: str, new_tokens: int) -> dict[str, float]:
    server.clock.prompt_s = 0.0
    answer = server.ask(question, new_tokens)
    first = answer.first - answer.asked
    return {
        "first_token_s": first,
        "engine_s": server.clock.prompt_s,
        "share": 1 - server.clock.prompt_s / first,
        "prompt_tokens": answer.prompt_tokens,
        "total_s": answer.ended - answer.asked,
    }


def _shares(runs: list[dict[str, float]]) -> dict[str, Any]:
    shares = sorted(run["share"] for run in runs)
    return {**{key: statistics.median(run[key] for run in runs) for key in runs[0]}, "shares": shares}


def _crowd(server: Served, questions: Iterator[str], users: int, requests: int, new_tokens: int) -> dict[str, Any]:
    """Let so many users ask at once, each a new question when the last is answered."""
    asked = [next(questions) for _ in range(requests)]
    started = time.perf_counter()
    with ThreadPoolExecutor(users) as crowd:
        answers = list(crowd.map(lambda question: server.ask(question, new_tokens), asked))
    seconds = time.perf_counter() - started
    return {
        "answers_per_s": requests / seconds,
        "tokens_per_s": _tokens(answers) / seconds,
        "overtaken": _overtaken(answers),
    }


def _tokens(answers: list[Asked]) -> int:
    return sum(answer.prompt_tokens + answer.new_tokens for answer in answers)


def _overtaken(answers: list[Asked]) -> int:
    """Return how many pairs were answered in another order than they were asked, a tenth of a second apart at least."""
    pairs = itertools.permutations(answers, 2)
    return sum(one.asked + 0.1 < other.asked and one.first > other.first for one, other in pairs)


def _compared(crowds: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return medians by number of users, and their throughput beside that of one user."""
    rates = {level: statistics.median(run["tokens_per_s"] for run in runs) for level, runs in crowds.items()}
    alone = rates[min(rates)]
    return {
        str(level): {
            "tokens_per_s": rates[level],
            "ratio": rates[level] / alone,
            "answers_per_s": statistics.median(run["answers_per_s"] for run in runs),
            "overtaken": sum(run["overtaken"] for run in runs),
        }
        for level, runs in crowds.items()
    }


if __name__ == "__main__":
    command.run(app)
