"""Word's styles and numbering: which paragraphs are headings, and the numbers that Word computes and nowhere writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.load.numerals import letters, roman
from rag.load.xml_tree import Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%([1-9])")
_BODY_TEXT = 9
_LEVELS = 9
_DIGITS = 9
_BULLET = "-"


def value(parent: Element | None, name: str) -> str:
    """Return the value of a child element; empty where there is none."""
    found = None if parent is None else parent.find(f"{W}{name}")
    return "" if found is None else found.get(f"{W}val", "")


def _by_attribute(root: Element | None, name: str, attribute: str) -> dict[str, Element]:
    elements = () if root is None else root.iterchildren(f"{W}{name}")
    return {identifier: element for element in elements if (identifier := element.get(f"{W}{attribute}"))}


def number(text: str, default: int = 0) -> int:
    """Read a number of at most nine digits; ``default`` where the text is none."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else default


class Styles:
    """The styles of a document; ``root`` is their part, None where there is none."""

    def __init__(self, root: Element | None) -> None:
        self._styles = _by_attribute(root, "style", "styleId")
        self._chains: dict[str, list[Element]] = {}

    def name(self, paragraph: Element) -> str:
        """Return the name of a paragraph's style in small letters."""
        return next((value(style, "name").lower() for style in self._chain(paragraph)), "")

    def heading_level(self, paragraph: Element) -> int:
        """Return a heading's level, counted from 1, and 0 for other paragraphs; the document's title is at level 1."""
        if own := value(paragraph.find(f"{W}pPr"), "outlineLvl"):
            return _outline_level(own)
        for style in self._chain(paragraph):
            name = value(style, "name")
            if heading := _HEADING.fullmatch(name):
                return int(heading[1])
            if name.lower() == "title":
                return 1
            if level := value(style.find(f"{W}pPr"), "outlineLvl"):
                return _outline_level(level)
        return 0

    def numbering(self, paragraph: Element) -> tuple[str, str, str]:
        """Return a paragraph's numbering, its level in it, and the style that it comes from; empty what is not said."""
        own = paragraph.find(f"{W}pPr/{W}numPr")
        if identifier := value(own, "numId"):
            return identifier, value(own, "ilvl"), ""
        for style in self._chain(paragraph):
            properties = style.find(f"{W}pPr/{W}numPr")
            if identifier := value(properties, "numId"):
                level = value(own, "ilvl") or value(properties, "ilvl")
                return identifier, level, style.get(f"{W}styleId", "")
        return "", "", ""

    def linked_numbering(self, style: str) -> str:
        """Return the numbering that a numbering style stands for."""
        found = self._styles.get(style)
        return "" if found is None else value(found.find(f"{W}pPr/{W}numPr"), "numId")

    def _chain(self, paragraph: Element) -> list[Element]:
        """Return a paragraph's style and those that it is based on."""
        identifier = value(paragraph.find(f"{W}pPr"), "pStyle")
        if identifier not in self._chains:
            chain: dict[str, Element] = {}
            base = identifier
            while base in self._styles and base not in chain:
                chain[base] = self._styles[base]
                base = value(chain[base], "basedOn")
            self._chains[identifier] = list(chain.values())
        return self._chains[identifier]


def _outline_level(text: str) -> int:
    level = number(text, _BODY_TEXT)
    return level + 1 if level < _BODY_TEXT else 0


@dataclass(frozen=True, slots=True)
class _Level:
    """How one level of a numbering counts."""

    start: int
    kind: str
    text: str
    style: str
    legal: bool


class Numbering:
    """
    Counts the numbered paragraphs of a document.

    Args:
        root: the numbering part, None where there is none.
        styles: the document's styles, which may number paragraphs too.
    """

    def __init__(self, root: Element | None, styles: Styles) -> None:
        self._styles = styles
        abstract = _by_attribute(root, "abstractNum", "abstractNumId")
        self._lists = _by_attribute(root, "num", "numId")
        self._abstract = {identifier: self._resolve(element, abstract) for identifier, element in abstract.items()}
        self._levels: dict[str, dict[int, _Level]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._begun: set[tuple[str, int]] = set()

    def label(self, paragraph: Element) -> tuple[str, int] | None:
        """Count a paragraph: return its number as it is shown, or ``-``, and its depth; None where it has none."""
        identifier, depth, style = self._styles.numbering(paragraph)
        levels = self._levels_of(identifier)
        by_style = next((index for index, level in levels.items() if style and level.style == style), 0)
        index = number(depth, by_style)
        if index not in levels:
            return None
        counts = self._count(identifier, index, levels)
        level = levels[index]
        if level.kind == "bullet":
            return _BULLET, index
        shown = _PLACEHOLDER.sub(lambda match: _shown(int(match[1]) - 1, counts, levels, level.legal), level.text)
        return (shown.strip(), index) if shown.strip() else None

    def _resolve(self, element: Element, abstract: dict[str, Element]) -> Element:
        """Follow a numbering that refers to a style to the one that the style has."""
        linked = self._lists.get(self._styles.linked_numbering(value(element, "numStyleLink")))
        return element if linked is None else abstract.get(value(linked, "abstractNumId"), element)

    def _levels_of(self, identifier: str) -> dict[int, _Level]:
        if identifier not in self._levels:
            element = self._lists.get(identifier)
            abstract = self._abstract.get(value(element, "abstractNumId"))
            definitions = [] if abstract is None else list(abstract.iterchildren(f"{W}lvl"))
            overrides = [] if element is None else list(element.iterfind(f"{W}lvlOverride/{W}lvl"))
            indexes = ((number(level.get(f"{W}ilvl", "")), level) for level in [*definitions, *overrides])
            self._levels[identifier] = {index: _read_level(level) for index, level in indexes if index < _LEVELS}
        return self._levels[identifier]

    def _count(self, identifier: str, index: int, levels: dict[int, _Level]) -> dict[int, int]:
        """Count one more paragraph at a level; deeper levels begin anew, and those skipped above count as begun."""
        element = self._lists[identifier]
        counts = self._counts.setdefault(value(element, "abstractNumId"), {})
        if (identifier, index) not in self._begun:
            self._begun.add((identifier, index))
            for override in element.iterfind(f"{W}lvlOverride[@{W}ilvl='{index}']"):
                if start := value(override, "startOverride"):
                    counts[index] = number(start, 1) - 1
        counts[index] = counts.get(index, levels[index].start - 1) + 1
        for skipped in range(index):
            counts.setdefault(skipped, levels[skipped].start if skipped in levels else 1)
        for deeper in [other for other in counts if other > index]:
            del counts[deeper]
        return counts


def _read_level(element: Element) -> _Level:
    return _Level(
        number(value(element, "start"), 1),
        value(element, "numFmt") or "decimal",
        value(element, "lvlText"),
        value(element, "pStyle"),
        element.find(f"{W}isLgl") is not None,
    )


def _shown(index: int, counts: dict[int, int], levels: dict[int, _Level], legal: bool) -> str:
    """Write the number that a level has reached."""
    count = counts.get(index, 1)
    kind = levels[index].kind if index in levels and not legal else "decimal"
    styles = {
        "decimalZero": f"{count:02d}",
        "lowerLetter": letters(count),
        "upperLetter": letters(count).upper(),
        "lowerRoman": roman(count),
        "upperRoman": roman(count).upper(),
        "none": "",
    }
    return styles.get(kind, str(count))
