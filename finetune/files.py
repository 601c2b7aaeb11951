"""
Files of examples: JSONL, JSON, CSV, and data sets that the datasets library saved to disk.

A file is read row by row; a row that cannot be used does not stop the reading, so that all of them are named at once.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.examples import Example, example
from models.base import InputError

SAVED_DATASET = ("dataset_info.json", "state.json")
SAVED_SPLITS = "dataset_dict.json"
MOST_CELL_CHARACTERS = 2**24


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: where it stands, and what is wrong with it."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Examples:
    """What files hold: the examples, and the rows that are none."""

    usable: tuple[Example, ...]
    bad: tuple[BadRow, ...]


def read(paths: Sequence[Path]) -> Examples:
    """
    Read files of examples.

    Args:
        paths: files, or directories of a saved data set.

    Raises:
        InputError: a file cannot be read at all, or is of an unknown kind.
    """
    usable: list[Example] = []
    bad: list[BadRow] = []
    names = Counter(path.name for path in paths)
    for path in paths:
        name = path.name if names[path.name] == 1 else f"{path.parent.name}/{path.name}"
        for where, row in _rows(path):
            place = f"{name}, {where}"
            if isinstance(row, InputError):
                bad.append(BadRow(place, str(row)))
                continue
            try:
                usable.append(example(row, place))
            except InputError as error:
                bad.append(BadRow(place, str(error)))
    return Examples(tuple(usable), tuple(bad))


def sha256(paths: Sequence[Path]) -> str:
    """Return the SHA-256 over the contents of files, and of the files in directories, in order."""
    digest = hashlib.sha256(str(len(paths)).encode())
    for path in paths:
        files = [path] if path.is_file() else sorted(child for child in path.rglob("*") if child.is_file())
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def duplicates(examples: Sequence[Example]) -> list[list[str]]:
    """Return the places of examples that are word for word the same, a list for each group of them."""
    places: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for one in examples:
        places[one.prompt, one.answer].append(one.place)
    return [group for group in places.values() if len(group) > 1]


def leaks(train: Sequence[Example], held_out: Sequence[Example]) -> list[tuple[str, str]]:
    """Return pairs of places, training and held out, that ask the same; case, punctuation and space do not count."""
    learnt: dict[str, str] = {}
    for one in train:
        learnt.setdefault(asked(one), one.place)
    return [(learnt[asked(one)], one.place) for one in held_out if asked(one) in learnt]


def asked(one: Example) -> str:
    """Return what an example asks, without case, punctuation and space; equal where two ask the same."""
    turns = [*(message.content for message in one.history if message.role == "user"), one.question]
    return " ".join(re.findall(r"\w+", "\n".join(turns).casefold()))


def _rows(path: Path) -> Iterator[tuple[str, object]]:
    """Yield the line or number and the content of each row; an InputError in place of one that cannot be parsed."""
    if path.is_dir():
        yield from _saved_dataset(path)
        return
    suffix = path.suffix.lower()
    try:
        if suffix in (".jsonl", ".ndjson"):
            yield from _json_lines(path)
        elif suffix == ".json":
            yield from _json_list(path)
        elif suffix in (".csv", ".tsv"):
            yield from _table(path, "\t" if suffix == ".tsv" else ",")
        else:
            raise InputError(
                f"{path} is of no known kind; expected .jsonl, .json, .csv, .tsv, or the directory of a saved data set."
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _json_lines(path: Path) -> Iterator[tuple[str, object]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"line {number}", _parsed(line.removeprefix(b"\xef\xbb\xbf"))


def _parsed(line: bytes) -> object:
    try:
        value: object = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return InputError(f"is not UTF-8 (byte {error.start + 1})")
    except json.JSONDecodeError as error:
        return InputError(f"is not JSON: {error.msg} (character {error.colno})")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets without end
        return InputError(f"is not JSON that can be read: {error}")
    return value


def _json_list(path: Path) -> Iterator[tuple[str, object]]:
    rows = _parsed(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    if isinstance(rows, InputError):
        raise InputError(f"{path} {rows}.")
    if not isinstance(rows, list):
        raise InputError(f"{path} holds a {type(rows).__name__}, expected a list of rows.")
    yield from ((f"row {number}", row) for number, row in enumerate(rows, start=1))


def _table(path: Path, separator: str) -> Iterator[tuple[str, object]]:
    csv.field_size_limit(MOST_CELL_CHARACTERS)  # of the whole process, so others may have set it since
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=separator, strict=True)
        try:
            for row in reader:
                yield f"line {reader.line_num}", _cells(row)
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8.") from error
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}.") from error


def _cells(row: dict[str | None, object]) -> object:
    if None in row:
        return InputError("has more cells than the header has names")
    if None in row.values():
        return InputError("has fewer cells than the header has names")
    filled = {name: value for name, value in row.items() if value != ""}
    context = filled.get("context")
    if isinstance(context, str) and context.lstrip().startswith("["):
        filled["context"] = _parsed(context.encode())
        if isinstance(filled["context"], InputError):
            return InputError(f"context: begins as JSON does, but {filled['context']}")
    return filled


def _saved_dataset(path: Path) -> Iterator[tuple[str, object]]:
    if (path / SAVED_SPLITS).is_file():
        splits = json.loads((path / SAVED_SPLITS).read_text(encoding="utf-8")).get("splits", [])
        raise InputError(f"{path} holds the splits {', '.join(splits)}; name one of them, such as {path / splits[0]}.")
    if not all((path / name).is_file() for name in SAVED_DATASET):
        raise InputError(f"{path} is not a data set that was saved to disk: {' or '.join(SAVED_DATASET)} is missing.")
    import datasets  # costs a second, and few runs need it

    rows: Iterable[dict[str, object]] = datasets.load_from_disk(str(path))
    yield from ((f"row {number}", row) for number, row in enumerate(rows, start=1))
