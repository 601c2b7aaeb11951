"""What every command of ``rag.evaluate`` puts out: an object on standard output, warnings and progress beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import track

from rag.evaluate.rows import Item

COLLECTION = "evaluation"
"""Where a dataset goes in a data directory that is thrown away afterwards."""


def tracker(what: str) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Return what passes things on and shows on standard error how far it has come."""
    return lambda things: track(things, what, console=Console(stderr=True), transient=True)


def print_object(found: dict[str, Any]) -> None:
    """Print an object as one line of JSON."""
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")


def warn(found: dict[str, Any]) -> None:
    """Show an object's warnings on standard error."""
    for warning in found["warnings"]:
        Console(stderr=True, highlight=False).print(warning, soft_wrap=True, markup=False)
