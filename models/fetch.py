"""``python -m models.fetch``: bring models in. The only program of this project that uses the network."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from models import catalog, command, engines, export, store
from models.base import ConfigError, ModelError
from models.catalog import CATALOG_PATH, Catalog, ModelRole
from models.install import install, order
from models.store import Model

WIDE = 160  # columns of a terminal that has room for descriptions

log = logging.getLogger(__name__)
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
    prepare: Annotated[
        bool, typer.Option("--export/--no-export", help="Make generators ready for the fast engine on a CPU, too.")
    ] = True,
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
        raise ConfigError(f"--name names one model, {len(names or ())} are given. Run the command once for each.")
    orders = [order(what, known, role, name) for what in names or known.defaults.values()]
    models, done = [], []
    with _progress() as progress:
        for wanted in orders:
            model, is_new = install(wanted, progress)
            models.append(model)
            done.append(_plain(model) | {"fetched": is_new})
            state = "fetched" if is_new else "already here, verified"
            progress.console.print(f"{model.name}: {state}", highlight=False)
    if prepare and engines.is_installed():
        for model in (model for model in models if model.role == "generator"):
            _export(model)
    if as_json:
        typer.echo(json.dumps({"models_dir": str(store.models_dir()), "models": done}))


def _export(model: Model) -> None:
    """Export a generator, unless it is done; one that cannot be exported is served by the other engine."""
    try:
        found = export.find(model) or export.export(model)
    except ModelError as error:
        log.warning("%s", error)
    else:
        log.info("%s: %s", model.name, export.told(found))


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _plain(model: Model) -> dict[str, object]:
    return asdict(model) | {"directory": str(model.directory)}


def _show(known: Catalog, as_json: bool) -> None:
    here = {model.name: model for model in store.installed()}
    others = [model for name, model in here.items() if name not in known.models]
    if as_json:
        named = [
            {"name": name, **entry.model_dump(exclude={"source": {"files"}}), "here": name in here}
            for name, entry in known.models.items()
        ]
        models = [*named, *(_plain(model) | {"here": True} for model in others)]
        typer.echo(
            json.dumps({"models_dir": str(store.models_dir()), "defaults": dict(known.defaults), "models": models})
        )
        return
    console = Console()
    columns = ("role", "size", "GiB", "licence", "from", "here")
    table = Table(Column("name", no_wrap=True), *columns, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.caption_justify = "left"
    if console.width >= WIDE:
        table.add_column("description")
    for name, entry in known.models.items():
        mark = "*" if name in known.defaults.values() else ""
        memory = f"{entry.memory_gib.fp32}/{entry.memory_gib.bf16}"
        cells = [name + mark, entry.role, _size(entry.parameters), memory, entry.licence, entry.source.kind]
        table.add_row(*cells, "yes" if name in here else "", *([entry.description] if console.width >= WIDE else []))
    for model in others:
        table.add_row(model.name, model.role, "", "", model.licence, "", "yes")
    table.caption = (
        "* default. GiB: memory in fp32/bf16. Files from a wheel are checked against known SHA-256 digests; those "
        "from a hub are recorded when they arrive (trust on first use) and checked from then on."
    )
    console.print(table)


def _size(parameters: int) -> str:
    return f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def main() -> None:
    """Run the command."""
    command.run(app, offline=False, log_level="INFO")


if __name__ == "__main__":
    main()
