"""``python -m scripts.bench.lengths``: seconds to the first token as the prompt grows, engine by engine."""

from __future__ import annotations

import json
import statistics
import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from models import command
from models.store import locate
from scripts.bench.options import Gguf, PeersPython
from scripts.bench.prompts import long_prompt

NEW_TOKENS = 2
ROOM = 64
"""What the longest prompt leaves of the context."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    peers_python: PeersPython,
    model: Annotated[str, typer.Option(help="a generator")] = "smollm2-135m-instruct",
    gguf: Gguf = None,
    lengths: Annotated[list[int] | None, typer.Option("--tokens", help="of a prompt; several times")] = None,
    rounds: Annotated[int, typer.Option(help="how often each is read")] = 1,
) -> None:
    """Time the first token for prompts of growing length."""
    from models.engines import load_generator
    from scripts.bench.arms import our_arms, peers_arms
    from scripts.bench.endless import endless
    from scripts.bench.engines import ENGINES

    located = locate(model, "generator")
    generators = {str(name): endless(load_generator(located, name, "cpu")) for name in ENGINES}
    counting = generators["transformers"]
    found: dict[str, dict[int, list[float]]] = {}
    with ExitStack() as running:
        peers = peers_arms(located, counting, peers_python, gguf, running)
        for arm in {**our_arms(generators, None, "first"), **peers}.values():
            arm(long_prompt(counting, 100, 0), NEW_TOKENS)  # what is compiled or allocated at the first prompt
        for number in range(rounds):
            for wanted in lengths or (256, 512, 1024, 2048, 4096, 8192):
                prompt = long_prompt(counting, min(wanted, located.context_length - ROOM), wanted + number)
                for name, arm in {**our_arms(generators, None, f"{wanted}.{number}"), **peers}.items():
                    seconds = arm(prompt, NEW_TOKENS).first_token_s
                    found.setdefault(name, {}).setdefault(wanted, []).append(seconds)
                    sys.stderr.write(f"{wanted} {name}: {seconds:.2f} s\n")
    told = {name: {at: statistics.median(times) for at, times in rows.items()} for name, rows in found.items()}
    sys.stdout.write(json.dumps({"first_token_s": told, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    command.run(app)
