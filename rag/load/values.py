"""
The values of loading; all frozen.

``SourceFile -> (child process: bytes -> Extracted) -> Outcome``. Errors about a file are sentences without a subject
("is empty."), so that whoever reports them can put the file's name in front in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from models.base import InputError
from rag.types import Document, Heading, MetadataValue

EMPTY = "is empty."
NO_TEXT = "holds no text."
"""The two reasons that are no failure to read: there is nothing in the file, so nothing of it may be found any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What reading one file may cost; beyond it the file is refused and the next one is read.

    Attributes:
        seconds: wall time. Where there are no alarm signals (Windows), the file is given up after twice this time.
        memory_bytes: address space of the child process; Linux enforces it, macOS and Windows do not.
        input_bytes: size of the file.
        characters: length of the text that comes out.
    """

    seconds: float = 30.0
    memory_bytes: int = 1 << 30
    input_bytes: int = 100_000_000
    characters: int = 20_000_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    A file to read.

    Attributes:
        path: where it is.
        source: what identifies it in its collection, see :class:`rag.types.Document`.
    """

    path: Path
    source: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """
    What a reader gets out of a file's bytes; the fields are those of :class:`rag.types.Document`.

    Attributes:
        title: empty where the file names none.
        warnings: what the text lacks, or what had to be guessed; sentences without a subject.
    """

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, MetadataValue] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document, and the reservations with which it was read."""

    document: Document
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a source: a document, or the error that says why there is none.

    Attributes:
        unseen: the folder (or file) that could not be looked at, so that nobody knows what is below it.
    """

    source: str
    result: Parsed | InputError
    unseen: Path | None = None
