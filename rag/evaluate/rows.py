"""Read and write files of rows (JSON Lines, tab-separated); everything that is wrong with them is said at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.base import InputError

MAX_SHOWN = 20
"""So many problems are written out; the others are counted."""


class Row(BaseModel):
    """One line of a file; fields that nobody asked for are left alone, numbers may stand where text is expected."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


Item = TypeVar("Item")
AnyRow = TypeVar("AnyRow", bound=Row)


class Problems:
    """What is wrong with the files that were read so far."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._count = 0

    def add(self, path: Path, line: int, sentence: str) -> None:
        """Note a problem of a line, counted from 1; 0 stands for the whole file."""
        self._count += 1
        if self._count <= MAX_SHOWN:
            self._shown.append(f"{path}, line {line}: {sentence}" if line else f"{path} {sentence}")

    def raise_if_any(self) -> None:
        """
        End here if a problem was noted.

        Raises:
            InputError: it names the first of them and counts the others.
        """
        if self._count:
            more = self._count - len(self._shown)
            raise InputError("; ".join(self._shown) + (f"; and {more} more problems" if more else "") + ".")


def read_lines(path: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """Yield each line that is not blank with its number; what cannot be read is noted in ``problems``."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    problems.add(path, number, "is not UTF-8")
                    continue
                if text.strip():
                    yield number, text
    except OSError as error:
        problems.add(path, 0, f"cannot be read ({error.strerror})")


def read_rows(path: Path, kind: type[AnyRow], problems: Problems) -> Iterator[tuple[int, AnyRow]]:
    """Yield each JSON object of a file with its line; lines that are none, or lack something, are noted."""
    for number, line in read_lines(path, problems):
        try:
            yield number, kind.model_validate_json(line)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                field = ".".join(str(part) for part in problem["loc"])
                problems.add(path, number, f"{field}: {problem['msg']}" if field else problem["msg"])


def spread(rows: Sequence[Item], limit: int | None) -> list[Item]:
    """Return so many of the rows, spread evenly over them; all for None."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[at * len(rows) // limit] for at in range(limit)]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """
    Write one JSON object a line.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another file.") from error
