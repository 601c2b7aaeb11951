"""
``python -m models.fetch``: bring models in. The only program of this project that uses the network.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from models import catalog, command, store
from models.base import ConfigError
from models.catalog import CATALOG_PATH, Catalog, ModelRole
from models.install import install, order
from models.store import Model

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Catalog names, directories or hub ids. None: the default models."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what can be fetched, and what is here.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
    role: Annotated[ModelRole | None, typer.Option(help="What a directory's or hub id's model is for.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the model here, instead of its own name.")] = None,
    catalog_path: Annotated[Path, typer.Option("--catalog", help="Another catalog of models.")] = CATALOG_PATH,
) -> None:
    """
    Bring models to this machine. Only this command uses the network.

    Files from the catalog's wheels are checked against known SHA-256 digests. Files from a model hub are recorded
    when they arrive (trust on first use) and checked against that record whenever they are used.
    """
    known = catalog.load(catalog_path)
    if show:
        _show(known, as_json)
        return
    if name is not None and len(names or ()) != 1:
        raise ConfigError(f"--name names one model, {len(names or ())} are to be fetched. Run the command once for each.")
    orders = [order(what, known, role, name) for what in names or known.defaults.values()]
    done = []
    with _progress() as progress:
        for wanted in orders:
            model, is_new = install(wanted, progress)
            done.append(_plain(model) | {"fetched": is_new})
            progress.console.print(f"{model.name}: {'fetched' if is_new else 'already here, verified'}", highlight=False)
    if as_json:
        typer.echo(json.dumps({"models_dir": str(store.models_dir()), "models": done}))


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _plain(model: Model) -> dict[str, object]:
    return asdict(model) | {"directory": str(model.directory)}


def _show(known: Catalog, as_json: bool) -> None:
    here = {model.name: model for model in store.installed()}
    rows: list[dict[str, object]] = []
    for name, entry in known.models.items():
        fields = entry.model_dump(exclude={"wheel", "hub"})
        rows.append({"name": name, **fields, "trust": "catalog" if entry.wheel else "first use", "here": name in here})
    for name, model in here.items():
        if name not in known.models:
            rows.append({"name": name, "role": model.role, "licence": model.licence, "here": True})
    if as_json:
        typer.echo(json.dumps({"models_dir": str(store.models_dir()), "defaults": dict(known.defaults), "models": rows}))
        return
    table = Table("name", "role", "parameters", "licence", "GiB fp32 / bf16", "here", "for")
    for row in rows:
        table.add_row(*_cells(row, known))
    Console().print(table)
    sys.stdout.write("* default.  Wheels are checked against known digests, hub files are recorded at first use.\n")


def _cells(row: dict[str, object], known: Catalog) -> list[str]:
    name = str(row["name"])
    entry = known.models.get(name)
    mark = " *" if name in known.defaults.values() else ""
    size = f"{entry.parameters / 1e6:,.0f} M" if entry else ""
    memory = f"{entry.memory_gib.fp32} / {entry.memory_gib.bf16}" if entry else ""
    here = "yes" if row["here"] else ""
    return [name + mark, str(row["role"]), size, str(row["licence"]), memory, here, entry.description if entry else ""]


def main() -> None:
    """Run the command."""
    command.run(app, offline=False)


if __name__ == "__main__":
    main()
