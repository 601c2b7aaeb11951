"""The command ``python -m rag.evaluate``: how well passages are found, how good answers are, which run is better."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from models import command
from models.base import InputError
from rag import config
from rag.config import Settings
from rag.evaluate.answer_commands import abstention, answers, injection
from rag.evaluate.output import COLLECTION, print_object, tracker, warn

if TYPE_CHECKING:
    from rag.evaluate.measure import Measured

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
for command_ in (answers, abstention, injection):
    app.command()(command_)


@app.command()
def retrieval(
    dataset: Annotated[Path | None, typer.Option(help="a folder in the layout of BEIR")] = None,
    questions: Annotated[Path | None, typer.Option(help="questions with their evidence (JSON Lines)")] = None,
    collection: Annotated[str | None, typer.Option(help="where to look, or where to index the dataset")] = None,
    per_query: Annotated[Path | None, typer.Option(help="write each query's measures and hits here")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many queries, the first ones")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies; a dataset is indexed only once")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """
    Measure how well passages are found.

    Either --dataset DIR, which is indexed in a data directory that is thrown away afterwards unless --data-dir or
    --collection is given, or --questions FILE about a --collection that exists.
    """
    if (dataset is None) == (questions is None):
        raise InputError("expected either --dataset DIR or --questions FILE.")
    settings = config.load(settings_file, data_dir=data_dir, collection=collection)
    if dataset is None:
        measured = _measure_questions(questions or Path(), settings, limit)
    else:
        measured = _measure_dataset(dataset, settings, limit, keep=data_dir is not None or collection is not None)
    from rag.evaluate.report import measured_object, measured_table
    from rag.evaluate.run import write_results

    if per_query is not None:
        write_results(per_query, measured.results)
    found = measured_object(measured)
    if as_json:
        print_object(found)
        return
    console = Console(highlight=False)
    console.print(measured_table(found))
    console.print(_costs(found), soft_wrap=True)
    warn(found)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="what --per-query wrote of the one run")],
    second: Annotated[Path, typer.Argument(help="and of the other")],
    arms: Annotated[
        tuple[str, str] | None, typer.Option(help="of measured answers: which arm of the first, and of the second")
    ] = None,
    measure: Annotated[str, typer.Option(help="the measure that a conclusion is drawn from")] = "ndcg@10",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Compare two runs on the same queries: the difference, its interval, and a paired test."""
    from rag.evaluate.compare import compare_runs
    from rag.evaluate.report import compared_object, compared_table
    from rag.evaluate.run import read_scores

    one, other = arms or (None, None)
    compared = compare_runs(read_scores(first, one), read_scores(second, other), measure)
    found = compared_object(compared)
    if as_json:
        print_object(found)
        return
    console = Console(highlight=False)
    console.print(compared_table(compared))
    console.print(found["conclusion"], soft_wrap=True)
    warn(found)


def _measure_dataset(folder: Path, settings: Settings, limit: int | None, *, keep: bool) -> Measured:
    from rag.evaluate.dataset import read_dataset
    from rag.evaluate.measure import measure_dataset
    from rag.workspace import Workspace  # the store and the models are imported here, so that --help answers at once

    dataset = read_dataset(folder, limit)
    with ExitStack() as stack:
        if not keep:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            settings = settings.model_copy(update={"data_dir": scratch, "collection": COLLECTION})
        workspace = stack.enter_context(Workspace(settings))
        return measure_dataset(workspace, settings.collection, dataset, tracker("documents"))


def _measure_questions(file: Path, settings: Settings, limit: int | None) -> Measured:
    from rag.evaluate.measure import measure_questions
    from rag.evaluate.questions import read_questions
    from rag.workspace import Workspace

    questions, without = read_questions(file, limit)
    with Workspace(settings) as workspace:
        return measure_questions(workspace, settings.collection, questions, without)


def _costs(found: dict[str, Any]) -> str:
    latency, ingest = found["latency_ms"], found["ingest"]
    text = (
        f"{found['queries']} queries, {found['documents']} documents, {found['chunks']} chunks; "
        f"a query takes {latency['p50']:.0f} ms (p50), {latency['p95']:.0f} ms (p95)"
    )
    if ingest and ingest["documents"]:
        text += (
            f"; indexed {ingest['documents']} documents in {ingest['seconds']:.1f} s "
            f"({ingest['documents_per_s']:.1f} documents/s, {ingest['chunks_per_s']:.1f} chunks/s)"
        )
    return text + (f"; {ingest['unchanged']} documents were indexed before" if ingest and ingest["unchanged"] else "")


if __name__ == "__main__":
    command.run(app)
