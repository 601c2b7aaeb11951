"""Measure retrieval: index a dataset or take a collection as it is, ask, and keep what a report needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from models.base import InputError
from rag.evaluate.dataset import Dataset
from rag.evaluate.questions import Evidence, Question, locate
from rag.evaluate.run import Result, run_dataset, run_questions
from rag.knowledge_base import KnowledgeBase
from rag.report import Report
from rag.types import Document
from rag.workspace import Workspace

Track = Callable[[Iterable[Document]], Iterable[Document]]
"""Passes documents on and shows how far it has come."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What a measurement gave.

    Attributes:
        results: one for each query.
        documents: in the collection.
        chunks: in the collection.
        settings: how the collection was cut and searched.
        indexed: what was indexed for it; None where the collection was taken as it is.
        warnings: sentences on what was left out, or counts as missed.
    """

    results: list[Result]
    documents: int
    chunks: int
    settings: dict[str, Any]
    indexed: Report | None
    warnings: list[str]


def measure_dataset(workspace: Workspace, name: str, dataset: Dataset, track: Track) -> Measured:
    """
    Index a dataset, unless it is there already, and rank its documents for each query.

    Args:
        workspace: where to.
        name: of the collection; made when there is none.
        dataset: documents, queries and judgements.
        track: wrapped around the documents while they are indexed.

    Raises:
        InputError: the collection holds other documents.
    """
    base, indexed = hold(workspace, name, dataset.documents, track)
    base.search("warm", 1)  # so that no time below holds the loading of models and indexes
    results = run_dataset(base, dataset.queries, dataset.judgements)
    info = workspace.store.documents.collection(name)
    return Measured(results, info.documents, info.chunks, _settings(base), indexed, _dataset_warnings(dataset))


def hold(workspace: Workspace, name: str, documents: Sequence[Document], track: Track) -> tuple[KnowledgeBase, Report]:
    """
    Make a collection hold a dataset's documents and no others; what it holds already costs nothing.

    Args:
        workspace: where to.
        name: of the collection; made when there is none.
        documents: the dataset's, from files of one folder.
        track: wrapped around the documents while they are indexed.

    Raises:
        InputError: the collection holds documents from elsewhere, which would be found too.
    """
    base = workspace.collection(name, create=True)
    stored = workspace.store.documents.versions(workspace.store.documents.collection(name).id)
    folders = {Path(document.origin).parent for document in documents}
    foreign = sum(Path(version.origin).parent not in folders for version in stored.values())
    if foreign:
        raise InputError(
            f"collection {name!r} holds {foreign} documents that are not from "
            f"{' or '.join(map(str, sorted(folders)))}, and these would be found too; choose another --collection."
        )
    wanted = {document.source for document in documents}
    if gone := [version.document_id for source, version in stored.items() if source not in wanted]:
        base.remove(*gone)
    return base, base.add_documents(track(documents))


def measure_questions(workspace: Workspace, name: str, questions: Sequence[Question], without: int) -> Measured:
    """
    Rank the passages of a collection for each question.

    Args:
        workspace: where the collection lies.
        name: of the collection.
        questions: with their evidence.
        without: questions that had none.

    Raises:
        InputError: there is no such collection, or it holds nothing that the questions name.
    """
    base = workspace.collection(name)
    targets, lost = locate(questions, text_reader(base))
    base.search(questions[0].text, 1)  # so that no time below holds the loading of models and indexes
    results = run_questions(base, questions, targets)
    info = workspace.store.documents.collection(name)
    return Measured(
        results, info.documents, info.chunks, _settings(base), None, question_warnings(questions, without, lost)
    )


def text_reader(base: KnowledgeBase) -> Callable[[str], str | None]:
    """Return what gives a document's text by its source, and None where there is no such document."""
    rows = base.sources()
    return lambda source: base.document(rows[source]).text if source in rows else None


def question_warnings(questions: Sequence[Question], without: int, lost: Sequence[Evidence]) -> list[str]:
    """Return what has to be said of questions: how many have no evidence, lost places, and those a program wrote."""
    synthetic = sum(question.synthetic for question in questions)
    warnings = []
    if without:
        warnings.append(f"{without} questions have no evidence and are left out.")
    if lost:
        quote = f": {shorten(lost[0].quote, 60)!r}" if lost[0].quote else ""
        warnings.append(
            f"{len(lost)} places that the questions name stand nowhere in the collection and count as missed, for "
            f"example in {lost[0].source}{quote}."
        )
    if synthetic:
        warnings.append(
            f"{synthetic} of {len(questions)} questions were written by a program: they compare settings, but tell no "
            "quality."
        )
    return warnings


def _settings(base: KnowledgeBase) -> dict[str, Any]:
    return {"chunk": base.settings.chunk.model_dump(), "retrieval": base.settings.retrieval.model_dump()}


def _dataset_warnings(dataset: Dataset) -> list[str]:
    counted = [
        (dataset.empty, "documents have neither title nor text and are left out"),
        (dataset.unjudged, "queries have no relevant document and are left out"),
        (dataset.unknown, "judgements name documents that the corpus does not hold; the relevant ones count as missed"),
    ]
    return [f"{number} {sentence}." for number, sentence in counted if number]
