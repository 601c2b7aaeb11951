"""
``python -m finetune.train --config x.yaml``: from examples to an adapter that the server offers, if it passes its gate.

    python -m finetune.train --config x.yaml --dry-run       what would be trained, and how long it would take
    python -m finetune.train --config x.yaml                 train, judge, put the adapter in its place
    python -m finetune.train --config x.yaml --resume        go on after Ctrl-C, a crash or a power cut
    accelerate launch --config_file A.yaml -m finetune.train --config x.yaml     several processes or machines
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from finetune import offer
from finetune.config import TrainConfig, read
from models import command
from models.base import ConfigError
from models.progress import ProgressFile

if TYPE_CHECKING:
    from finetune.plan import Plan
    from finetune.run import Outcome

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    config: Annotated[Path | None, typer.Option(help="settings of the run (YAML)")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show rows, masks, memory and time; train nothing")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace an adapter of this name, or drop an interrupted run")
    ] = False,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="leave out rows that cannot be used")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    progress: Annotated[
        Path | None, typer.Option(help="append a JSON line here for every step, evaluation and checkpoint")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema of the settings")] = False,
    recipes: Annotated[bool, typer.Option("--recipes", help="print the recipes for one process as JSON")] = False,
) -> None:
    """Train a LoRA adapter, and prove that it helps and does not harm."""
    if schema:
        print_object(TrainConfig.model_json_schema(by_alias=True))
        return
    if recipes:
        print_object({"recipes": offer.recipes()})
        return
    if config is None:
        raise ConfigError("--config is missing; expected a settings file, for example one of finetune/recipes.")
    if resume and overwrite:
        raise ConfigError("--resume goes on with an interrupted run and --overwrite drops it; choose one.")
    settings = read(config)
    from finetune import plan, run  # torch is imported here, so that --help and mistakes in the settings answer at once
    from finetune.setup import set_up

    setup = set_up(settings, skip_bad_rows=skip_bad_rows)
    if dry_run:
        _show_plan(plan.make(setup), as_json=as_json)
        return
    outcome = run.run(setup, resume=resume, overwrite=overwrite, progress_file=ProgressFile(progress))
    if outcome is None:
        return
    if as_json:
        print_object(as_object(outcome))
    else:
        _show(outcome, Console(markup=False, highlight=False))
    sys.stdout.flush()


def _show_plan(planned: Plan, *, as_json: bool) -> None:
    if as_json:
        print_object(planned.facts)
    else:
        planned.show(Console(markup=False, highlight=False))


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Return what a run gave as the JSON object that the command prints."""
    verdict, fitted = outcome.verdict, outcome.fitted
    return {
        "adapter": outcome.adapter.name,
        "directory": str(outcome.adapter.directory),
        "scores": verdict.scores,
        "intervals": verdict.intervals,
        "gate": {"passed": verdict.passed, "reasons": list(verdict.reasons)},
        "forgetting_nats": verdict.forgetting_nats,
        "tokens": fitted.tokens,
        "tokens_per_s": fitted.tokens / max(fitted.seconds, 1e-9),
        "training_s": fitted.seconds,
        "peak_memory_mib": fitted.peak_mib,
        "seconds": outcome.seconds,
    }


def print_object(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _show(outcome: Outcome, console: Console) -> None:
    verdict = outcome.verdict
    table = Table(box=None, pad_edge=False)
    for heading in ("", "before", "after", "95 % of the difference"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, after in verdict.scores["after"].items():
        low, high = verdict.intervals.get(name, (None, None))
        bounds = "" if low is None else f"{low:+.3f} to {high:+.3f}"
        table.add_row(name, f"{verdict.scores['before'][name]:.3f}", f"{after:.3f}", bounds)
    console.print(table)
    console.print(
        f"{outcome.fitted.tokens} tokens trained, {outcome.fitted.tokens / max(outcome.fitted.seconds, 1e-9):.0f} a "
        f"second; {outcome.seconds / 60:.1f} min in all",
        style="dim",
    )
    if verdict.passed:
        console.print(f"passed; use it as --adapter {outcome.adapter.name}", style="bold green")
    else:
        console.print("not passed, so it is not offered:", style="bold red")
        for reason in verdict.reasons:
            console.print(f"  {reason}")
    console.print(f"report: {outcome.adapter.directory / 'report.html'}", soft_wrap=True)


if __name__ == "__main__":
    command.run(app)
