"""OpenDocument's styles, as far as they say something: titles, raised characters, and how lists are numbered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag.load.numerals import letters, roman
from rag.load.xml_tree import Element

STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"

_NUMBERS = {f"{TEXT}list-level-style-number", f"{TEXT}outline-level-style"}
_TITLE = "Title"
_RAISED = re.compile(r"super|[1-9]")
"""How a position above the line begins: in words, or as a percentage of the height."""


@dataclass(frozen=True, slots=True)
class Level:
    """
    How one level of a list is numbered.

    Attributes:
        kind: ``1``, ``a``, ``A``, ``i`` or ``I``; empty for bullets and for no numbers.
        before: what stands in front of the number.
        after: what stands behind it.
        shown: of how many levels the number is put together.
        start: the first number.
    """

    kind: str = ""
    before: str = ""
    after: str = ""
    shown: int = 1
    start: int = 1


Levels = Mapping[int, Level]


class OdfStyles:
    """
    The styles of a document.

    Args:
        roots: the parts that define styles.
    """

    def __init__(self, *roots: Element) -> None:
        self._parents: dict[str, str] = {}
        self._raised: set[str] = set()
        self._lists: dict[str, Levels] = {}
        self.outline: Levels = {}
        for root in roots:
            for style in root.iter(f"{STYLE}style"):
                self._add(style)
            for style in root.iter(f"{TEXT}list-style"):
                self._lists[style.get(f"{STYLE}name", "")] = _levels(style)
            for style in root.iter(f"{TEXT}outline-style"):
                self.outline = _levels(style)

    def is_title(self, name: str) -> bool:
        """Tell whether a paragraph's style is, or is based on, the one for the document's title."""
        seen: set[str] = set()
        while name and name not in seen:
            if name == _TITLE:
                return True
            seen.add(name)
            name = self._parents.get(name, "")
        return False

    def is_raised(self, name: str) -> bool:
        """Tell whether a style raises its characters."""
        return name in self._raised

    def levels(self, name: str) -> Levels:
        """Return the levels of a list style, which count from 1; none for bullets."""
        return self._lists.get(name, {})

    def _add(self, style: Element) -> None:
        name = style.get(f"{STYLE}name", "")
        self._parents[name] = style.get(f"{STYLE}parent-style-name", "")
        properties = style.find(f"{STYLE}text-properties")
        position = "" if properties is None else properties.get(f"{STYLE}text-position", "")
        if _RAISED.match(position):
            self._raised.add(name)


def number_label(levels: Levels, counts: list[int]) -> str:
    """Write the number of an item or heading from the counts of its level and those above; empty where it has none."""
    level = levels.get(len(counts), Level())
    if not level.kind:
        return ""
    first = max(0, len(counts) - level.shown)
    numbers = [_numeral(levels.get(place + 1, level).kind, count) for place, count in enumerate(counts)][first:]
    return f"{level.before}{'.'.join(filter(None, numbers))}{level.after}".strip()


def _levels(style: Element) -> Levels:
    levels: dict[int, Level] = {}
    for element in style.iterchildren("*"):
        if element.tag in _NUMBERS:
            levels[whole(element.get(f"{TEXT}level"))] = Level(
                element.get(f"{STYLE}num-format", ""),
                element.get(f"{STYLE}num-prefix", ""),
                element.get(f"{STYLE}num-suffix", ""),
                whole(element.get(f"{TEXT}display-levels")),
                whole(element.get(f"{TEXT}start-value")),
            )
    return levels


def whole(text: str | None, most: int = 1_000_000) -> int:
    """Return an attribute's number, at most ``most``; 1 where there is none, as the format has it for all of these."""
    return min(int(text), most) if text and text.isdecimal() and len(text) < 10 else 1


def _numeral(kind: str, count: int) -> str:
    text = roman(count) if kind in ("i", "I") else letters(count) if kind in ("a", "A") else str(count) if kind else ""
    return text.upper() if kind.isupper() else text
