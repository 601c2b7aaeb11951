"""Whether an answer has the required form: follows a JSON Schema, matches a pattern, or is a query that runs."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for

from finetune.scores import run_query
from models.base import ConfigError
from scripts.decide.config import FormSettings

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Form:
    """
    A required form.

    Attributes:
        kind: what it is, for people.
        fits: whether an answer has it.
    """

    kind: str
    fits: Check


def from_settings(settings: FormSettings) -> Form | None:
    """
    Return the form that every answer must have; None where none is required.

    Raises:
        ConfigError: the schema, the pattern or the database cannot be used.
    """
    if settings.schema_file is not None:
        try:
            return from_schema(json.loads(settings.schema_file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(f"form.schema: {settings.schema_file} cannot be used: {error}") from error
    if settings.pattern is not None:
        try:
            return from_pattern(settings.pattern)
        except ValueError as error:
            raise ConfigError(f"form.pattern: {error}") from error
    if settings.database is not None:
        try:
            run_query(settings.database, "SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as error:
            raise ConfigError(f"form.database: {settings.database} is not a SQLite database: {error}.") from error
        return Form("SQL that runs", partial(runs, settings.database))
    return None


def from_schema(schema: dict[str, Any]) -> Form:
    """
    Return the form of a JSON Schema.

    Raises:
        ValueError: it is no JSON Schema.
    """
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"no JSON Schema: {str(error).splitlines()[0]}") from error
    validator = kind(schema)

    def fits(answer: str) -> bool:
        value = parsed(answer)
        return value is not _NOTHING and bool(validator.is_valid(value))

    return Form("JSON by a schema", fits)


def from_pattern(pattern: str) -> Form:
    """
    Return the form of a regular expression.

    Raises:
        ValueError: it is none.
    """
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return Form("a pattern", lambda answer: bool(compiled.fullmatch(answer.strip())))


_NOTHING = object()


def parsed(answer: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value of an answer; a value that equals nothing else where it is no JSON."""
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return _NOTHING


def is_json(text: str) -> bool:
    """Return whether a text is JSON."""
    return parsed(text) is not _NOTHING


def said_in(answer: str, field: str | None) -> str:
    """Return what an answer says: a field of its JSON where one is named and there, else the whole text."""
    if field is None:
        return answer
    value = parsed(answer)
    if isinstance(value, dict) and field in value:
        inner = value[field]
        return inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
    return answer


def executes_alike(database: Path, answer: str, expected: str) -> float:
    """Return 1 if a query gives the rows of the expected one, in any order."""
    wanted = run_query(database, expected)
    try:
        return float(Counter(run_query(database, answer)) == Counter(wanted))
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return 0.0


def runs(database: Path, answer: str) -> bool:
    """Return whether a text is a query that a database answers."""
    try:
        run_query(database, answer)
    except (sqlite3.Error, sqlite3.Warning, ValueError):
        return False
    return True
