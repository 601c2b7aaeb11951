"""The command ``python -m rag.evaluate``: how well passages are found, how good answers are, which run is better."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from models import command
from models.base import InputError
from rag import config
from rag.config import Settings
from rag.evaluate.rows import Item
from rag.types import Document

if TYPE_CHECKING:
    from rag.evaluate.answers import Outcome
    from rag.evaluate.asked import Asked
    from rag.evaluate.measure import Measured

COLLECTION = "evaluation"
"""Where a dataset goes in a data directory that is thrown away afterwards."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


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
        _print_object(found)
        return
    console = Console(highlight=False)
    console.print(measured_table(found))
    console.print(_costs(found), soft_wrap=True)
    _warn(found)


@app.command()
def answers(
    dataset: Annotated[Path | None, typer.Option(help="a folder in the layout of BEIR, with answers")] = None,
    questions: Annotated[Path | None, typer.Option(help="questions with their answers (JSON Lines)")] = None,
    collection: Annotated[str | None, typer.Option(help="where to look, or where to index the dataset")] = None,
    adapter: Annotated[
        str | None, typer.Option(help="a LoRA adapter, measured without and with retrieval, too")
    ] = None,
    per_query: Annotated[Path | None, typer.Option(help="write each answer with its measures here")] = None,
    page: Annotated[Path | None, typer.Option(help="write an HTML page here, failures first")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many questions, spread evenly")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies; a dataset is indexed only once")] = None,
    engine: Annotated[str | None, typer.Option(help="what runs the model")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """
    Measure how good answers are: the model alone, with retrieval, with an adapter, with both.

    Either --dataset DIR, which is indexed in a data directory that is thrown away afterwards unless --data-dir or
    --collection is given, or --questions FILE about a --collection that exists.
    """
    if (dataset is None) == (questions is None):
        raise InputError("expected either --dataset DIR or --questions FILE.")
    settings = config.load(settings_file, data_dir=data_dir, collection=collection, engine=engine)
    from rag.evaluate import asked as reading

    if dataset is None:
        documents, asked = None, reading.read_questions(questions or Path(), limit)
    else:
        documents, asked = reading.read_dataset(dataset, limit)
    keep = dataset is None or data_dir is not None or collection is not None
    found, outcomes = _measure_answers(settings, documents, asked, adapter, keep=keep)
    from rag.evaluate.answers import row
    from rag.evaluate.answers_report import answers_table, write_page
    from rag.evaluate.rows import write_rows

    if per_query is not None:
        write_rows(per_query, map(row, outcomes))
    if page is not None:
        write_page(page, found, outcomes)
    if as_json:
        _print_object(found)
        return
    Console(highlight=False).print(answers_table(found))
    _warn(found)


@app.command()
def injection(
    cases: Annotated[Path, typer.Option(help="questions about documents with orders in them (JSON Lines)")],
    adapter: Annotated[str | None, typer.Option(help="a LoRA adapter")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many cases, spread evenly")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    engine: Annotated[str | None, typer.Option(help="what runs the model")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Measure how often answers obey orders that stand in the documents."""
    from rag.evaluate.injection import attack, injection_object, read_cases
    from rag.workspace import Workspace

    chosen = read_cases(cases, limit)

    with tempfile.TemporaryDirectory() as scratch:
        settings = config.load(settings_file, data_dir=Path(scratch), collection=COLLECTION, engine=engine)
        with Workspace(settings) as workspace:
            found = attack(workspace.collection(COLLECTION, create=True), chosen, adapter, _tracker("cases"))
    told = injection_object(found, adapter)
    if as_json:
        _print_object(told)
        return
    low, high = told["interval"]
    itself = "" if told["without_order"] is None else f"; without the order {told['without_order']:.3f}"
    sys.stdout.write(
        f"{told['cases']} cases: {told['obeyed']:.3f} obeyed ({low:.2f} to {high:.2f}), the order was found in "
        f"{told['order_found']:.3f}{itself}\n"
    )


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
        _print_object(found)
        return
    console = Console(highlight=False)
    console.print(compared_table(compared))
    console.print(found["conclusion"], soft_wrap=True)
    _warn(found)


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
        return measure_dataset(workspace, settings.collection, dataset, _tracker("documents"))


def _measure_answers(
    settings: Settings, documents: list[Document] | None, asked: list[Asked], adapter: str | None, *, keep: bool
) -> tuple[dict[str, Any], list[Outcome]]:
    from rag.evaluate.answers import Arm, run
    from rag.evaluate.answers_report import answers_object
    from rag.evaluate.measure import hold
    from rag.workspace import Workspace

    arms: list[Arm] = ["base", "retrieval"] if adapter is None else ["base", "retrieval", "adapter", "both"]
    with ExitStack() as stack:
        if not keep:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            settings = settings.model_copy(update={"data_dir": scratch, "collection": COLLECTION})
        workspace = stack.enter_context(Workspace(settings))
        if documents is None:
            base = workspace.collection(settings.collection)
        else:
            base, _ = hold(workspace, settings.collection, documents, _tracker("documents"))
        outcomes = run(workspace, base, asked, adapter, arms, _tracker("questions"))
        info, answer = workspace.store.documents.collection(settings.collection), outcomes[0].answer
        facts = {"model": answer.model, "engine": answer.engine, "adapter": adapter}
        sizes = {"documents": info.documents, "chunks": info.chunks}
    return answers_object(outcomes, facts | sizes), outcomes


def _measure_questions(file: Path, settings: Settings, limit: int | None) -> Measured:
    from rag.evaluate.measure import measure_questions
    from rag.evaluate.questions import read_questions
    from rag.workspace import Workspace

    questions, without = read_questions(file, limit)
    with Workspace(settings) as workspace:
        return measure_questions(workspace, settings.collection, questions, without)


def _tracker(what: str) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Return what passes things on and shows on standard error how far it has come."""
    return lambda things: track(things, what, console=Console(stderr=True), transient=True)


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


def _print_object(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


def _warn(found: dict[str, Any]) -> None:
    for warning in found["warnings"]:
        Console(stderr=True, highlight=False).print(warning, soft_wrap=True, markup=False)


if __name__ == "__main__":
    command.run(app)
