"""
Nested data as text: each value on a line behind the keys that lead to it, lists of like records as tables.

``{"db": {"user": "ann", "ports": [1, 2]}}`` becomes the lines ``db.user: ann`` and ``db.ports: 1, 2``, so that a line
that is found can be read on its own. Records that have a name begin a section, in which the keys start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from rag.load.blocks import Blocks
from rag.load.text import one_line
from rag.load.values import Extracted

Value = str | Sequence["Value"] | Mapping[str, "Value"]
"""Parsed data; numbers and the like are strings as they stand in the file, so that they are quoted exactly."""

Record = Mapping[str, Value]

OWN = ""
"""The key of what a record is itself, beside what it has."""

_NAMES = ("title", "name", "headline", "subject", "question")
_LONGEST_NAME = 120
_LONGEST_LINE = 300
_MOST_COLUMNS = 50
_FILLED_SHARE = 0.5


def read_records(value: Value, warnings: tuple[str, ...] = ()) -> Extracted:
    """Write data as text; the keys of the outermost record that lead to more than a line become headings."""
    writer = _Writer()
    if _is_record(value):
        writer.sections(value)
    else:
        writer.write(value, "", 0)
    blocks = writer.result()
    return Extracted(blocks.text, one_line(_name(value)), blocks.headings, warnings=warnings)


def _name(value: Value) -> str:
    """Return what a record calls itself; empty where it does not, or this is no record."""
    if not _is_record(value):
        return ""
    by_key = {key.lower(): item for key, item in value.items()}
    names = (by_key.get(name) for name in _NAMES)
    return next((name for name in names if isinstance(name, str) and 0 < len(name.strip()) <= _LONGEST_NAME), "")


class _Writer:
    """Writes values; lines are collected until something other than a line follows, and then make one paragraph."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._lines: list[str] = []

    def result(self) -> Blocks:
        """Return what was written."""
        self._flush()
        return self._blocks

    def _flush(self) -> None:
        """End the paragraph of lines."""
        self._blocks.paragraph("\n".join(self._lines))
        self._lines.clear()

    def sections(self, record: Record) -> None:
        """Write the outermost record."""
        for key, value in record.items():
            if _is_short(value):
                self._line(key, _on_line(value))
            else:
                self._flush()
                self._blocks.heading(key, 1)
                self.write(value, key, 1, headed=True)
                self._flush()

    def write(self, value: Value, path: str, level: int, headed: bool = False) -> None:
        """
        Write a value.

        Args:
            value: the value.
            path: the keys that lead to it.
            level: of the heading above it; 0 for none.
            headed: whether that heading is the path.
        """
        if _is_short(value):
            self._line(path, _on_line(value))
        elif rows := _rows(value):
            self._flush()
            self._blocks.paragraph("" if headed or not path else f"{path}:")
            self._blocks.table(rows)
        elif _is_record(value):
            for key, item in value.items():
                self.write(item, _join(path, key), level)
        else:
            self._items(value, path, level)

    def _line(self, path: str, text: str) -> None:
        line = f"{path}: {text}" if path else text
        if "\n" in text:
            self._flush()
            self._blocks.paragraph(line)
        else:
            self._lines.append(line)

    def _items(self, items: Value, path: str, level: int) -> None:
        """Write a list that fits neither on a line nor in a table, each record in a paragraph or section of its own."""
        for index, item in enumerate(items):
            if name := _name(item):
                self._flush()
                self._blocks.heading(name, level + 1)
                self.write(item, "", level + 1, headed=True)
                self._flush()
            elif _is_record(item):
                self._flush()
                self.write(item, f"{path}[{index}]" if path else "", level)
                self._flush()
            else:
                self.write(item, f"{path}[{index}]", level)


def _is_record(value: Value) -> TypeGuard[Record]:
    return isinstance(value, Mapping)


def _is_short(value: Value) -> bool:
    """Tell whether a value fits on a line, and can be read there."""
    if isinstance(value, str) or not value:
        return True
    if _is_record(value):
        return False
    texts = [item for item in value if isinstance(item, str) and "," not in item and "\n" not in item]
    return len(texts) == len(value) and sum(map(len, texts)) <= _LONGEST_LINE


def _on_line(value: Value) -> str:
    """Write a short value."""
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) or ("{}" if _is_record(value) else "[]")


def _rows(value: Value) -> list[list[str]]:
    """Return the cells of a list of records, or of records by key, if they are alike and each fits on a line."""
    if isinstance(value, str):
        return []
    items = [{OWN: key, **item} for key, item in value.items() if _is_record(item)] if _is_record(value) else value
    if len(items) < max(2, len(value)) or not all(map(_is_record, items)):
        return []
    records = [_flat(item) for item in items if _is_record(item)]
    if not all(map(_is_row, records)):
        return []
    columns = list(dict.fromkeys(key for record in records for key in record))
    filled = sum(map(len, records))
    if not 2 <= len(columns) <= _MOST_COLUMNS or filled < _FILLED_SHARE * len(columns) * len(records):
        return []
    return [columns, *([_on_line(record.get(key, "")) for key in columns] for record in records)]


def _flat(record: Record) -> Record:
    """Put the records in a record beside its other values."""
    flat: dict[str, Value] = {}
    for key, value in record.items():
        if _is_record(value) and value:
            flat |= {_join(key, inner): item for inner, item in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def _is_row(record: Record) -> bool:
    return all(map(_is_short, record.values())) and sum(map(len, map(_on_line, record.values()))) <= _LONGEST_LINE


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key
