"""
Books (EPUB): the chapters in their order of reading, each through the reader for web pages.

A chapter that has no heading of its own gets the one that stands in the table of contents.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote, urldefrag

from models.base import InputError
from rag.load.archive import open_zip
from rag.load.blocks import Blocks
from rag.load.html import read_content
from rag.load.properties import read_properties
from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name, parse
from rag.types import MetadataValue

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_NCX = "application/x-dtbncx+xml"
_FIELDS = ("language", "publisher", "date")
_DECLARED = re.compile(rb"""\A<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""")


def read(data: bytes, name: str) -> Extracted:
    """
    Read a book.

    Raises:
        InputError: it is damaged, no book, or protected against copying.
    """
    book = _Book(data)
    blocks = Blocks()
    titles: dict[str, str] = {}
    warnings: dict[str, None] = {}
    try:
        titles = book.contents()
    except InputError as error:
        warnings[f"has a table of contents that cannot be read: it {error}"] = None
    for path in book.chapters():
        chapter, complaints = book.chapter(path)
        warnings |= dict.fromkeys(complaints)
        if chapter.text and not chapter.headings:
            blocks.heading(titles.get(path, ""), 1)
        blocks.embed(chapter, 0)
    title, metadata = book.properties()
    return Extracted(blocks.text, title, blocks.headings, metadata=metadata, warnings=tuple(warnings))


class _Book:
    """An opened book: an archive of files, and the package document that says what they are."""

    def __init__(self, data: bytes) -> None:
        self._archive = open_zip(data)
        self._names = set(self._archive.namelist())
        root = next((element for element in self._xml(_CONTAINER).iter("*") if local_name(element) == "rootfile"), None)
        if root is None:
            raise InputError(f"is no book: {_CONTAINER!r} in it names no package document.")
        self._package = root.get("full-path", "")
        self._elements = list(self._xml(self._package).iter("*"))
        self._files = {
            item.get("id", ""): (self._path(self._package, item.get("href", "")), item) for item in self._named("item")
        }

    def chapters(self) -> Iterator[str]:
        """
        Yield the names of the chapters' files.

        Raises:
            InputError: they are encrypted.
        """
        encrypted = self._encrypted()
        for reference in self._named("itemref"):
            path, _ = self._files.get(reference.get("idref", ""), ("", None))
            if path in encrypted:
                raise InputError("is protected against copying, so its text cannot be read.")
            if path:
                yield path

    def chapter(self, path: str) -> tuple[Extracted, tuple[str, ...]]:
        """Read a chapter, and return what is to be said against it."""
        if path not in self._names:
            return Extracted(""), (f"lacks a chapter, {path!r}.",)
        data = self._archive.read(path)
        declared = _DECLARED.match(data)
        markup, complaints = decode(data, declared[1].decode("ascii") if declared else "")
        chapter = read_content(markup)
        return chapter, complaints + chapter.warnings

    def contents(self) -> dict[str, str]:
        """Return the first title that the table of contents has for each file."""
        titles: dict[str, str] = {}
        for path, item in self._files.values():
            if path in self._names and (item.get("media-type") == _NCX or "nav" in item.get("properties", "").split()):
                for link, title in _links(self._xml(path)):
                    titles.setdefault(self._path(path, link), title)
        return titles

    def properties(self) -> tuple[str, dict[str, MetadataValue]]:
        """Return the book's title and metadata."""
        metadata = next(iter(self._named("metadata")), None)
        if metadata is None:
            return "", {}
        title, fields = read_properties(metadata)
        for element in metadata.iter("*"):
            if local_name(element) in _FIELDS and (words := one_line(element.text or "")):
                fields.setdefault(local_name(element), words)
        return title, fields

    def _named(self, name: str) -> Iterator[Element]:
        return (element for element in self._elements if local_name(element) == name)

    def _xml(self, path: str) -> Element:
        if path not in self._names:
            raise InputError(f"is damaged, or no book: it has no {path!r}.")
        return parse(self._archive.read(path), path)

    def _path(self, source: str, link: str) -> str:
        """Return the name of the file to which a link in a file leads."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(urldefrag(link).url)))

    def _encrypted(self) -> set[str]:
        """Return the names of the encrypted files; of many books only fonts are."""
        if _ENCRYPTION not in self._names:
            return set()
        references = (e for e in self._xml(_ENCRYPTION).iter("*") if local_name(e) == "CipherReference")
        return {unquote(element.get("URI", "")) for element in references}


def _links(contents: Element) -> Iterator[tuple[str, str]]:
    """Yield where the entries of a table of contents, of the newer or the older kind, lead, and their titles."""
    for element in contents.iter("*"):
        if local_name(element) == "a":
            yield element.get("href", ""), one_line("".join(element.itertext()))
        elif local_name(element) == "navPoint":
            label, target = "", ""
            for child in element.iterchildren("*"):
                if local_name(child) == "navLabel":
                    label = one_line("".join(child.itertext()))
                elif local_name(child) == "content":
                    target = child.get("src", "")
            yield target, label
