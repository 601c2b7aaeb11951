"""
Which reader reads which file.

To add a format, add a module with ``read(data, name) -> Extracted``, pure and without file access, and its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath

from models.base import InputError
from rag.load import code, html, markdown, pdf, rst, text
from rag.load.values import EMPTY, NO_TEXT, Extracted

Reader = Callable[[bytes, str], Extracted]

FORMATS: Mapping[str, tuple[str, Reader]] = {
    ".htm": ("text/html", html.read),
    ".html": ("text/html", html.read),
    ".xhtml": ("application/xhtml+xml", html.read),
    ".markdown": ("text/markdown", markdown.read),
    ".md": ("text/markdown", markdown.read),
    ".pdf": ("application/pdf", pdf.read),
    ".rest": ("text/x-rst", rst.read),
    ".rst": ("text/x-rst", rst.read),
    ".log": ("text/plain", text.read),
    ".text": ("text/plain", text.read),
    ".txt": ("text/plain", text.read),
    ".c": ("text/x-c", code.read),
    ".cc": ("text/x-c++", code.read),
    ".cpp": ("text/x-c++", code.read),
    ".cs": ("text/x-csharp", code.read),
    ".go": ("text/x-go", code.read),
    ".h": ("text/x-c", code.read),
    ".hpp": ("text/x-c++", code.read),
    ".java": ("text/x-java", code.read),
    ".js": ("text/javascript", code.read),
    ".jsx": ("text/javascript", code.read),
    ".kt": ("text/x-kotlin", code.read),
    ".lua": ("text/x-lua", code.read),
    ".php": ("text/x-php", code.read),
    ".pl": ("text/x-perl", code.read),
    ".py": ("text/x-python", code.read),
    ".rb": ("text/x-ruby", code.read),
    ".rs": ("text/x-rust", code.read),
    ".scala": ("text/x-scala", code.read),
    ".sh": ("text/x-shellscript", code.read),
    ".sql": ("text/x-sql", code.read),
    ".swift": ("text/x-swift", code.read),
    ".ts": ("text/x-typescript", code.read),
    ".tsx": ("text/x-typescript", code.read),
}
"""File name suffix, in small letters -> media type and reader."""


def read(data: bytes, name: str) -> tuple[str, Extracted]:
    """
    Read a file's bytes with the reader that its name asks for; files of unknown suffix are read if they are text.

    Args:
        data: the whole file.
        name: its name; decides the reader, and is its title where the file has none.

    Returns:
        The media type and what was read; the text holds at least one character that is not white space.

    Raises:
        InputError: the file is empty, binary, damaged, encrypted or without text.
    """
    if not data:
        raise InputError(EMPTY)
    suffix = PurePath(name).suffix.lower()
    if suffix not in FORMATS and text.is_binary(data):
        raise InputError(_unsupported(suffix))
    media_type, reader = FORMATS.get(suffix, ("text/plain", text.read))
    extracted = reader(data, name)
    if not extracted.text.strip():
        raise InputError(NO_TEXT)
    return media_type, replace(extracted, title=extracted.title or name)


def _unsupported(suffix: str) -> str:
    """Say why a file is refused, and what would be read."""
    found = f"is not a supported format: {suffix}" if suffix else "is binary, not text, and its name has no suffix"
    return f"{found}; supported are text files and {', '.join(sorted(FORMATS))}."
