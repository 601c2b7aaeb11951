"""Source code: the text stays as it is written; its definitions are its headings."""

from __future__ import annotations

from pathlib import PurePath

from rag.load.definitions import find_definitions
from rag.load.grammars import GRAMMARS
from rag.load.margin import marked_definitions
from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import Heading


def read(data: bytes, name: str) -> Extracted:
    """Read a file of source code."""
    text, warnings = decode(data)
    suffix = PurePath(name).suffix.lower()
    marked = list(marked_definitions(text, suffix))
    try:
        if suffix in GRAMMARS:
            return Extracted(text, headings=find_definitions(text, GRAMMARS[suffix], marked), warnings=warnings)
    except TimeoutError:
        warnings += ("takes too long to parse; only definitions at the left margin were found.",)
    return Extracted(text, headings=tuple(Heading(at, 1, one_line(title)) for at, title in marked), warnings=warnings)
