"""The words of one OpenDocument paragraph, and what hangs on them."""

from __future__ import annotations

import re

from rag.load.blocks import superscript
from rag.load.odf_styles import TEXT, OdfStyles, whole
from rag.load.xml_tree import Element

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"

_WHITE = re.compile(r"[ \t\r\n]+")
_MOST_SPACES = 100
_LEFT_OUT = {
    f"{TEXT}{name}" for name in ("hidden-text", "number", "page-count", "page-number", "placeholder", "ruby-text")
}


class Words:
    """
    Collects a paragraph.

    Args:
        paragraph: the ``text:p`` or ``text:h`` element.
        styles: the document's styles.
        first_note: the number that the paragraph's first note gets.

    Attributes:
        text: the words.
        notes: its footnotes and endnotes.
        comments: its annotations.
        frames: what is anchored in it: text boxes, pictures, objects.
    """

    def __init__(self, paragraph: Element, styles: OdfStyles, first_note: int) -> None:
        self._styles = styles
        self._first_note = first_note
        self._parts: list[str] = []
        self.notes: list[Element] = []
        self.comments: list[Element] = []
        self.frames: list[Element] = []
        self._walk(paragraph)
        self.text = "".join(self._parts)

    def _walk(self, element: Element) -> None:
        self._add(element.text)
        for child in element.iterchildren("*"):
            self._inner(child)
            self._add(child.tail)

    def _inner(self, element: Element) -> None:
        tag = str(element.tag)
        if tag == f"{TEXT}s":
            self._parts.append(" " * whole(element.get(f"{TEXT}c"), _MOST_SPACES))
        elif tag == f"{TEXT}tab":
            self._parts.append("\t")
        elif tag == f"{TEXT}line-break":
            self._parts.append("\n")
        elif tag == f"{TEXT}note":
            self.notes.append(element)
            self._parts.append(f"[^{self._first_note + len(self.notes) - 1}]")
        elif tag == f"{OFFICE}annotation":
            self.comments.append(element)
        elif tag.startswith(DRAW):
            self.frames += list(element.iterchildren("*")) if tag == f"{DRAW}a" else [element]
        elif tag not in _LEFT_OUT:
            before = len(self._parts)
            self._walk(element)
            if self._styles.is_raised(element.get(f"{TEXT}style-name", "")):
                self._parts[before:] = [superscript("".join(self._parts[before:]))]

    def _add(self, text: str | None) -> None:
        """Add characters; white space in the file is one space, and none at a line's beginning or behind another."""
        if text:
            words = _WHITE.sub(" ", text)
            follows = self._parts[-1][-1:].isspace() if self._parts and self._parts[-1] else not self._parts
            self._parts.append(words.lstrip(" ") if follows else words)
