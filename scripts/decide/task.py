"""The task: frozen test questions and training examples, read and checked together, every problem named at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, model_validator

from finetune.examples import Example, example
from models.base import InputError, Message
from models.prompt import REFUSAL
from rag.evaluate.questions import Evidence, EvidenceRow
from rag.evaluate.rows import Problems, Row, read_lines, read_rows, spread
from scripts.decide.config import DecideConfig
from scripts.decide.form import Form, from_pattern, from_schema, from_settings, is_json, runs
from scripts.decide.leaks import Questions, plain

LISTED = 20
"""So many leaks are named; the others are counted."""

ANSWERS = {"question": "answer", "prompt": "completion", "instruction": "output"}
"""What the answer is called, by what the question is called."""


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
        earlier: the turns of a conversation before it.
    """

    id: str
    text: str
    system: str
    references: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    answerable: bool
    form: Form | None
    earlier: tuple[Message, ...] = ()

    @property
    def history(self) -> tuple[Message, ...]:
        """The turns before the question."""
        return (Message("system", self.system), *self.earlier) if self.system else self.earlier

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


class _Row(Row):
    """A row in which nothing (``null``) is as if it were left out."""

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, row: Any) -> Any:  # noqa: ANN401 - what a row says before it is checked
        return {key: value for key, value in row.items() if value is not None} if isinstance(row, dict) else row


class _Turn(Row):
    role: Literal["system", "user", "assistant"]
    content: str


class _TestRow(_Row):
    id: str = ""
    question: str | list[_Turn] = Field(validation_alias=AliasChoices("question", "prompt"))
    answer: str | list[_Turn] = Field(default="", validation_alias=AliasChoices("answer", "completion", "output"))
    references: list[str] = []
    answers: list[str] = []
    evidence: list[EvidenceRow] = []
    answerable: bool = True
    system: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, validation_alias="schema")
    pattern: str | None = None

    def wanted(self) -> tuple[str, ...]:
        """Return the right answers."""
        one = self.answer if isinstance(self.answer, str) else "".join(turn.content for turn in self.answer)
        return tuple(dict.fromkeys(text for text in (one, *self.references, *self.answers) if text.strip()))


class _Marks(_Row):
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
    places: dict[object, int] = {}
    for line, row in read_rows(config.test, _TestRow, problems):
        name = row.id or f"line {line}"
        if name in ids:
            problems.add(config.test, line, f"the id {name!r} is taken by an earlier line")
        ids.add(name)
        try:
            asked = _asked(row, name, config.instruction, _form_of(row, form, config.test, line, problems))
        except InputError as error:
            problems.add(config.test, line, str(error))
            continue
        if not asked.text.strip():
            problems.add(config.test, line, "the question is empty")
        same = plain(asked.text), asked.history
        if same in places:
            problems.add(config.test, line, f"asks the same as line {places[same]}; a question counts once")
        places.setdefault(same, line)
        for sentence in _unscorable(asked, config):
            problems.add(config.test, line, sentence)
        found.append(asked)
    return found


def _asked(row: _TestRow, name: str, instruction: str | None, form: Form | None) -> Asked:
    """
    Return the question of a row; a list of turns is read as training reads it.

    Raises:
        InputError: its turns are no conversation.
    """
    if isinstance(row.question, str):
        chat, own = Example("", (), row.question, ""), row.system
    else:
        turns = [turn.model_dump() for turn in row.question]
        chat = example({"system": row.system or None, "prompt": turns, "completion": REFUSAL}, "")
        own = _system_of(chat) or row.system
    system = own if own is not None else instruction or ""
    earlier = tuple(turn for turn in chat.history if turn.role != "system")
    evidence = _places(row.evidence)
    return Asked(name, chat.question, system, row.wanted(), evidence, row.answerable, form, earlier)


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
            row = json.loads(text, parse_int=str, parse_float=str)  # an answer may be a number
            marks = _Marks.model_validate(row) if isinstance(row, dict) else _Marks()
            one = example(row if marks.answerable else _declining(row), f"{path.name}, line {line}")
        except ValidationError as error:
            told = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
            problems.add(path, line, "; ".join(told))
            continue
        except (ValueError, RecursionError, InputError) as error:
            problems.add(path, line, str(error).splitlines()[0])
            continue
        if instruction and row.get("system") is None and not _system_of(one):
            one = replace(one, history=(Message("system", instruction), *one.history))
        found.append(Learnt(one, _places(marks.evidence), marks.answerable))
    return found


def _declining(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the sentence that declines, where it has a question and no answer."""
    missing = {answer for question, answer in ANSWERS.items() if row.get(question) and not row.get(answer)}
    return {**row, **dict.fromkeys(missing, REFUSAL)}


def _places(rows: Sequence[EvidenceRow]) -> tuple[Evidence, ...]:
    return tuple(Evidence(one.source, (one.quote or "").strip()) for one in rows)


def _system_of(one: Example) -> str:
    return next((turn.content for turn in one.history if turn.role == "system"), "")


def _refuse_leaks(config: DecideConfig, asked: Sequence[Asked], learnt: Sequence[Learnt]) -> None:
    """
    Refuse examples that ask what the test asks, in any of their turns; under another instruction it is another task.

    Raises:
        InputError: there are some; they are named.
    """
    usual = config.instruction or ""
    tested = Questions(one.text for one in asked)
    leaks: dict[int, str] = {}
    for one in learnt:
        turns = [turn.content for turn in one.example.history if turn.role == "user"]
        for number in {number for turn in (*turns, one.example.question) for number in tested.asked_in(turn)}:
            if len({asked[number].system, _system_of(one.example)} - {"", usual}) < 2:
                leaks.setdefault(number, one.example.place)
    if leaks:
        named = [f"{place} asks what test question {asked[at].id!r} asks" for at, place in leaks.items()]
        more = f"; and {len(leaks) - LISTED} more" if len(leaks) > LISTED else ""
        raise InputError(
            f"{len(leaks)} of {len(asked)} test questions stand in {config.train}: {'; '.join(named[:LISTED])}{more}. "
            "An adapter would be measured on what it learnt by heart, so nothing could be concluded; take them out of "
            "one of the files."
        )
