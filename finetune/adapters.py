"""``python -m finetune.adapters``: which adapters there are, what they can do, and which of them are offered."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models import adapters, command
from models.adapter_store import SHIPPED, installed, locate
from models.adapters import REPORT, Adapter
from models.base import ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Name = Annotated[str, typer.Argument(help="the adapter")]


@app.command("list")
def list_adapters(as_json: AsJson = False) -> None:
    """List the adapters on this machine."""
    found = installed()
    if as_json:
        _print({"adapters": [as_object(adapter) for adapter in found]})
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "base", "gate", "offered", "passages", "licence"):
        table.add_column(heading)
    for adapter in found:
        gate = "passed" if adapter.gate_passed else "not passed"
        offered = "yes" if adapter.is_offered else "no"
        context = "yes" if adapter.trained_with_context else "no"
        table.add_row(adapter.name, adapter.base, gate, offered, context, adapter.licence)
    Console(markup=False, highlight=False).print(table if found else "none; train one with `python -m finetune.train`")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show what an adapter's manifest says."""
    adapter = locate(name)
    if as_json:
        _print(as_object(adapter))
        return
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for key, value in as_object(adapter).items():
        console.print(f"{key:<22}{value if isinstance(value, str) else json.dumps(value)}")


@app.command()
def accept(name: Name, as_json: AsJson = False) -> None:
    """Let the server offer an adapter that did not pass its gate."""
    adapter = adapters.accept(locate(name))
    if as_json:
        _print(as_object(adapter))
    else:
        sys.stdout.write(f"{name} is offered now; its report: {adapter.directory / REPORT}\n")


@app.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Delete an adapter from this machine; a running server stops offering it at once."""
    adapter = locate(name)
    if adapter.directory.parent == SHIPPED:
        raise ConfigError(
            f"{name!r} comes with the project; `answer: {{adapter: base}}` in the settings leaves it unused."
        )
    shutil.rmtree(adapter.directory)
    if as_json:
        _print({"removed": name})
    else:
        sys.stdout.write(f"{name} is removed\n")


def as_object(adapter: Adapter) -> dict[str, Any]:
    """Return an adapter as what JSON can hold."""
    return {
        "name": adapter.name,
        "directory": str(adapter.directory),
        "base": adapter.base,
        "base_weights_hash": adapter.base_weights_hash,
        "gate_passed": adapter.gate_passed,
        "accepted": adapter.accepted,
        "offered": adapter.is_offered,
        "trained_with_context": adapter.trained_with_context,
        "prompt_format": adapter.prompt_format,
        "licence": adapter.licence,
        "data_sha256": adapter.data_sha256,
        "scores": {when: dict(scores) for when, scores in adapter.scores.items()},
        "recipe": dict(adapter.recipe),
    }


def _print(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    command.run(app)
