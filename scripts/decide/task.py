"""The task: frozen test questions and training examples, read and checked together, every problem named at once."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field

from finetune.examples import Example, example
from models.base import InputError, Message
from models.prompt import REFUSAL
from rag.evaluate.questions import Evidence, EvidenceRow
from rag.evaluate.rows import Problems, Row, read_lines, read_rows, spread
from scripts.decide.config import DecideConfig
from scripts.decide.form import Form, from_pattern, from_schema, from_settings, is_json, runs


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A test question.

    Attributes:
        id: from the file, or its line.
        text: the question.
        system: its system turn; empty for the usual one.
        references: right answers, any of which counts; none where correctness cannot be told.
        evidence: where the answer stands in the documents, as far as it is known.
        answerable: False where the right thing is to decline.
        form: what every answer to it must look like; None where no form is required.
    """

    id: str
    text: str
    system: str
    references: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    answerable: bool
    form: Form | None

    @property
    def history(self) -> tuple[Message, ...]:
        """The turns before the question."""
        return (Message("system", self.system),) if self.system else ()

    @property
    def cluster(self) -> str:
        """What makes questions dependent on each other: the document that they were asked about."""
        return f"document {self.evidence[0].source}" if self.evidence else f"question {self.id}"


@dataclass(frozen=True, slots=True)
class Learnt:
    """A training example, with where its answer stands in the documents, as far as that is known."""

    example: Example
    evidence: tuple[Evidence, ...]
    answerable: bool


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured: the test questions, the examples, and the form that all answers must have."""

    asked: tuple[Asked, ...]
    learnt: tuple[Learnt, ...]
    form: Form | None


class _TestRow(Row):
    id: str = ""
    question: str = Field(validation_alias=AliasChoices("question", "prompt"))
    answer: str = Field(default="", validation_alias=AliasChoices("answer", "completion", "output"))
    references: list[str] = []
    answers: list[str] = []
    evidence: list[EvidenceRow] = []
    answerable: bool = True
    system: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, validation_alias="schema")
    pattern: str | None = None


class _Marks(Row):
    evidence: list[EvidenceRow] = []
    answerable: bool = True


def read_task(config: DecideConfig, limit: int | None = None) -> Task:
    """
    Read the test questions and the training examples.

    Args:
        config: names the files.
        limit: so many test questions, spread evenly over the file; None for all.

    Raises:
        InputError: lines cannot be used (every one is named), or the examples hold test questions.
        ConfigError: the form cannot be used.
    """
    problems = Problems()
    form = from_settings(config.form)
    asked = spread(_read_test(config, form, problems), limit)
    learnt = _read_train(config.train, config.instruction, problems) if config.train else []
    problems.raise_if_any()
    if not asked:
        raise InputError(f"{config.test} holds no question.")
    if config.train and not learnt:
        raise InputError(f"{config.train} holds no example.")
    _refuse_leaks(config, asked, learnt)
    return Task(tuple(asked), tuple(learnt), form)


def _read_test(config: DecideConfig, form: Form | None, problems: Problems) -> list[Asked]:
    found: list[Asked] = []
    ids: set[str] = set()
    places: dict[str, int] = {}
    for line, row in read_rows(config.test, _TestRow, problems):
        name = row.id or f"line {line}"
        if name in ids:
            problems.add(config.test, line, f"the id {name!r} is taken by an earlier line")
        ids.add(name)
        if not row.question.strip():
            problems.add(config.test, line, "the question is empty")
        words = plain_words(row.question)
        if words in places:
            problems.add(config.test, line, f"asks the same as line {places[words]}; a question counts once")
        places.setdefault(words, line)
        references = tuple(dict.fromkeys(text for text in (row.answer, *row.references, *row.answers) if text.strip()))
        evidence = tuple(Evidence(one.source, (one.quote or "").strip()) for one in row.evidence)
        system = row.system if row.system is not None else config.instruction or ""
        own = _form_of(row, form, config.test, line, problems)
        asked = Asked(name, row.question, system, references, evidence, row.answerable, own)
        for sentence in _unscorable(asked, config):
            problems.add(config.test, line, sentence)
        found.append(asked)
    return found


def _form_of(row: _TestRow, form: Form | None, path: Path, line: int, problems: Problems) -> Form | None:
    """Return the form of a row's answers: its own, else everybody's."""
    try:
        if row.json_schema is not None:
            return from_schema(row.json_schema)
        if row.pattern is not None:
            return from_pattern(row.pattern)
    except ValueError as error:
        problems.add(path, line, str(error))
    return form


def _unscorable(asked: Asked, config: DecideConfig) -> list[str]:
    """Return what keeps a question's references from being compared with answers."""
    if config.score == "fields":
        return [f"the reference {text!r} is not JSON" for text in asked.references if not is_json(text)]
    if config.score == "execution" and config.form.database:
        database = config.form.database
        bad = [text for text in asked.references if not runs(database, text)]
        return [f"the reference {text!r} does not run on {database.name}" for text in bad]
    return []


def _read_train(path: Path, instruction: str | None, problems: Problems) -> list[Learnt]:
    found = []
    for line, text in read_lines(path, problems):
        try:
            row = json.loads(text)
            marks = _Marks.model_validate(row)
            if not marks.answerable and isinstance(row, dict) and not row.get("answer"):
                row = {**row, "answer": REFUSAL}
            if instruction and isinstance(row, dict) and not row.get("system"):
                row = {**row, "system": instruction}
            one = example(row, f"{path.name}, line {line}")
        except (ValueError, InputError) as error:
            problems.add(path, line, str(error).splitlines()[0])
            continue
        evidence = tuple(Evidence(place.source, (place.quote or "").strip()) for place in marks.evidence)
        found.append(Learnt(one, evidence, marks.answerable))
    return found


def plain_words(text: str) -> str:
    """Return a text's words without case, punctuation and space: equal where two ask the same."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _refuse_leaks(config: DecideConfig, asked: Sequence[Asked], learnt: Sequence[Learnt]) -> None:
    """
    Refuse examples that ask what the test asks.

    Raises:
        InputError: there are some; they are named.
    """
    trained: dict[str, str] = {}
    for one in learnt:
        trained.setdefault(plain_words(one.example.question), one.example.place)
    leaks = [(trained[words], one.id) for one in asked if (words := plain_words(one.text)) in trained]
    if leaks:
        listed = "; ".join(f"{place} asks what test question {name!r} asks" for place, name in leaks[:20])
        more = f"; and {len(leaks) - 20} more" if len(leaks) > 20 else ""
        raise InputError(
            f"{len(leaks)} of {len(asked)} test questions stand in {config.train}: {listed}{more}. An adapter would be "
            "measured on what it learnt by heart, so nothing could be concluded; take them out of one of the files."
        )
