"""
Questions with passages from public sets become documents and questions as ``rag.ground`` reads them.

The sets are SQuAD 1.1 and the unanswerable questions of SQuAD 2.0 (Rajpurkar et al., arXiv 1606.05250 and 1806.03822,
CC BY-SA 4.0), whose passages are paragraphs of Wikipedia; both only in their training parts.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.base import InputError
from rag.types import Document

PASSAGES_OF_AN_ARTICLE = 12
"""Of each article; the others of it are the distractors that are hardest to tell from the evidence."""

ANSWERED, UNANSWERED = 4, 2
"""Most questions of each kind that are asked about a passage: three in ten have no answer in it."""

LEAST_ANSWERED = 3
LOWER_CASED = 0.3
"""Share of the questions in lower case, answerable or not: the set restored the capitals of unanswerable ones by rule,
and a model would read from a missing capital that there is no answer."""


@dataclass
class Passage:
    """A paragraph of an article with what is asked about it."""

    title: str
    text: str
    answered: list[tuple[str, str]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """Documents, and questions about them in the form of ``rag.ground``; questions about a document stand together."""

    documents: list[Document]
    questions: list[dict[str, Any]]

    def questions_of(self, turn: int, turns: int) -> list[dict[str, Any]]:
        """Return the questions about every so-manieth document, beginning with number ``turn``."""
        chosen = {document.source for document in self.documents[turn::turns]}
        return [question for question in self.questions if question["evidence"][0]["source"] in chosen]


def passages(data: Path) -> list[Passage]:
    """
    Read the passages with their questions, in the order of their ids.

    Raises:
        InputError: the data is not there.
    """
    folder = data / "qa_train"
    found: dict[str, Passage] = {}
    place: dict[str, str] = {}
    for row in _rows(folder / "squad1_train" / "train.jsonl.gz"):
        text = row["passages"][0]["text"]
        place[row["id"]] = text
        found.setdefault(text, Passage(row["title"], text)).answered.append((row["question"], row["answers"][0]))
    for row in _rows(folder / "squad1_train" / "more_questions.jsonl.gz"):
        found[place[row["passage_of"]]].answered.append((row["question"], row["answers"][0]))
    for row in _rows(folder / "squad2_unanswerable" / "train.jsonl.gz"):
        if row["passages"][0]["text"] in found:
            found[row["passages"][0]["text"]].unanswered.append(row["question"])
    return list(found.values())


def split(everything: Sequence[Passage], families: int, held_out: int, seed: int) -> tuple[Part, Part]:
    """
    Draw passages to train on and passages to hold out, from different articles.

    Args:
        everything: what there is.
        families: how many passages are asked about in training.
        held_out: how many are asked about in the held-out part.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    articles: dict[str, list[Passage]] = defaultdict(list)
    for passage in everything:
        if len(passage.answered) >= LEAST_ANSWERED:
            articles[passage.title].append(passage)
    names = sorted(articles)
    drawn = [
        [articles[names[article]][at] for at in rng.permutation(len(articles[names[article]]))[:PASSAGES_OF_AN_ARTICLE]]
        for article in rng.permutation(len(names))
    ]
    for_dev = -(-held_out // PASSAGES_OF_AN_ARTICLE)
    dev = [passage for article in drawn[:for_dev] for passage in article][:held_out]
    train = [passage for article in drawn[for_dev:] for passage in article][:families]
    return _part(train, rng), _part(dev, rng)


def _part(chosen: Sequence[Passage], rng: np.random.Generator) -> Part:
    documents, questions = [], []
    for number, passage in enumerate(chosen):
        source = f"{passage.title}/{number}"
        documents.append(Document(source=source, text=passage.text, title=passage.title))
        answered = [passage.answered[at] for at in rng.permutation(len(passage.answered))[:ANSWERED]]
        unanswered = [passage.unanswered[at] for at in rng.permutation(len(passage.unanswered))[:UNANSWERED]]
        about = [{"source": source}]
        for question, answer in answered:
            questions.append({"question": _cased(question, rng), "answer": answer, "evidence": about})
        for question in unanswered:
            questions.append({"question": _cased(question, rng), "answerable": False, "evidence": about})
    return Part(documents, questions)


def _cased(question: str, rng: np.random.Generator) -> str:
    return question.lower() if rng.random() < LOWER_CASED else question


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}); it is part of the evaluation data.") from error
