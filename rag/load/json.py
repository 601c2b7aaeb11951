"""JSON, one value or one a line: written as lines of keys and values, and as tables, see :mod:`rag.load.records`."""

from __future__ import annotations

import json
from typing import Any

from rag.load.records import Value, read_records
from rag.load.text import decode
from rag.load.values import Extracted

_LITERALS = {None: "null", True: "true", False: "false"}


def read(data: bytes, name: str) -> Extracted:
    """Read a JSON file; one that holds something else, as configurations with comments do, is read as plain text."""
    text, warnings = decode(data)
    try:
        value = parse(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _read_lines(text, warnings)
        return Extracted(text, warnings=(*warnings, f"is no valid JSON ({error}); it was read as plain text."))
    return read_records(value, warnings)


def read_lines(data: bytes, name: str) -> Extracted:
    """Read a file that holds a JSON value on each line; lines that hold something else are kept as they are."""
    return _read_lines(*decode(data))


def parse(text: str) -> Value:
    """
    Parse JSON; numbers stay as they are written.

    Raises:
        json.JSONDecodeError: it is not valid.
        RecursionError: it is nested deeper than calls may be.
    """
    return _plain(json.loads(text, parse_int=str, parse_float=str, parse_constant=str))


def _plain(value: Any) -> Value:  # noqa: ANN401 - that is what a JSON parser gives
    """Write out the values that are no strings."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str) else _LITERALS[value]


def _read_lines(text: str, warnings: tuple[str, ...]) -> Extracted:
    values: list[Value] = []
    bad: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append(parse(line))
        except json.JSONDecodeError:
            bad.append(number)
            values.append(line)
    if len(bad) == len(values):
        return Extracted(text, warnings=(*warnings, "is no valid JSON; it was read as plain text."))
    if bad:
        count = f"{len(bad)} lines that are" if len(bad) > 1 else "a line that is"
        warnings += (f"has {count} no valid JSON, line {bad[0]}; what is there was kept as text.",)
    return read_records(values, warnings)
