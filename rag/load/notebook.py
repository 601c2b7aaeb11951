"""
Jupyter notebooks: prose as it is written, code in fences, and behind it what it printed, as far as that is text.

Of the forms in which a result is stored the plain one is taken; pictures and interactive parts are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from models.base import InputError
from rag.load.markdown import find_headings
from rag.load.text import clean, decode, one_line
from rag.load.values import Extracted
from rag.types import MetadataValue

_LONGEST_OUTPUT = 4000
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""What colours a terminal's text."""


def read(data: bytes, name: str) -> Extracted:
    """
    Read a notebook.

    Raises:
        InputError: it is no notebook.
    """
    text, warnings = decode(data)
    try:
        notebook = json.loads(text)
        language, title = _metadata(notebook)
        sheets = notebook.get("worksheets") or [notebook]  # before version 4 of the format
        parts = [part for sheet in sheets for cell in sheet["cells"] for part in _parts(cell, language)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"is damaged, or no notebook ({type(error).__name__}: {error}).") from error
    text = "\n\n".join(part.strip("\n") for part in parts if part.strip())
    headings = find_headings(text)
    title = title or next((heading.title for heading in headings if heading.level == 1), "")
    metadata: dict[str, MetadataValue] = {"language": language} if language else {}
    return Extracted(text, one_line(title), headings, metadata=metadata, warnings=warnings)


def _metadata(notebook: dict[str, Any]) -> tuple[str, str]:
    """Return the programming language and the title, as far as they are given."""
    metadata = notebook.get("metadata", {})
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language") or ""
    return one_line(str(language)), one_line(str(metadata.get("title") or ""))


def _parts(cell: dict[str, Any], language: str) -> Iterator[str]:
    """Yield what a cell holds."""
    source = clean(_joined(cell.get("source", cell.get("input", ""))))
    if cell["cell_type"] == "heading":
        yield f"{'#' * int(cell.get('level', 1))} {source}"
    elif cell["cell_type"] != "code":
        yield source
    elif source.strip():
        yield _fenced(source, language)
    for output in cell.get("outputs", ()):
        shown = clean(_ESCAPE.sub("", _shown(output))).strip("\n").rstrip()
        if len(shown) > _LONGEST_OUTPUT:
            shown = f"{shown[:_LONGEST_OUTPUT].rstrip()}\n…"
        if shown:
            yield _fenced(shown, "")


def _shown(output: dict[str, Any]) -> str:
    """Return the text of a result, of what was printed, or of an error without its way there."""
    if output["output_type"] in ("error", "pyerr"):
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    bundle = output.get("data", output)
    return _joined(bundle.get("text/plain", bundle.get("text", "")))


def _joined(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _fenced(text: str, language: str) -> str:
    """Put text between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", text, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
