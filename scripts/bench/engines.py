"""
``python -m scripts.bench.engines``: the engines on the same prompt, beside what this machine could do at best.

The engines alternate, because a shared machine's speed changes by the minute; medians are compared. The limits are
measured between them: float32 products per second bound the reading of a prompt, memory bandwidth bounds decoding.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from models import adapter_store, command, general
from models.base import Generator, Message, SamplingParams
from models.engine import EngineName
from models.store import locate

if TYPE_CHECKING:
    from models.generator import LocalGenerator

ENGINES: tuple[EngineName, ...] = ("transformers", "openvino")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[str, typer.Option(help="a generator")] = "smollm2-135m-instruct",
    prompt_tokens: Annotated[int, typer.Option(help="about how long the prompt is")] = 900,
    new_tokens: Annotated[int, typer.Option(help="how many are generated")] = 48,
    rounds: Annotated[int, typer.Option(help="how often each engine runs")] = 5,
    adapter: Annotated[str | None, typer.Option(help="an adapter, applied at run time and merged, too")] = None,
) -> None:
    """Time each engine on the same prompt: first token, decoding, and a follow-up that begins with the prompt."""
    from models.engines import load_generator

    found: dict[str, list[dict[str, float]]] = {}
    located = locate(model, "generator")
    adapters = adapter_store.installed(located)
    generators = {name: load_generator(located, name, "cpu", lambda: adapters) for name in ENGINES}
    prompt = _prompt(generators["transformers"], prompt_tokens)
    params = SamplingParams(max_tokens=new_tokens)
    for number in range(rounds):
        for name, generator in generators.items():
            for arm, asked in _arms(name, generator, adapter):
                found.setdefault(arm, []).append(_timed(generator, prompt, params, asked, f"{number}"))
        found.setdefault("limits", []).append(_limits())
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
    told = {arm: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for arm, runs in found.items()}
    told["prompt_tokens"] = {"count": generators["transformers"].count_tokens(prompt)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


def _arms(name: str, generator: LocalGenerator, adapter: str | None) -> Iterator[tuple[str, str | None]]:
    yield name, None
    if adapter is not None:
        merged = "merged" in generator._engine.key(adapter_store.locate(adapter))
        yield f"{name}, adapter {'merged' if merged else 'applied'}", adapter


def _timed(
    generator: Generator, prompt: list[Message], params: SamplingParams, adapter: str | None, scope: str
) -> dict[str, float]:
    """Answer a prompt, and one that goes on from it."""
    first, total, words = _run(generator, prompt, params, adapter, scope)
    follow_up = [*prompt, Message("assistant", words), Message("user", "And why is that?")]
    again, _, _ = _run(generator, follow_up, params, adapter, scope)
    tokens = generator.count_tokens(prompt)
    return {
        "first_token_s": first,
        "prompt_tokens_per_s": tokens / first,
        "decoded_per_s": (params.max_tokens - 1) / (total - first),
        "total_s": total,
        "follow_up_first_token_s": again,
    }


def _run(
    generator: Generator, messages: list[Message], params: SamplingParams, adapter: str | None, scope: str
) -> tuple[float, float, str]:
    started = time.perf_counter()
    first, words, new = 0.0, "", 0
    with closing(generator.stream(messages, params, adapter, scope)) as tokens:
        for token in tokens:
            first = first or time.perf_counter() - started
            words += token.text
            new += 1
    total = time.perf_counter() - started
    # An answer that ends early would make decoding look slow: it is counted for what it has.
    return first, first + (total - first) * (params.max_tokens - 1) / max(1, new - 1), words


def _prompt(generator: Generator, tokens: int) -> list[Message]:
    """Return a prompt of plain text, of nearly so many tokens."""
    words = " ".join(general.paragraphs() * 20).split(" ")
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if generator.count_tokens(_asking(words[:middle])) <= tokens:
            low = middle
        else:
            high = middle - 1
    return _asking(words[:low])


def _asking(words: list[str]) -> list[Message]:
    return [Message("user", "Retell this at length:\n\n" + " ".join(words))]


def _limits() -> dict[str, float]:
    """Measure what bounds any engine here: products of large float32 matrices, and copying memory."""
    import torch

    left, right = torch.randn(1024, 2048), torch.randn(2048, 2048)
    flops = 2 * 1024 * 2048 * 2048 / _fastest(lambda: torch.mm(left, right))
    block, target = torch.ones(2**26), torch.empty(2**26)
    bandwidth = 2 * 4 * len(block) / _fastest(lambda: target.copy_(block))
    return {"float32_gflops": flops / 1e9, "memory_gb_per_s": bandwidth / 1e9}


def _fastest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    command.run(app)
