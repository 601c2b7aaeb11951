"""OpenDocument packages (ISO/IEC 26300 part 3): an archive with a few parts of fixed names."""

from __future__ import annotations

from models.base import InputError
from rag.load.archive import open_zip
from rag.load.properties import read_properties
from rag.load.xml_tree import Element, parse
from rag.types import MetadataValue

CONTENT = "content.xml"

_MANIFEST = "META-INF/manifest.xml"
_ENCRYPTED = b"encryption-data"


class OdfPackage:
    """
    An opened document.

    Args:
        data: the whole file.

    Raises:
        InputError: it is encrypted, damaged, no such package, or larger than an archive may be.
    """

    def __init__(self, data: bytes) -> None:
        self._archive = open_zip(data)
        self._names = set(self._archive.namelist())
        if _MANIFEST in self._names and _ENCRYPTED in self._archive.read(_MANIFEST):
            raise InputError("is encrypted; save it without a password.")
        if CONTENT not in self._names:
            raise InputError(f"is a ZIP archive, but no OpenDocument file: it has no {CONTENT}.")

    def part(self, name: str) -> Element | None:
        """Parse a part; None where there is none of this name."""
        return parse(self._archive.read(name), name) if name in self._names else None

    def properties(self) -> tuple[str, dict[str, MetadataValue]]:
        """Return the document's title and metadata, see :func:`rag.load.properties.read_properties`."""
        meta = self.part("meta.xml")
        return ("", {}) if meta is None else read_properties(meta)
