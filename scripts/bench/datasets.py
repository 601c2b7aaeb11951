"""Read evaluation data in the BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels.tsv``."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.base import InputError
from rag.types import Document


def data_dir() -> Path:
    """
    Return where the evaluation data lies: ``$HOMEGROUND_BENCH_DATA``, else ``shared/data`` beside the checkout.

    Raises:
        InputError: there is no such folder.
    """
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("HOMEGROUND_BENCH_DATA", default))
    if not path.is_dir():
        raise InputError(
            f"the evaluation data is not at {path}; set HOMEGROUND_BENCH_DATA to the folder that holds it."
        )
    return path


@dataclass(frozen=True, slots=True)
class Dataset:
    """
    A retrieval collection.

    Attributes:
        documents: what is searched; ``source`` is the document's id.
        queries: text by query id; only queries with judgements.
        qrels: grade by document id, by query id.
    """

    name: str
    documents: list[Document]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_dataset(directory: Path) -> Dataset:
    """Read a folder in the BEIR layout."""
    qrels: dict[str, dict[str, int]] = {}
    with (directory / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows)
        for query, document, grade in rows:
            qrels.setdefault(query, {})[document] = int(grade)
    queries = {row["_id"]: row["text"] for row in _rows(directory / "queries.jsonl") if row["_id"] in qrels}
    documents = [
        Document(row["_id"], row["text"] if row["text"].strip() else row.get("title", ""), row.get("title", ""))
        for row in _rows(directory / "corpus.jsonl")
        if (row["text"] + row.get("title", "")).strip()
    ]
    return Dataset(directory.name, documents, queries, qrels)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
