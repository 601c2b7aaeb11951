"""
Read a YAML settings file into a pydantic model, and say everything that is wrong with it at once, with its line.

Flags and environment variables are laid over the file by the caller; a problem in the file names its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

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

    Raises:
        ConfigError: the file is missing, is not YAML, or any value is wrong; the message lists every problem.
    """
    values, lines = _parse(path) if path else ({}, {})
    merged = merge(values, {name: value for name, value in overrides.items() if value is not None})
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_describe(error, path, lines)) from error


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with the values of ``above`` put over it; mappings are merged field by field."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _parse(path: Path) -> tuple[dict[str, Any], dict[Location, int]]:
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
        return {}, {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold `name: value` pairs, but holds a {type(values).__name__}.")
    return values, dict(_lines(root, ()))


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


def _describe(error: ValidationError, path: Path | None, lines: Mapping[Location, int]) -> str:
    problems = []
    for problem in error.errors(include_url=False):
        location = problem["loc"]
        line = next((lines[location[:end]] for end in range(len(location), 0, -1) if location[:end] in lines), None)
        place = f"{path}, line {line}: " if line is not None else ""
        name = ".".join(str(part) for part in location) or "settings"
        reason = "unknown setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        problems.append(f"{place}{name}: {reason}")
    return "; ".join(problems)
