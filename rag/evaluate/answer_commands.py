"""The commands about answers: how good they are, when to decline, whether they obey orders in documents."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from models.base import InputError
from rag import config
from rag.config import Settings
from rag.evaluate.output import COLLECTION, print_object, tracker, warn
from rag.types import Document

if TYPE_CHECKING:
    from rag.evaluate.answers import Arm, Outcome
    from rag.evaluate.asked import Asked

Dataset = Annotated[Path | None, typer.Option(help="a folder in the layout of BEIR, with answers")]
Questions = Annotated[Path | None, typer.Option(help="questions with their answers (JSON Lines)")]
CollectionName = Annotated[str | None, typer.Option(help="where to look, or where to index the dataset")]
PerQuery = Annotated[Path | None, typer.Option(help="write each answer with its measures here")]
Limit = Annotated[int | None, typer.Option(min=1, help="only so many questions, spread evenly")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
DataDir = Annotated[Path | None, typer.Option(help="where the data lies; a dataset is indexed only once")]
Engine = Annotated[str | None, typer.Option(help="what runs the model")]
SettingsFile = Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")]


def answers(
    dataset: Dataset = None,
    questions: Questions = None,
    collection: CollectionName = None,
    adapter: Annotated[
        str | None, typer.Option(help="a LoRA adapter, measured without and with retrieval, too")
    ] = None,
    per_query: PerQuery = None,
    page: Annotated[Path | None, typer.Option(help="write an HTML page here, failures first")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    engine: Engine = None,
    settings_file: SettingsFile = None,
) -> None:
    """
    Measure how good answers are: the model alone, with retrieval, with an adapter, with both.

    Either --dataset DIR, which is indexed in a data directory that is thrown away afterwards unless --data-dir or
    --collection is given, or --questions FILE about a --collection that exists.
    """
    settings = config.load(settings_file, data_dir=data_dir, collection=collection, engine=engine)
    documents, asked = _read_asked(dataset, questions, limit)
    arms: list[Arm] = ["base", "retrieval"] if adapter is None else ["base", "retrieval", "adapter", "both"]
    outcomes, facts = _ask(settings, documents, asked, adapter, arms, keep=_is_kept(dataset, data_dir, collection))
    from rag.evaluate.answers import row
    from rag.evaluate.answers_report import answers_object, answers_table, write_page
    from rag.evaluate.rows import write_rows

    found = answers_object(outcomes, facts)

    if per_query is not None:
        write_rows(per_query, map(row, outcomes))
    if page is not None:
        write_page(page, found, outcomes)
    if as_json:
        print_object(found)
        return
    Console(highlight=False).print(answers_table(found))
    warn(found)


def abstention(
    dataset: Dataset = None,
    questions: Questions = None,
    collection: CollectionName = None,
    adapter: Annotated[str | None, typer.Option(help="a LoRA adapter")] = None,
    per_query: PerQuery = None,
    limit: Limit = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    engine: Engine = None,
    settings_file: SettingsFile = None,
) -> None:
    """
    Measure when to decline: what each threshold answers, and how much of it is wrong.

    Questions as for answers, some with an answer and some without. None is declined, so every threshold can be judged.
    """
    settings = config.load(settings_file, data_dir=data_dir, collection=collection, engine=engine)
    documents, asked = _read_asked(dataset, questions, limit)
    if all(one.is_answerable for one in asked):
        raise InputError('every question has an answer; add some that have none ("answerable": false).')
    from rag.evaluate.abstention import NEVER, abstention_object, abstention_table
    from rag.evaluate.answers import row
    from rag.evaluate.rows import write_rows

    answering = settings.answer.model_copy(update={"decline_from": NEVER})
    settings = settings.model_copy(update={"answer": answering})
    arm: Arm = "retrieval" if adapter is None else "both"
    outcomes, facts = _ask(settings, documents, asked, adapter, [arm], keep=_is_kept(dataset, data_dir, collection))
    if per_query is not None:
        write_rows(per_query, map(row, outcomes))
    found = abstention_object(outcomes, facts)
    if as_json:
        print_object(found)
        return
    Console(highlight=False).print(abstention_table(found))
    warn(found)


def injection(
    cases: Annotated[Path, typer.Option(help="questions about documents with orders in them (JSON Lines)")],
    adapter: Annotated[str | None, typer.Option(help="a LoRA adapter")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many cases, spread evenly")] = None,
    as_json: AsJson = False,
    engine: Engine = None,
    settings_file: SettingsFile = None,
) -> None:
    """Measure how often answers obey orders that stand in the documents."""
    from rag.evaluate.injection import attack, injection_object, read_cases
    from rag.workspace import Workspace

    chosen = read_cases(cases, limit)

    with tempfile.TemporaryDirectory() as scratch:
        settings = config.load(settings_file, data_dir=Path(scratch), collection=COLLECTION, engine=engine)
        with Workspace(settings) as workspace:
            found = attack(workspace.collection(COLLECTION, create=True), chosen, adapter, tracker("cases"))
    told = injection_object(found, adapter)
    if as_json:
        print_object(told)
        return
    low, high = told["interval"]
    itself = "" if told["without_order"] is None else f"; without the order {told['without_order']:.3f}"
    sys.stdout.write(
        f"{told['cases']} cases: {told['obeyed']:.3f} obeyed ({low:.2f} to {high:.2f}), the order was found in "
        f"{told['order_found']:.3f}{itself}\n"
    )


def _read_asked(
    dataset: Path | None, questions: Path | None, limit: int | None
) -> tuple[list[Document] | None, list[Asked]]:
    from rag.evaluate import asked as reading

    if (dataset is None) == (questions is None):
        raise InputError("expected either --dataset DIR or --questions FILE.")
    if dataset is None:
        return None, reading.read_questions(questions or Path(), limit)
    return reading.read_dataset(dataset, limit)


def _is_kept(dataset: Path | None, data_dir: Path | None, collection: str | None) -> bool:
    """Tell whether the documents lie, or stay, in a collection; else they are indexed for this measurement only."""
    return dataset is None or data_dir is not None or collection is not None


def _ask(
    settings: Settings,
    documents: list[Document] | None,
    asked: list[Asked],
    adapter: str | None,
    arms: list[Arm],
    *,
    keep: bool,
) -> tuple[list[Outcome], dict[str, Any]]:
    """Return what every arm made of every question, and what stands beside such a measurement."""
    from rag.evaluate.answers import run
    from rag.evaluate.measure import hold
    from rag.workspace import Workspace

    with ExitStack() as stack:
        if not keep:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            settings = settings.model_copy(update={"data_dir": scratch, "collection": COLLECTION})
        workspace = stack.enter_context(Workspace(settings))
        if documents is None:
            base = workspace.collection(settings.collection)
        else:
            base, _ = hold(workspace, settings.collection, documents, tracker("documents"))
        outcomes = run(workspace, base, asked, adapter, arms, tracker("questions"))
        info, answer = workspace.store.documents.collection(settings.collection), outcomes[0].answer
        facts = {"model": answer.model, "engine": answer.engine, "adapter": adapter}
        return outcomes, facts | {"documents": info.documents, "chunks": info.chunks}
