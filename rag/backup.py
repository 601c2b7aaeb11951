"""
The command ``python -m rag.backup``: snapshots of documents, settings and adapters, also while the server runs.

    python -m rag.backup make FOLDER       what has not changed since the last snapshot takes no space
    python -m rag.backup verify FOLDER     read every block of every snapshot
    python -m rag.backup restore FOLDER    into an empty data directory, or --replace
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from models import adapter_store, command
from models.base import StoreError
from rag import config

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="where the snapshots lie")]
DataDir = Annotated[Path | None, typer.Option(help="where the data lies")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@app.command()
def make(
    folder: Folder,
    keep: Annotated[int | None, typer.Option(min=1, help="remove all but the newest snapshots")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take a snapshot; a running server is not disturbed."""
    from rag.snapshots import Backup

    started = time.perf_counter()
    backup = Backup(folder, create=True)
    taken = backup.make(config.load(data_dir=data_dir).data_dir, adapter_store.adapters_dir())
    removed = backup.keep(keep) if keep is not None else []
    size = sum(stored.size for stored in taken.files.values())
    facts = {"snapshot": taken.name, "files": len(taken.files), "bytes": size, "new_bytes": backup.blocks.written}
    facts |= {"removed": removed, "seconds": time.perf_counter() - started}
    _tell(facts, f"{taken.name}: {size / 1e6:.1f} MB, of which {backup.blocks.written / 1e6:.1f} MB are new", as_json)


@app.command()
def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Read every block of every snapshot, and name what is missing or damaged."""
    from rag.snapshots import Backup

    backup = Backup(folder)
    problems, names = [], backup.names()
    for name in names:
        try:
            problems += backup.blocks.problems(backup.read(name).files.values())
        except StoreError as error:
            problems.append(str(error))
    problems = sorted(set(problems))
    if as_json:
        _tell({"good": not problems, "snapshots": names, "problems": problems}, "", as_json)
    if problems:
        if as_json:
            raise typer.Exit(command.EXIT_USER_ERROR)
        raise StoreError(f"{folder} is damaged: {' '.join(problems)}")
    if not as_json:
        sys.stdout.write(f"good: {len(names)} snapshots\n")


@app.command()
def restore(
    folder: Folder,
    snapshot: Annotated[str | None, typer.Option(help="its name; the newest if not given")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="take the place of the documents that are there, which are kept beside")
    ] = False,
    unless_there: Annotated[
        bool, typer.Option("--unless-there", help="do nothing where there are documents already")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a snapshot back; nothing may have the data directory open."""
    from rag.snapshots import Backup
    from rag.store.snapshot import has_store

    place = config.load(data_dir=data_dir).data_dir
    if unless_there and has_store(place):
        _tell({"snapshot": None, "left": []}, f"{place} holds documents already; nothing was done", as_json)
        return
    backup = Backup(folder)
    taken = backup.read(snapshot)
    left = backup.restore(taken, place, adapter_store.adapters_dir(), replace=replace)
    note = f"; left as they are, because they exist: {', '.join(left)}" if left else ""
    _tell({"snapshot": taken.name, "left": left}, f"{taken.name} is back in {place}{note}", as_json)


def _tell(facts: dict[str, Any], line: str, as_json: bool) -> None:
    sys.stdout.write(f"{json.dumps(facts) if as_json else line}\n")


if __name__ == "__main__":
    command.run(app)
