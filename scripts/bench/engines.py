"""
``python -m scripts.bench.engines``: the engines on the same prompt, beside what this machine could do at best.

The engines alternate, because a shared machine's speed changes by the minute; medians are compared. The limits are
measured between them: float32 and int8 products per second bound the reading of a prompt, memory bandwidth bounds
decoding. With the peers' environment, llama.cpp's server and CTranslate2 read and write the same number of tokens.
"""

from __future__ import annotations

import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from models import adapter_store, command
from models.engine import EngineName
from models.store import locate
from scripts.bench.limits import limits
from scripts.bench.options import Gguf
from scripts.bench.prompts import long_prompt

ENGINES: tuple[EngineName, ...] = ("transformers", "openvino")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a generator")] = "smollm2-135m-instruct",
    prompt_tokens: Annotated[int, typer.Option(help="about how long the prompt is")] = 900,
    new_tokens: Annotated[int, typer.Option(help="how many are generated")] = 48,
    rounds: Annotated[int, typer.Option(help="how often each engine runs")] = 5,
    adapter: Annotated[str | None, typer.Option(help="an adapter, applied at run time and merged, too")] = None,
    peers_python: Annotated[
        Path | None, typer.Option(exists=True, help="interpreter of the peers' environment, to run them, too")
    ] = None,
    gguf: Gguf = None,
) -> None:
    """Time each engine on the same prompt: first token, decoding, and a follow-up that begins with the prompt."""
    from models.engines import load_generator
    from scripts.bench.arms import our_arms, peers_arms, timed
    from scripts.bench.endless import endless

    found: dict[str, list[dict[str, float]]] = {}
    located = locate(model, "generator")
    adapters = adapter_store.installed(located)
    generators = {str(name): endless(load_generator(located, name, "cpu", lambda: adapters)) for name in ENGINES}
    counting = generators["transformers"]
    with ExitStack() as running:
        peers = {} if peers_python is None else peers_arms(located, counting, peers_python, gguf, running)
        for run in {**our_arms(generators, None, "first"), **peers}.values():
            run(long_prompt(counting, 100, rounds), 2)  # what is compiled or allocated at the first prompt
        for number in range(rounds):
            prompt = long_prompt(counting, prompt_tokens, number)
            for arm, run in {**our_arms(generators, adapter, f"{number}"), **peers}.items():
                found.setdefault(arm, []).append(timed(run, prompt, counting.count_tokens(prompt), new_tokens))
                sys.stderr.write(f"{arm}: {found[arm][-1]}\n")
            found.setdefault("limits", []).append(limits())
            sys.stderr.write(f"round {number + 1} of {rounds}\n")
    told = {arm: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for arm, runs in found.items()}
    told["prompt_tokens"] = {"count": counting.count_tokens(prompt)}
    sys.stdout.write(json.dumps({**told, "rounds": found}, indent=2) + "\n")


if __name__ == "__main__":
    command.run(app)
