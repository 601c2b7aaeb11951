"""The command ``python -m rag.ingest``: bring files and folders into a collection, with progress and a summary."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from models import command
from rag import config
from rag.report import Report

EXIT_SOME_FAILED = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="files and folders")],
    collection: Annotated[str | None, typer.Option(help="where to put them")] = None,
    sync: Annotated[bool, typer.Option("--sync", help="also remove documents whose file is gone")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Index files and folders; unchanged files cost nothing. Ends with 1 if any file could not be indexed."""
    settings = config.load(settings_file, data_dir=data_dir, collection=collection)
    from rag.workspace import Workspace  # the store is imported here, so that --help answers at once

    errors = Console(stderr=True)
    with Workspace(settings) as workspace:
        base = workspace.collection(settings.collection, create=True)
        with _progress(errors) as progress:
            task = progress.add_task("", total=None)
            report = base.add(
                *paths, sync=sync, on_progress=lambda report: progress.update(task, description=str(report))
            )
    if as_json:
        sys.stdout.write(json.dumps(_as_object(report), ensure_ascii=False) + "\n")
    else:
        _show(report, settings.collection)
    if report.errors:
        raise typer.Exit(EXIT_SOME_FAILED)


def _progress(console: Console) -> Progress:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)


def _show(report: Report, collection: str) -> None:
    console = Console(highlight=False)
    for title, problems in (("Not indexed", report.errors), ("Indexed with reservations", report.warnings)):
        if problems:
            table = Table("file", "reason", title=title, title_justify="left")
            for problem in problems:
                table.add_row(problem.source, problem.error)
            console.print(table)
    rate = f", {report.chunks / report.seconds:.0f} chunks/s" if report.chunks else ""
    console.print(f"{collection}: {report} in {report.seconds:.1f} s{rate}", soft_wrap=True)


def _as_object(report: Report) -> dict[str, Any]:
    return {
        "documents": [{"source": source, "chunks": chunks} for source, chunks in report.documents],
        "unchanged": report.unchanged,
        "removed": report.removed,
        "errors": [asdict(problem) for problem in report.errors],
        "warnings": [asdict(problem) for problem in report.warnings],
        "seconds": report.seconds,
    }


if __name__ == "__main__":
    command.run(app)
