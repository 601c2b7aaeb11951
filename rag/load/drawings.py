"""DrawingML, which all Office documents share: text, charts with their numbers, diagrams, descriptions of pictures."""

from __future__ import annotations

from itertools import zip_longest

from rag.load.blocks import Blocks, superscript
from rag.load.equations import linear
from rag.load.opc import RELATIONSHIP, Package
from rag.load.properties import is_filled_in
from rag.load.text import one_line
from rag.load.xml_tree import Element, local_name

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_NEWER_CHART = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_EQUATION = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_MOST_POINTS = 10_000
"""Categories of a chart; the table has a column for each series in every row."""
_GENERATED = ("automatically generated", "AI-generated")


class Drawings:
    """
    Writes what drawings show beside the text of their shapes.

    Args:
        package: the document.
        source: the part in which the drawings are.
    """

    def __init__(self, package: Package, source: str) -> None:
        self._package = package
        self._source = source

    def write(self, drawing: Element, blocks: Blocks) -> None:
        """Write the charts and diagrams of a drawing, and how its author describes its pictures."""
        for description in _descriptions(drawing):
            blocks.paragraph(f"Picture: {description}")
        for kind in (_CHART, _NEWER_CHART):
            for reference in drawing.iter(f"{kind}chart"):
                if part := self._package.target(self._source, reference.get(f"{RELATIONSHIP}id")):
                    _write_chart(self._package.part(part), blocks)
        for reference in drawing.iter(f"{_DIAGRAM}relIds"):
            if part := self._package.target(self._source, reference.get(f"{RELATIONSHIP}dm")):
                for text in self._package.part(part).iter(f"{_DIAGRAM}t"):
                    blocks.item("\n".join(map(paragraph_text, text.iter(f"{A}p"))))


def paragraph_text(paragraph: Element) -> str:
    """Return the words of an ``a:p`` element."""
    parts: list[str] = []
    for element in paragraph.iter(f"{A}r", f"{A}br", f"{A}fld", _EQUATION):
        if element.tag == f"{A}br":
            parts.append("\n")
        elif element.tag == _EQUATION:
            parts.append(linear(element))
        else:
            text = element.findtext(f"{A}t") or ""
            properties = element.find(f"{A}rPr")
            raised = "" if properties is None else properties.get("baseline", "")
            parts.append(superscript(text) if raised.strip("%0") and not raised.startswith("-") else text)
    return "".join(parts)


def _write_chart(root: Element, blocks: Blocks) -> None:
    """Write a chart's title, the titles of its axes, and its numbers as a table with one row a category."""
    titles = ["".join(title.itertext(f"{A}t")) for title in root.iter(f"{_CHART}title", f"{_NEWER_CHART}title")]
    if words := [one_line(title) for title in titles if title.strip()]:
        blocks.paragraph(f"Chart: {'; '.join(words)}")
    series = list(root.iter(f"{_CHART}ser"))
    if series:
        categories = next((found for one in series if (found := _points(one, "cat", "xVal"))), {})
        columns = [categories, *(_points(one, "val", "yVal") for one in series)]
        names = ["", *("".join(_points(one, "tx").values()) for one in series)]
        places = sorted(set().union(*columns))[:_MOST_POINTS]
        blocks.table([names, *([column.get(place, "") for column in columns] for place in places)])
    else:
        names = ["", *(name.text or "" for name in root.iterfind(f".//{_NEWER_CHART}txData/{_NEWER_CHART}v"))]
        lists = [[point.text or "" for point in level.iterchildren("*")] for level in root.iter(f"{_NEWER_CHART}lvl")]
        blocks.table([names, *zip_longest(*lists, fillvalue="")])


def _points(series: Element, *names: str) -> dict[int, str]:
    """Return the cached points of a series; those of several levels are joined."""
    points: dict[int, str] = {}
    for name in names:
        for point in series.iterfind(f"{_CHART}{name}//{_CHART}pt"):
            place = int(point.get("idx", "0"))
            text = _number(point.findtext(f"{_CHART}v") or "")
            points[place] = f"{text} {points[place]}" if place in points else text
        for literal in series.iterfind(f"{_CHART}{name}/{_CHART}v"):
            points[0] = literal.text or ""
    return points


def _number(text: str) -> str:
    """Write a number with the digits that people see of it, 4.4 instead of 4.4000000000000004; other text stays."""
    try:
        return f"{float(text):.15g}" if "." in text else text
    except ValueError:
        return text


def _descriptions(drawing: Element) -> list[str]:
    """Return the alternative texts that people wrote."""
    found = [element.get("descr", "") for element in drawing.iter("*") if local_name(element) in ("docPr", "cNvPr")]
    texts = dict.fromkeys(one_line(text) for text in found if not any(map(text.__contains__, _GENERATED)))
    return [text for text in texts if not is_filled_in(text)]
