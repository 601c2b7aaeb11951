"""The command ``python -m rag.ask``: one question, one answer in the terminal, with its citations."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from models import command
from rag import config
from rag.types import Answer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="the question")],
    collection: Annotated[str | None, typer.Option(help="where to look")] = None,
    adapter: Annotated[str | None, typer.Option(help="a LoRA adapter, by name; base for none")] = None,
    retrieval: Annotated[bool, typer.Option(help="look the answer up in the documents")] = True,
    max_tokens: Annotated[int | None, typer.Option(min=1, max=8192, help="most new tokens")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where the data lies")] = None,
    engine: Annotated[str | None, typer.Option(help="what runs the model")] = None,
    settings_file: Annotated[Path | None, typer.Option("--config", help="a settings file (YAML)")] = None,
) -> None:
    """Answer a question from your documents."""
    answer_settings = None if max_tokens is None else {"max_tokens": max_tokens}
    settings = config.load(
        settings_file, data_dir=data_dir, collection=collection, engine=engine, answer=answer_settings
    )
    from rag.workspace import Workspace  # the store and the models are imported here, so that --help answers at once

    with Workspace(settings) as workspace:
        if retrieval:
            stream = workspace.collection(settings.collection).stream(question, adapter=adapter)
        else:
            stream = workspace.chat(question, adapter=adapter)
        for piece in stream:
            if isinstance(piece, Answer):
                _show(piece, as_json=as_json)
            elif not as_json:
                sys.stdout.write(piece)
                sys.stdout.flush()


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(as_object(answer), ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False)
    console.print()
    if answer.hits and not answer.citations:
        note = "Looked at:" if answer.abstained else "No source backs this answer. The closest passages:"
        console.print(f"\n{note}", style="bold")
        for hit in answer.hits:
            console.print(_place(hit.source, hit.chunk.page, " > ".join(hit.chunk.headings)))
    for citation in answer.citations:
        console.print(
            Text(f"\n[{citation.number}] ", style="bold").append(
                _place(citation.source, citation.page, citation.heading)
            )
        )
        console.print(Text(f"    “{citation.quote}”", style="italic"))
    if answer.citations and answer.citations[0].computed:
        console.print(
            "\nThe model named no source; the quotes were found by comparing its answer with them.", style="dim"
        )
    timings = answer.timings
    console.print(
        f"\n{answer.model}{':' + answer.adapter if answer.adapter else ''}, "
        f"{timings.prompt_tokens} prompt tokens, {timings.new_tokens} new; retrieval {timings.retrieve_s:.2f} s, "
        f"first token {timings.first_token_s:.2f} s, total {timings.total_s:.2f} s",
        style="dim",
    )


def _place(source: str, page: int | None, heading: str) -> Text:
    place = Text(source)
    if page is not None:
        place.append(f", page {page}")
    return place.append(f", {heading}", style="dim") if heading else place


def as_object(answer: Answer) -> dict[str, Any]:
    """Return an answer as the JSON object that the command and the server give."""
    citations = [asdict(citation) for citation in answer.citations]
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "refusal_probability": answer.refusal_probability,
        "likelihood": answer.likelihood,
        "citations": citations,
        "sentences": [asdict(sentence) for sentence in answer.sentences],
        "timings": asdict(answer.timings),
        "model": answer.model,
        "adapter": answer.adapter,
        "collection": answer.collection,
        "engine": answer.engine,
        "finish_reason": answer.finish_reason,
    }


if __name__ == "__main__":
    command.run(app)
