"""
Presentations: slide by slide, each a page with its title as heading, then its speaker notes and comments.

Shapes come in the order of the file, which is the one that screen readers follow. Numbers and dates at the margin are
left out, and a footer is written where it first appears.
"""

from __future__ import annotations

from collections.abc import Iterator

from models.base import InputError
from rag.load.blocks import Blocks
from rag.load.drawings import A, Drawings, paragraph_text
from rag.load.numerals import letters, roman
from rag.load.opc import RELATIONSHIP, Package
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TITLES = {"title", "ctrTitle"}
_MARGIN = {"sldNum", "dt"}
_BULLETED = {"body", "obj"}
_DEEPEST = 8
_FALSE = {"0", "false"}


def read(data: bytes, name: str) -> Extracted:
    """
    Read a presentation.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """
    package = Package(data)
    root = package.part(package.main)
    if root.tag != f"{_P}presentation":
        raise InputError(f"is no presentation: its main part is a {local_name(root)!r}.")
    references = [element.get(f"{RELATIONSHIP}id") for element in root.iterfind(f"{_P}sldIdLst/{_P}sldId")]
    slides = [part for reference in references if (part := package.target(package.main, reference))]
    writer = _Writer(package)
    hidden = [number for number, part in enumerate(slides, 1) if writer.write(part, number)]
    warnings = (f"has hidden slides, which were read too: {', '.join(map(str, hidden))}.",) if hidden else ()
    title, metadata = package.properties()
    return writer.blocks.extracted(title, metadata, warnings)


class _Writer:
    """Writes slides."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._authors = _authors(package)
        self._footers: set[str] = set()
        self.blocks = Blocks()

    def write(self, part: str, number: int) -> bool:
        """Write a slide; True if it is hidden."""
        root = self._package.part(part)
        shapes = list(_shapes(root.find(f"{_P}cSld/{_P}spTree")))
        self.blocks.page()
        self.blocks.section(f"Slide {number}", 1)
        for shape in shapes:
            if _kind(shape) in _TITLES:
                self.blocks.heading(_plain(shape), 1)
        drawings = Drawings(self._package, part)
        for shape in shapes:
            if _kind(shape) not in _TITLES | _MARGIN:
                self._shape(shape, drawings)
        self._notes(part)
        self._comments(part)
        return root.get("show") in _FALSE

    def _shape(self, shape: Element, drawings: Drawings) -> None:
        kind = _kind(shape)
        if kind == "ftr":
            text = _plain(shape)
            if text not in self._footers:
                self._footers.add(text)
                self.blocks.paragraph(text)
            return
        for table in shape.iter(f"{A}tbl"):
            self.blocks.table(_rows(table))
        for body in shape.iterchildren(f"{_P}txBody"):
            _write_paragraphs(body, self.blocks, bulleted=kind in _BULLETED)
        drawings.write(shape, self.blocks)

    def _notes(self, slide: str) -> None:
        for part in self._package.related(slide, "notesSlide"):
            for shape in _shapes(self._package.part(part).find(f"{_P}cSld/{_P}spTree")):
                if _kind(shape) == "body" and (text := _plain(shape).strip()):
                    self.blocks.paragraph(f"Notes: {text}")

    def _comments(self, slide: str) -> None:
        """Write the comments, older and newer ones, and the replies to them."""
        for part in self._package.related(slide, "comments"):
            for comment in self._package.part(part).iter("*"):
                if local_name(comment) in ("cm", "reply"):
                    author = self._authors.get(comment.get("authorId", ""), "")
                    texts = [child for child in comment if local_name(child) in ("text", "txBody")]
                    words = "\n".join(text.text or _paragraphs_text(text) for text in texts)
                    self.blocks.paragraph(f"Comment{f' ({author})' * bool(author)}: {words}" if words else "")


def _authors(package: Package) -> dict[str, str]:
    """Return the names of those who comment."""
    parts = [part for kind in ("commentAuthors", "authors") for part in package.related(package.main, kind)]
    return {author.get("id", ""): author.get("name", "") for part in parts for author in package.part(part)}


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Yield the shapes of a slide, those in groups too, and of alternatives the first."""
    for element in () if tree is None else tree.iterchildren("*"):
        if element.tag == f"{_P}grpSp":
            yield from _shapes(element)
        elif element.tag == f"{_COMPATIBILITY}AlternateContent":
            yield from _shapes(next(element.iterchildren("*"), None))
        else:
            yield element


def _kind(shape: Element) -> str:
    """Return what a shape holds the place of; ``obj`` is what a layout's main placeholder is, empty is none."""
    placeholder = shape.find(f"*/{_P}nvPr/{_P}ph")
    return "" if placeholder is None else placeholder.get("type", "obj")


def _plain(shape: Element) -> str:
    return "\n".join(_paragraphs_text(body) for body in shape.iterchildren(f"{_P}txBody"))


def _paragraphs_text(body: Element) -> str:
    return "\n".join(map(paragraph_text, body.iter(f"{A}p")))


def _write_paragraphs(body: Element, blocks: Blocks, *, bulleted: bool) -> None:
    """Write the paragraphs of a shape, as items where they have bullets or numbers."""
    counts: dict[int, int] = {}
    for paragraph in body.iterchildren(f"{A}p"):
        text = paragraph_text(paragraph)
        properties = paragraph.find(f"{A}pPr")
        depth = 0 if properties is None else min(int(properties.get("lvl", "0")), _DEEPEST)
        numbering = None if properties is None else properties.find(f"{A}buAutoNum")
        counts = {level: count for level, count in counts.items() if level < depth + (numbering is not None)}
        if not text.strip():
            continue
        if numbering is not None:
            counts[depth] = counts.get(depth, int(numbering.get("startAt", "1")) - 1) + 1
            blocks.item(text, depth, _number(counts[depth], numbering.get("type", "")))
        elif _has_bullet(properties, default=bulleted or depth > 0):
            blocks.item(text, depth)
        else:
            blocks.paragraph(text)


def _has_bullet(properties: Element | None, *, default: bool) -> bool:
    kinds = set() if properties is None else {local_name(child) for child in properties}
    return "buNone" not in kinds and (default or bool(kinds & {"buChar", "buBlip"}))


def _number(count: int, scheme: str) -> str:
    """Write an item's number, for example ``alphaLcParenR`` as ``a)``."""
    text = letters(count) if scheme.startswith("alpha") else roman(count) if scheme.startswith("roman") else str(count)
    text = text.upper() if "Uc" in scheme else text
    if scheme.endswith("ParenBoth"):
        return f"({text})"
    return text + (")" if scheme.endswith("ParenR") else "" if scheme.endswith("Plain") else ".")


def _rows(table: Element) -> list[list[str]]:
    """Return a table's texts; a cell that reaches over several rows is repeated, so that each row says everything."""
    rows: list[list[str]] = []
    for line in table.iterchildren(f"{A}tr"):
        row: list[str] = []
        for cell in line.iterchildren(f"{A}tc"):
            covered = cell.get("vMerge") is not None and cell.get("vMerge") not in _FALSE
            above = rows[-1][len(row)] if covered and rows and len(row) < len(rows[-1]) else ""
            row.append(above or _paragraphs_text(cell))
        rows.append(row)
    return rows
