"""How good an answer is, as numbers between 0 and 1; the choice stands in the config as ``gate.score``."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from finetune.config import GateSettings
from models.base import ConfigError
from models.squad import f1, same

Measure = Callable[[str, str], Mapping[str, float]]
"""From an answer and the expected one to numbers by name."""

MOST_ROWS = 10_000
MOST_BYTES = 1_000_000
QUERY_SECONDS = 5.0
_STEPS_BETWEEN_LOOKS = 10_000


@dataclass(frozen=True, slots=True)
class Score:
    """
    A way of scoring.

    Attributes:
        primary: the number that decides.
        measure: gives all numbers for an answer.
    """

    primary: str
    measure: Measure

    def problem(self, expected: str) -> str | None:
        """Return what keeps an expected answer from being scored; None where nothing does."""
        try:
            reached = self.measure(expected, expected)[self.primary]
        except (ValueError, sqlite3.Error) as error:
            return f"the expected answer cannot be scored: {error}"
        return None if reached == 1 else f"the expected answer itself scores {reached:g} in {self.primary}"


def choose(gate: GateSettings) -> Score | None:
    """
    Return the score that a config asks for; None where it asks for none.

    Raises:
        ConfigError: the schema, the pattern or the database cannot be used.
    """
    if gate.score == "exact_match":
        return Score("exact_match", lambda answer, expected: {"exact_match": float(answer.strip() == expected.strip())})
    if gate.score == "f1":
        return Score("f1", lambda answer, expected: {"f1": f1(answer, expected), "exact_match": same(answer, expected)})
    if gate.score == "json_schema" and gate.schema_file:
        return _json_score(gate.schema_file)
    if gate.score == "regex" and gate.pattern is not None:
        return _pattern_score(gate.pattern)
    if gate.score == "sql" and gate.database:
        return _sql_score(gate.database)
    return None


def _json_score(path: Path) -> Score:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
    except (ValueError, SchemaError) as error:
        raise ConfigError(f"gate.schema: {path} is not a JSON Schema: {str(error).splitlines()[0]}") from error
    validator: Validator = kind(schema)

    def measure(answer: str, expected: str) -> Mapping[str, float]:
        wanted = json.loads(expected)
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            return {"json_valid": 0.0, "field_f1": 0.0, "exact": 0.0}
        valid = float(validator.is_valid(value))
        return {"json_valid": valid, "field_f1": field_f1(value, wanted), "exact": float(value == wanted)}

    return Score("field_f1", measure)


def field_f1(value: object, wanted: object) -> float:
    """Return the harmonic mean of precision and recall over the leaves of two JSON values."""
    found, fields = Counter(_fields(value, ())), Counter(_fields(wanted, ()))
    if not found or not fields:
        return float(found == fields)
    return 2 * sum((found & fields).values()) / (found.total() + fields.total())


def _fields(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each leaf of a JSON value with its path; the order within a list does not count."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, (*path, key))
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _fields(inner, (*path, "[]"))
    else:
        yield path, json.dumps(value)


def _pattern_score(pattern: str) -> Score:
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ConfigError(f"gate.pattern: {pattern!r} is not a regular expression: {error}.") from error
    return Score("matches", lambda answer, expected: {"matches": float(bool(compiled.fullmatch(answer.strip())))})


def _sql_score(path: Path) -> Score:
    try:
        run_query(path, "SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        raise ConfigError(f"gate.database: {path} is not a SQLite database: {error}.") from error

    def measure(answer: str, expected: str) -> Mapping[str, float]:
        wanted = run_query(path, expected)
        try:
            found = run_query(path, answer)
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return {"executes": 0.0, "execution_match": 0.0}
        return {"executes": 1.0, "execution_match": float(Counter(found) == Counter(wanted))}

    return Score("execution_match", measure)


def run_query(path: Path, query: str) -> Sequence[tuple[Any, ...]]:
    """
    Return the rows of a query; it cannot change the file, and ends after 5 seconds, 10,000 rows or a value of 1 MB.

    Raises:
        sqlite3.Error: it is no query, changes something, or takes too long.
    """
    until = time.monotonic() + QUERY_SECONDS
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        connection.set_authorizer(_reads_only)
        connection.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS_BETWEEN_LOOKS)
        return connection.execute(query).fetchmany(MOST_ROWS)


def _reads_only(action: int, *_: object) -> int:
    reading = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
    return sqlite3.SQLITE_OK if action in reading else sqlite3.SQLITE_DENY
