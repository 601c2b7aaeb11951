"""``python -m scripts.bench.training.switch NAME``: what it costs to change the adapter between two requests."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer

from models import command
from models.adapter_store import locate as locate_adapter
from models.base import Message, SamplingParams
from models.engine import EngineName
from models.store import locate

SWITCHES = 200
ASKED = [Message("user", "Name three colours and say why you chose them.")]
GREEDY = SamplingParams(max_tokens=48)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    name: Annotated[str, typer.Argument(help="an adapter; it is made resident twice, under two names")],
    engine: Annotated[EngineName, typer.Option(help="transformers or openvino")] = "transformers",
) -> None:
    """Switch between two resident adapters and the base model, and compare the base model's text before and after."""
    from models.engines import load_generator

    first = locate_adapter(name)
    second = replace(first, name="the-other")
    generator = load_generator(locate(first.base, "generator"), engine, offered=lambda: [first, second])

    def text(adapter: str | None) -> list[int]:
        return [token.id for token in generator.stream(ASKED, GREEDY, adapter)]

    before = text(None)
    text(first.name), text(second.name)
    times: dict[str, list[float]] = {"adapter to adapter": [], "adapter to base": [], "base to adapter": []}
    for _ in range(SWITCHES):
        generator._engine.begin(first)
        for kind, adapter in (("adapter to adapter", second), ("adapter to base", None), ("base to adapter", first)):
            started = time.perf_counter()
            generator._engine.begin(adapter)
            times[kind].append(1000 * (time.perf_counter() - started))
    told = {
        kind: {"p50_ms": float(np.median(ms)), "p95_ms": float(np.quantile(ms, 0.95))} for kind, ms in times.items()
    }
    text(second.name)
    sys.stdout.write(json.dumps({**told, "base_text_unchanged": text(None) == before}, indent=2) + "\n")


if __name__ == "__main__":
    command.run(app)
