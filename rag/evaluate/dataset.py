"""
Read a retrieval dataset in the layout of BEIR (arXiv 2104.08663): a corpus, queries, and graded judgements.

``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``), and ``qrels.tsv`` or
``qrels/test.tsv`` (query, document, grade, with or without a header line).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from models.base import InputError
from rag.evaluate.rows import Problems, Row, read_lines, read_rows
from rag.types import Document

QRELS = ("qrels.tsv", "qrels/test.tsv")

Judgements = dict[str, dict[str, int]]
"""Grade by document, by query; a grade above 0 is relevant."""


class _Identified(Row):
    id: str = Field(alias="_id", min_length=1)


class _DocumentRow(_Identified):
    title: str | None = None
    text: str | None = None


class _QueryRow(_Identified):
    text: str


_AnyIdentified = TypeVar("_AnyIdentified", bound=_Identified)


@dataclass(frozen=True, slots=True)
class Dataset:
    """
    A retrieval dataset.

    Attributes:
        name: the folder's name.
        origin: the corpus file, which every document names as its origin.
        documents: what is searched; ``source`` is the document's id.
        queries: text by query id, only those with a relevant document.
        judgements: grade by document id, by query id, only of these queries.
        empty: documents without title and text, which are left out.
        unjudged: queries without a relevant document, which are left out.
        unknown: judgements of documents that the corpus does not hold; the relevant ones count as missed.
    """

    name: str
    origin: str
    documents: list[Document]
    queries: dict[str, str]
    judgements: Judgements
    empty: int
    unjudged: int
    unknown: int


def read_dataset(directory: Path, limit: int | None = None) -> Dataset:
    """
    Read a folder.

    Args:
        directory: the folder.
        limit: only so many queries, the first of the file; None for all.

    Raises:
        InputError: a file is missing, lines are malformed, ids are taken twice (every file and line is named), or no
            query has a relevant document.
    """
    problems = Problems()
    corpus = directory / "corpus.jsonl"
    rows = _by_id(corpus, _DocumentRow, problems)
    documents = _documents(rows.values(), corpus)
    texts = {row.id: row.text for row in _by_id(directory / "queries.jsonl", _QueryRow, problems).values()}
    judgements = read_judgements(directory, problems)
    problems.raise_if_any()
    judged = [query for query in texts if any(grade > 0 for grade in judgements.get(query, {}).values())]
    if not judged:
        raise InputError(
            f"no query of {directory} has a relevant document; its {len(texts)} queries and the judgements of "
            f"{len(judgements)} queries must name the same ids."
        )
    kept = judged[:limit]
    return Dataset(
        name=directory.absolute().name,
        origin=str(corpus.absolute()),
        documents=documents,
        queries={query: texts[query] for query in kept},
        judgements={query: judgements[query] for query in kept},
        empty=len(rows) - len(documents),
        unjudged=len(texts) - len(judged),
        unknown=sum(document not in rows for query in kept for document in judgements[query]),
    )


def read_documents(corpus: Path, problems: Problems) -> list[Document]:
    """Read a corpus; what is wrong with it is noted in ``problems``."""
    return _documents(_by_id(corpus, _DocumentRow, problems).values(), corpus)


def _documents(rows: Iterable[_DocumentRow], corpus: Path) -> list[Document]:
    return [_document(row, corpus.absolute()) for row in rows if _text(row)]


def _by_id(path: Path, kind: type[_AnyIdentified], problems: Problems) -> dict[str, _AnyIdentified]:
    rows: dict[str, _AnyIdentified] = {}
    for line, row in read_rows(path, kind, problems):
        if row.id in rows:
            problems.add(path, line, f"the id {row.id!r} is taken by an earlier line")
        rows[row.id] = row
    return rows


def read_judgements(directory: Path, problems: Problems) -> Judgements:
    """Read a folder's judgements; what is wrong with them is noted in ``problems``."""
    path = next((directory / name for name in QRELS if (directory / name).is_file()), None)
    if path is None:
        problems.add(directory, 0, f"holds neither {' nor '.join(QRELS)}")
        return {}
    judgements: Judgements = {}
    for line, text in read_lines(path, problems):
        fields = text.split("\t")
        if len(fields) == 3 and _is_grade(fields[2]):
            query, document, grade = fields
            if judgements.setdefault(query, {}).setdefault(document, int(grade)) != int(grade):
                problems.add(path, line, f"document {document!r} was given another grade for query {query!r} before")
        elif len(fields) != 3 or line > 1:
            problems.add(path, line, "expected a query, a document and a whole number, separated by tabs")
    return judgements


def _is_grade(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()


def _document(row: _DocumentRow, origin: Path) -> Document:
    title = row.title or ""
    digest = hashlib.sha256(f"{title}\0{row.text or ''}".encode()).hexdigest()
    return Document(row.id, _text(row), title, sha256=digest, origin=str(origin))


def _text(row: _DocumentRow) -> str:
    """Return what can be searched of a row: its text, else its title."""
    return row.text if row.text and row.text.strip() else (row.title or "").strip()
