"""
Office Open XML packages (ECMA-376 part 2): an archive of parts, and typed relationships that lead from one to another.

What is missing, as pictures often are, only matters to who asks for it. The strict variant of the format has
namespaces of its own, which are read as the usual ones.
"""

from __future__ import annotations

import posixpath
import re

from models.base import InputError
from rag.load.archive import open_zip
from rag.load.properties import read_properties
from rag.load.xml_tree import Element, parse
from rag.types import MetadataValue

RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
"""The namespace of attributes that name a relationship."""

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The beginning of Office files of the older formats, and of newer ones that are encrypted."""

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|table|meta|\?xml)", re.IGNORECASE)
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/"


class Package:
    """
    An opened document.

    Args:
        data: the whole file.

    Raises:
        InputError: it is encrypted, damaged, no such package, or larger than an archive may be.
    """

    def __init__(self, data: bytes) -> None:
        _check(data)
        self._archive = open_zip(data)
        self._names = {name.lower(): name for name in self._archive.namelist()}
        self._relationships_of: dict[str, list[Element]] = {}
        main = self.related("", "officeDocument")
        if not main:
            raise InputError("is a ZIP archive, but no Office document: it has no main part.")
        self.main = main[0]

    def part(self, name: str) -> Element:
        """Parse a part that :meth:`related` or :meth:`target` has named."""
        return parse(self.data(name), name)

    def data(self, name: str) -> bytes:
        """Return a part's markup."""
        return _STRICT.sub(_USUAL, self._archive.read(self._names[name.lower()]))

    def related(self, source: str, kind: str) -> list[str]:
        """Return the parts to which a part (the package, if empty) has relationships of a kind, in their order."""
        return [
            target
            for element in self._relationships(source)
            if element.get("Type", "").rpartition("/")[2] == kind and (target := self._target(source, element))
        ]

    def target(self, source: str, identifier: str | None) -> str:
        """Return the part to which a part's relationship leads; empty where there is none."""
        for element in self._relationships(source):
            if element.get("Id") == identifier:
                return self._target(source, element)
        return ""

    def properties(self) -> tuple[str, dict[str, MetadataValue]]:
        """Return the document's title and metadata, see :func:`rag.load.properties.read_properties`."""
        parts = self.related("", "core-properties")
        return read_properties(self.part(parts[0])) if parts else ("", {})

    def _relationships(self, source: str) -> list[Element]:
        if source not in self._relationships_of:
            folder, name = posixpath.split(source)
            path = posixpath.join(folder, "_rels", f"{name}.rels")
            known = path.lower() in self._names
            self._relationships_of[source] = list(self.part(path).iterchildren("*")) if known else []
        return self._relationships_of[source]

    def _target(self, source: str, relationship: Element) -> str:
        """Return the name of an inner part that exists; empty for links to outside and for what is missing."""
        path = posixpath.join("/", posixpath.dirname(source), relationship.get("Target", ""))
        name = posixpath.normpath(path).lstrip("/").lower()
        return self._names.get(name, "") if relationship.get("TargetMode") != "External" else ""


def check_encryption(data: bytes) -> None:
    """
    Refuse an encrypted package, which is wrapped as an older file.

    Raises:
        InputError: it is one.
    """
    if data.startswith(OLE) and _ENCRYPTED in data:
        raise InputError("is encrypted; save it without a password.")


def _check(data: bytes) -> None:
    """Refuse what is known under the names of these formats and is something else."""
    check_encryption(data)
    if data.startswith(OLE):
        raise InputError("is in the older format of Word, PowerPoint or Excel; name it .doc, .ppt or .xls.")
    if _MARKUP.match(data):
        raise InputError("is a web page or other XML under the name of an Office document; name it .html or .xml.")
