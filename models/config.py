"""
Read a YAML settings file into a pydantic model, and say everything that is wrong with it at once, with its line.

Flags and environment variables are laid over the file by the caller; a problem in the file names its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from models.base import ConfigError

Parsed = TypeVar("Parsed", bound=BaseModel)
Location = tuple[str | int, ...]


def read(kind: type[Parsed], path: Path | None = None, **overrides: Any) -> Parsed:  # noqa: ANN401 - settings are of any type
    """
    Make settings of ``kind`` from a file and from overrides.

    Args:
        kind: a pydantic model with ``extra="forbid"``.
        path: a YAML file; None reads none.
        overrides: values that win over the file; None means not given. A mapping overrides field by field.

    Validators find the file's folder in ``info.context["folder"]``, for paths that are meant relative to it.

    Raises:
        ConfigError: the file is missing, is not YAML, or any value is wrong; the message lists every problem.
    """
    file = _parse(path) if path else _File({}, {}, [])
    merged = merge(file.values, {name: value for name, value in overrides.items() if value is not None})
    problems = [f"{path}, {problem}" for problem in file.repeated]
    try:
        parsed = kind.model_validate(merged, context={"folder": path.absolute().parent if path else Path.cwd()})
    except ValidationError as error:
        raise ConfigError(_together([*problems, *_describe(error, kind, path, file.lines)])) from error
    if problems:
        raise ConfigError(_together(problems))
    return parsed


def _together(problems: Sequence[str]) -> str:
    return problems[0] if len(problems) == 1 else "\n  ".join([f"{len(problems)} settings are wrong:", *problems])


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the values of ``above`` put over it; mappings are merged field by field."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


class _File(NamedTuple):
    """A settings file: its values, the line of each, and what is wrong although it is valid YAML."""

    values: dict[str, Any]
    lines: Mapping[Location, int]
    repeated: list[str]


def _parse(path: Path) -> _File:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the settings file {path} cannot be read ({error}).") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if root is None or values is None:
        return _File({}, {}, [])
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold `name: value` pairs, but holds a {type(values).__name__}.")
    places = _lines(root, ())
    first: dict[Location, int] = {}
    repeated = []
    for location, line in places:
        if location in first:
            name = ".".join(map(str, location))
            repeated.append(f"line {line}: {name}: set a second time, first in line {first[location]}")
        first.setdefault(location, line)
    return _File(values, dict(places), repeated)


def _lines(node: yaml.Node, location: Location) -> Sequence[tuple[Location, int]]:
    """List the line, counted from 1, at which each value of a YAML tree is named."""
    found: list[tuple[Location, int]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, key.value)
            found.append((here, key.start_mark.line + 1))
            found.extend(_lines(value, here))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*location, index)
            found.append((here, value.start_mark.line + 1))
            found.extend(_lines(value, here))
    return found


def _describe(
    error: ValidationError, kind: type[BaseModel], path: Path | None, lines: Mapping[Location, int]
) -> list[str]:
    """Return a sentence for each problem, in the order of the file's lines."""
    problems: list[tuple[int, str]] = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        line = next((lines[location[:end]] for end in range(len(location), 0, -1) if location[:end] in lines), None)
        place = f"{path}, line {line}: " if line is not None else ""
        name = _setting(kind, location) or "settings"
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            closest = difflib.get_close_matches(str(location[-1]), _names(kind, location[:-1]), n=1)
            reason = f"unknown setting; did you mean {closest[0]!r}?" if closest else "unknown setting"
        problems.append((line or 0, f"{place}{name}: {reason}"))
    return [text for _, text in sorted(problems, key=lambda pair: pair[0])]


def _setting(kind: type[BaseModel], location: Location) -> str:
    """Return the name that a file gives a setting; a missing one is reported by the name in the code."""
    parts = []
    for number, part in enumerate(location):
        field = _at(kind, location[:number]).get(str(part))
        parts.append(str((field and field.alias) or part))
    return ".".join(parts)


def _names(kind: type[BaseModel], location: Location) -> list[str]:
    """List the settings that there are at a place."""
    return [field.alias or name for name, field in _at(kind, location).items()]


def _at(kind: type[BaseModel], location: Location) -> Mapping[str, FieldInfo]:
    """Return the fields at a place, by their names in the code; none where there is no section."""
    for part in location:
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return {}
        kind = inner
    return kind.model_fields
