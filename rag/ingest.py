"""The command ``python -m rag.ingest``: bring files and folders into a collection, with progress and a summary."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from models import command
from models.base import InputError
from rag import config, progress
from rag.load.selection import Selection
from rag.report import Report

if TYPE_CHECKING:
    from rag.plan import Touched
    from rag.workspace import Workspace

EXIT_SOME_FAILED = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="files and folders")] = None,
    collection: Annotated[str | None, typer.Option(help="where to put them")] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="take only files that match, as in .gitignore; may be repeated")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="leave out files that match; may be repeated")] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="also remove documents whose file is gone from these folders, or left out")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="sync now and after every change, until Ctrl-C")] = False,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="processes that read files")] = None,
    reembed: Annotated[
        bool, typer.Option("--reembed", help="embed what is stored again, with today's embedder; reads no file")
    ] = False,
    embedder: Annotated[str | None, typer.Option(help="for a new collection, or for --reembed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object; one a line with --watch")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Index files and folders; unchanged files cost nothing. Ends with 1 if any file could not be indexed."""
    roots, included, excluded = paths or [], include or [], exclude or []
    if bool(roots) == reembed or (reembed and (watch or sync or included or excluded)):
        raise InputError("give files or folders to index; or --reembed, without any, to embed again what is stored.")
    Selection(included, excluded)  # refused here, before any model is loaded
    if watch:
        _require_folders(roots)
    settings = config.load(settings_file, data_dir=data_dir, collection=collection, embedder=embedder)
    from rag.workspace import Workspace  # the store is imported here, so that --help answers at once

    with Workspace(settings) as workspace:
        if reembed:
            work = partial(workspace.reembed, settings.collection)
        else:
            base = workspace.collection(settings.collection, create=True)
            if embedder is not None:
                _require_same_embedder(workspace)
            work = partial(base.add, include=included, exclude=excluded, workers=workers, sync=sync or watch)
            if watch:
                _watch(roots, work, partial(_show, collection=base.name, as_json=as_json))
                return
            work = partial(work, *roots)
        report, interrupted = _carry_out(work)
    _show(report, settings.collection, as_json=as_json, interrupted=interrupted)
    if interrupted or report.errors:
        raise typer.Exit(command.EXIT_INTERRUPTED if interrupted else EXIT_SOME_FAILED)


def _require_folders(roots: list[Path]) -> None:
    """
    Refuse to watch anything else.

    Raises:
        InputError: one of them is a file, or not there.
    """
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is no folder; only folders that exist can be watched.")


def _require_same_embedder(workspace: Workspace) -> None:
    """
    Refuse an embedder that the collection does not have.

    Raises:
        InputError: it was built with another one than was asked for.
    """
    settings = workspace.settings
    built_with = workspace.store.documents.collection(settings.collection).embedder
    if built_with.weights_hash != workspace.models.embedder_hash:
        raise InputError(
            f"collection {settings.collection!r} keeps the embedder that built it, {built_with.name!r}; leave "
            f"--embedder out, or change it with `--reembed --embedder {settings.embedder}`."
        )


def _carry_out(work: Callable[..., Report]) -> tuple[Report, bool]:
    """Do it and show how far it is; return the report, and whether Ctrl-C ended it early."""
    started = time.perf_counter()
    report = Report()
    with progress.shown(Console(stderr=True)) as show:

        def note(growing: Report) -> None:
            nonlocal report
            report = growing
            show(report)

        try:
            return work(on_progress=note), False
        except KeyboardInterrupt:
            report.seconds = time.perf_counter() - started
            return report, True


def _watch(folders: list[Path], work: Callable[..., Report], on_report: Callable[[Report], None]) -> None:
    """Sync folders until Ctrl-C or SIGTERM."""
    from rag.watch import Watch

    errors = Console(stderr=True)

    def sync(present: Sequence[Path], touched: Touched) -> Report:
        with progress.shown(errors) as show:
            return work(*present, touched=touched, on_progress=show)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    errors.print(f"Watching {', '.join(map(str, folders))}; Ctrl-C ends it.", soft_wrap=True)
    try:
        Watch(folders, sync).run(on_report, threading.Event())
    except KeyboardInterrupt:
        errors.print("Stopped. What was reported is stored.")


def _show(report: Report, collection: str, *, as_json: bool, interrupted: bool = False) -> None:
    if interrupted:
        sys.stderr.write(
            f"Interrupted with {report.done} of {report.found} files done, and all of it stored; run the same command "
            "again to go on.\n"
        )
    if as_json:
        sys.stdout.write(json.dumps(report.as_object() | {"interrupted": interrupted}, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console = Console(highlight=False)
    for title, problems in (("Not indexed", report.errors), ("Indexed with reservations", report.warnings)):
        if problems:
            table = Table("file", "reason", title=title, title_justify="left")
            for problem in problems:
                table.add_row(problem.source, problem.error)
            console.print(table)
    rate = f", {report.chunks / report.seconds:.0f} chunks/s" if report.chunks else ""
    console.print(f"{collection}: {report} in {report.seconds:.1f} s{rate}", soft_wrap=True)


if __name__ == "__main__":
    command.run(app)
