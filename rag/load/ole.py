"""Compound files (MS-CFB): the container of the older Office formats and of Outlook's messages."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO

from olefile import OleFileIO

from models.base import InputError
from rag.load.properties import is_filled_in
from rag.load.text import decode, one_line
from rag.types import MetadataValue

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SUMMARY = ("\x05SummaryInformation",)
_AT_SECTION = 44
_CODEPAGE, _CREATED = 1, 12
_FIELDS = {2: "title", 3: "subject", 4: "author", 5: "keywords"}
_SHORT, _STRING, _TIME = 2, 30, 64
"""Types of properties."""
_UTF_8 = 65001
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LATEST = 1 << 61
"""In the year 8907; larger times are noise."""

_DAMAGE = (OSError, ValueError, IndexError, OverflowError, struct.error)
"""What olefile raises over damaged files."""

Path = tuple[str, ...]
"""The names that lead to a stream or a storage, the outermost first."""


class CompoundFile:
    """
    An opened file.

    Args:
        data: the whole file.

    Raises:
        InputError: it is damaged, or no such file.
    """

    def __init__(self, data: bytes) -> None:
        if not data.startswith(_MAGIC):
            raise InputError("is damaged, or of another kind than its name says.")
        try:
            self._file = OleFileIO(BytesIO(data))
        except _DAMAGE as error:
            raise InputError(f"is damaged ({error}).") from error
        if any(entry.size > len(data) for entry in self._file.direntries if entry):
            raise InputError(
                "is damaged: a stream in it claims to be larger than the file."
            )  # sectors may go in circles
        self._paths = {tuple(path) for path in self._file.listdir(streams=True, storages=True)}

    def __contains__(self, path: Path) -> bool:
        return path in self._paths

    def stream(self, path: Path) -> bytes:
        """
        Return a stream's bytes.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            content: bytes = self._file.openstream(list(path)).read()
        except _DAMAGE as error:
            raise InputError(f"is damaged: it has no whole stream {'/'.join(path)!r} ({error}).") from error
        return content

    def children(self, path: Path) -> list[Path]:
        """Return the paths of what lies directly in a storage, by name."""
        return sorted(child for child in self._paths if child[:-1] == path)

    def properties(self) -> tuple[str, dict[str, MetadataValue]]:
        """Return the title; and author, subject, keywords and created as far as they are whole and people's words."""
        found = _property_set(self.stream(_SUMMARY)) if _SUMMARY in self else {}
        codec = codec_of(found.get(_CODEPAGE, 0))
        fields: dict[str, MetadataValue] = {}
        for number, name in _FIELDS.items():
            if not is_filled_in(words := _words(found.get(number, b""), codec)):
                fields[name] = words
        if isinstance(ticks := found.get(_CREATED), int) and (created := time_of(ticks)):
            fields["created"] = created.date().isoformat()
        return str(fields.pop("title", "")), fields


def codec_of(codepage: object) -> str:
    """Name the encoding of a Windows code page."""
    return "utf-8" if codepage == _UTF_8 else f"cp{codepage or 1252!r}"


def _words(value: object, codec: str) -> str:
    if isinstance(value, bytes) and value:
        with suppress(InputError):  # noise
            return one_line(decode(value, codec)[0])
    return ""


def _property_set(data: bytes) -> dict[int, bytes | int]:
    """Return the numbers and values of the strings, short numbers and times in a stream of properties (MS-OLEPS)."""
    values: dict[int, bytes | int] = {}
    with suppress(InputError):  # the text does not depend on them
        (start,) = unpack("I", data, _AT_SECTION)
        (count,) = unpack("I", data, start + 4)
        for index in range(count):
            number, offset = unpack("II", data, start + 8 + 8 * index)
            kind, length = unpack("II", data, start + offset)
            if kind == _STRING:
                values[number] = data[start + offset + 8 : start + offset + 8 + length].rstrip(b"\0")
            elif kind == _SHORT:
                values[number] = length & 0xFFFF
            elif kind == _TIME:
                (values[number],) = unpack("Q", data, start + offset + 4)
    return values


def time_of(ticks: int) -> datetime | None:
    """Return a time that is stored as tenths of microseconds since 1601; None for 0, and for what can be none."""
    return _EPOCH + timedelta(microseconds=ticks // 10) if 0 < ticks < _LATEST else None


def unpack(layout: str, data: bytes, offset: int) -> Sequence[int]:
    """
    Read little-endian numbers, written as :mod:`struct` writes them.

    Raises:
        InputError: the data ends before them.
    """
    try:
        return struct.unpack_from(f"<{layout}", data, offset)
    except struct.error as error:
        raise InputError(f"is damaged: it ends where something is expected ({error}).") from error
