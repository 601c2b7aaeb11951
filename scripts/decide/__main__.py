"""
``python -m scripts.decide --config decide.yaml``: retrieval, fine-tuning, or both? Measured, then said.

What was made is kept in the decision's folder: the same command goes on after an interruption, and after a change
repeats only what changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import platformdirs
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models import command
from models.base import ConfigError, InputError
from models.progress import ProgressFile
from scripts.decide import config as settings
from scripts.decide.config import DecideConfig
from scripts.decide.requirements import Prior, ask, prior

if TYPE_CHECKING:
    from scripts.decide.task import Asked

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    config: Annotated[Path | None, typer.Option(help="settings of the decision (YAML)")] = None,
    out: Annotated[Path | None, typer.Option(help="the decision's folder; else one in the user's data")] = None,
    questions: Annotated[bool, typer.Option("--ask", help="put the requirements as questions first")] = False,
    prior_only: Annotated[bool, typer.Option("--prior", help="only say what the requirements speak for")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many test questions, spread evenly")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the collection of the settings lies")] = None,
    progress: Annotated[Path | None, typer.Option(help="append a JSON line here for every step and answer")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema of the settings")] = False,
) -> None:
    """Measure whether a task needs retrieval, fine-tuning or both, and say so."""
    if schema:
        _print_object(DecideConfig.model_json_schema(by_alias=True))
        return
    if config is None:
        raise ConfigError("--config is missing; expected a settings file, for example docs/decide/knowledge.yaml.")
    chosen = settings.read(config)
    if questions:
        chosen = chosen.model_copy(update={"requirements": ask(chosen.requirements)})
    told = Console(stderr=as_json, highlight=False)
    expected = prior(chosen.requirements)
    _show_prior(expected, told)
    if prior_only:
        if as_json:
            _print_object({"way": expected.way, "sentence": expected.sentence, "rows": [*map(asdict, expected.rows)]})
        return
    from scripts.decide.task import read_task

    task = read_task(chosen, limit)
    folder = _folder(out, chosen.name)
    from scripts.decide import (
        report,
    )  # torch is imported here, so that --help and mistakes in the settings answer at once
    from scripts.decide.run import decide

    file = ProgressFile(progress and progress.absolute())
    decision = decide(chosen, task, folder, data_dir=data_dir, track=partial(_track, file), told=file)
    found = report.as_object(decision, report.command_line(config, out, limit))
    report.write(decision, found, folder)
    if as_json:
        _print_object(found)
    else:
        told.print(report.summary(found))
        _show_found(found, folder / report.PAGE, told)
    sys.stdout.flush()


def _show_found(found: Mapping[str, Any], page: Path, console: Console) -> None:
    for sentence in [*found["cannot_conclude"], *found["recommendation"]["sentences"]]:
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True, markup=False)


def _folder(out: Path | None, name: str) -> Path:
    folder = (out or platformdirs.user_data_path("homeground") / "decisions" / name).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); name another folder with --out.") from error
    return folder


def _show_prior(expected: Prior, console: Console) -> None:
    table = Table("asked", "said", "speaks for", "because", title_justify="left")
    for row in expected.rows:
        table.add_row(row.asked, row.said, row.speaks_for or "–", row.reason)
    console.print(table)
    console.print(expected.sentence, soft_wrap=True)


def _track(file: ProgressFile, asked: Sequence[Asked], arm: str) -> Iterator[Asked]:
    shown = track(asked, arm, console=Console(stderr=True), transient=True)
    for number, one in enumerate(shown):
        file.tell(phase="asking", arm=arm, done=number, of=len(asked))
        yield one
    file.tell(phase="asking", arm=arm, done=len(asked), of=len(asked))


def _print_object(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    command.run(app)
