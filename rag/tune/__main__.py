"""The command ``python -m rag.tune``: settings of a collection's own, kept only where questions show a gain."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from models import command
from models.base import InputError
from rag import config
from rag.config import Settings

REEMBED = "python -m rag.ingest --reembed --collection"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def tune(
    questions: Annotated[Path | None, typer.Option(help="questions with their evidence (JSON Lines)")] = None,
    collection: Annotated[str | None, typer.Option(help="whose settings")] = None,
    chunking: Annotated[bool, typer.Option(help="also try other chunks, which have to be embedded")] = True,
    show: Annotated[bool, typer.Option("--show", help="only show the collection's own settings")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="only drop the collection's own settings")] = False,
    write: Annotated[
        int | None, typer.Option("--write-questions", min=1, max=10_000, help="only write so many questions")
    ] = None,
    output: Annotated[Path, typer.Option(help="where --write-questions puts them")] = Path("questions.jsonl"),
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """
    Choose a collection's settings on your own questions.

    One half of the questions chooses among chunk sizes, prefixes and weights, the other half decides whether the gain
    is real; only then is the choice kept.
    """
    if sum((questions is not None, show, reset, write is not None)) != 1:
        raise InputError("expected one of --questions FILE, --write-questions N, --show and --reset.")
    settings = config.load(settings_file, data_dir=data_dir, collection=collection)
    console = Console(stderr=as_json, quiet=as_json, highlight=False, soft_wrap=True)
    if questions is not None:
        found = _tune(settings, questions, chunking, console)
    elif write is not None:
        found = _write(settings, write, output, console)
    else:
        found = _own(settings, reset, console)
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


def _tune(settings: Settings, file: Path, chunking: bool, console: Console) -> dict[str, Any]:
    from rag.evaluate.questions import read_questions
    from rag.tune.candidates import described
    from rag.tune.report import outcome_object, outcome_table
    from rag.tune.tuning import tune_collection
    from rag.workspace import Workspace

    started = time.perf_counter()
    questions, without = read_questions(file)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with Workspace(settings) as workspace:
        built_with = workspace.store.documents.collection(settings.collection).embedder
        embedder = workspace.models.embedder_of(built_with)
    tuned = tune_collection(
        settings, embedder, questions, without, chunking=chunking, say=lambda line: errors.print(Text(line))
    )
    console.print(outcome_table(tuned.outcome))
    console.print(tuned.outcome.conclusion())
    if tuned.outcome.is_gain:
        console.print(f"{settings.collection} has settings of its own now: {described(tuned.own)}")
    for warning in tuned.warnings:
        console.print(warning)
    return {
        "collection": settings.collection,
        **outcome_object(tuned.outcome),
        "synthetic": sum(question.synthetic for question in questions),
        "own": tuned.own,
        "warnings": tuned.warnings,
        "seconds": time.perf_counter() - started,
    }


def _write(settings: Settings, wanted: int, output: Path, console: Console) -> dict[str, Any]:
    if output.exists():
        raise InputError(f"{output} exists already; name another --output.")
    from rag.evaluate.questions import write_questions
    from rag.tune.author import Author, Written
    from rag.tune.remember import searched_texts
    from rag.workspace import Workspace

    started = time.perf_counter()
    with Workspace(settings) as workspace:
        base = workspace.collection(settings.collection)
        info = workspace.store.documents.collection(settings.collection)
        author = Author(
            workspace.models.generator,
            workspace.models.embedder_of(info.embedder),
            settings.answer.min_similarity,
            searched_texts(workspace.store, info),
        )
        written = Written()
        with Console(stderr=True).status("writing questions") as status:
            for written in author.write(wanted, list(base.sources().values()), base.document):
                status.update(f"{len(written.questions)} questions kept, {written.dropped.total()} dropped")
    dropped = ", ".join(f"{number} {reason}" for reason, number in written.dropped.most_common())
    if not written.questions:
        raise InputError(
            f"no question of use came from {written.asked} passages ({dropped or 'the collection is empty'}); "
            "configure a larger generator, or write some questions yourself."
        )
    write_questions(output, written.questions)
    console.print(
        f"{output}: {len(written.questions)} questions, {written.headings} of them headings. Of {written.asked} that "
        f"the model wrote, {written.dropped.total()} were dropped ({dropped or 'none'}). Read them before you use them."
    )
    return {
        "output": str(output),
        "written": len(written.questions),
        "headings": written.headings,
        "asked": written.asked,
        "dropped": dict(written.dropped),
        "seconds": time.perf_counter() - started,
    }


def _own(settings: Settings, reset: bool, console: Console) -> dict[str, Any]:
    from rag.tune.candidates import described
    from rag.workspace import Workspace

    with Workspace(settings) as workspace:
        info = workspace.store.documents.collection(settings.collection)
        if reset:
            workspace.store.documents.set_collection_settings(info.id, {})
    own = dict(info.settings)
    if not own:
        console.print(f"{info.name} has no settings of its own.")
    elif not reset:
        console.print(f"{info.name} has settings of its own: {described(own)}")
    else:
        console.print(f"{info.name} had settings of its own, which are dropped: {described(own)}")
        if "chunk" in own:
            console.print(
                f"The next ingest cuts its documents again; `{REEMBED} {info.name}` does so without the files."
            )
    return {"collection": info.name, "dropped" if reset else "own": own}


if __name__ == "__main__":
    command.run(app)
