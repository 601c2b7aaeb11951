"""
Read questions whose answers are known: from a dataset's folder, or from a file about a collection.

A folder is in the layout of BEIR, with ``answers`` and, where it may be False, ``answerable`` beside each query, and
its documents in ``corpus.jsonl`` and, those that nobody asks about, ``corpus_distractors.jsonl``. ``gold_passages``, or
else the judgements, say what a question should be answered from. A file about a collection is what ``rag.ground``
reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from models.base import InputError
from rag.evaluate.dataset import read_documents, read_judgements
from rag.evaluate.rows import Problems, Row, read_rows, spread
from rag.types import Document

CORPORA = ("corpus.jsonl", "corpus_distractors.jsonl")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A question with its answers.

    Attributes:
        id: from the file, or its line.
        text: the question.
        answers: accepted wordings; none where the documents do not answer it.
        sources: documents that it should be answered from; empty where that is not known.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    sources: frozenset[str]

    @property
    def is_answerable(self) -> bool:
        """Whether the documents answer it."""
        return bool(self.answers)


class _QueryRow(Row):
    id: str = Field(alias="_id", min_length=1)
    text: str
    answers: list[str] = []
    answerable: bool = True
    gold_passages: list[str] = []


class _EvidenceRow(Row):
    source: str


class _QuestionRow(Row):
    id: str = ""
    question: str
    answer: str = ""
    answers: list[str] = []
    answerable: bool = True
    evidence: list[_EvidenceRow] = []


def read_dataset(directory: Path, limit: int | None = None) -> tuple[list[Document], list[Asked]]:
    """
    Read a folder.

    Args:
        directory: the folder.
        limit: so many questions, spread evenly over the file; None for all.

    Raises:
        InputError: a file is missing or lines are malformed (every one is named), or no question has an answer.
    """
    problems = Problems()
    documents = []
    for name in CORPORA:
        if name == CORPORA[0] or (directory / name).is_file():
            documents += read_documents(directory / name, problems)
    judgements = read_judgements(directory, problems)
    asked = {}
    for line, row in read_rows(directory / "queries.jsonl", _QueryRow, problems):
        if row.answerable and not row.answers:
            problems.add(directory / "queries.jsonl", line, "it is answerable, but has no 'answers'")
        judged = [source for source, grade in judgements.get(row.id, {}).items() if grade > 0]
        answers = tuple(row.answers) if row.answerable else ()
        asked[row.id] = Asked(row.id, row.text, answers, frozenset(row.gold_passages or judged))
    problems.raise_if_any()
    return documents, _chosen(list(asked.values()), limit, directory)


def read_questions(path: Path, limit: int | None = None) -> list[Asked]:
    """
    Read questions about a collection.

    Args:
        path: one JSON object a line.
        limit: so many questions, spread evenly over the file; None for all.

    Raises:
        InputError: lines are malformed (every one is named), or no question has an answer.
    """
    problems = Problems()
    asked: dict[str, Asked] = {}
    for line, row in read_rows(path, _QuestionRow, problems):
        name = row.id or f"line {line}"
        if name in asked:
            problems.add(path, line, f"the id {name!r} is taken by an earlier line")
        answers = tuple(answer for answer in (*row.answers, row.answer) if answer.strip())
        if row.answerable and row.evidence and not answers:
            problems.add(path, line, "it has evidence, but no answer")
        known = answers if row.answerable else ()
        asked[name] = Asked(name, row.question, known, frozenset(e.source for e in row.evidence))
    problems.raise_if_any()
    return _chosen(list(asked.values()), limit, path)


def _chosen(asked: Sequence[Asked], limit: int | None, path: Path) -> list[Asked]:
    if not any(one.is_answerable for one in asked):
        raise InputError(f"{path} holds no question with an answer; there is nothing to compare answers with.")
    return spread(asked, limit)
