"""Documents in XML vocabularies, such as DocBook, JATS, DITA or TEI, whose elements need not be known to be read."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from rag.load.blocks import Blocks
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name

_TITLES = {"title", "head", "heading", "article-title"}
_ROWS = {"row", "tr"}
_TABLES = {"table", "tgroup", "informaltable", "simpletable"}
_ITEMS = {"listitem", "item", "li", "list-item"}
_VERBATIM = {"programlisting", "screen", "literallayout", "codeblock", "preformat", "pre", "verse"}
_PARAGRAPHS = {"p", "para", "simpara"}
_BLOCKS = _TITLES | _ROWS | _ITEMS | _VERBATIM | _PARAGRAPHS
_SPEAKING = {*_BLOCKS, "entry", "td", "th", "cell", "term", "l", "line", "caption", "subtitle", "label", "code"}
"""Elements whose names say nothing that their text does not."""
_LONGEST_FIELD = 80
_MOST_COLUMNS = 200


def is_mixed(element: Element) -> bool:
    """Tell whether text and elements stand side by side in an element."""
    return _has_elements(element) and any(
        map(str.strip, (element.text or "", *(child.tail or "" for child in element)))
    )


def read_prose(root: Element) -> Extracted:
    """
    Write a document; titles become headings.

    Short elements between the paragraphs, such as ``<year>2004</year>``, keep their names. Attributes are for programs
    and are left out.
    """
    blocks = Blocks()
    _write(blocks, root, 0, 0)
    return blocks.extracted()


def _write(blocks: Blocks, element: Element, level: int, depth: int) -> None:
    """
    Write an element.

    Args:
        blocks: what to write to.
        element: the element.
        level: how many elements that have a title are around it.
        depth: how many items of lists are around it.
    """
    name = local_name(element)
    if name in _TABLES and (rows := _rows(element)):
        blocks.table(rows)
    elif name in _VERBATIM:
        blocks.paragraph("".join(element.itertext()))
    elif name in _TITLES:
        blocks.heading(_words(element), level)
    elif name in _ITEMS:
        blocks.item(_words(element, but=_ITEMS | _ROWS | _VERBATIM), depth)
        for child in element.iterchildren("*"):
            if _holds(child, _ITEMS | _ROWS | _VERBATIM):
                _write(blocks, child, level, depth + 1)
    elif _has_elements(element) and not is_mixed(element):
        level += any(local_name(child) in _TITLES for child in element.iterchildren("*"))
        for child in element.iterchildren("*"):
            _write(blocks, child, level, depth)
    else:
        _write_runs(blocks, element, level, depth)


def _write_runs(blocks: Blocks, element: Element, level: int, depth: int) -> None:
    """Write text and what belongs into its sentences as paragraphs, and blocks between them apart."""
    name = local_name(element)
    run = [element.text or ""]
    for child in element:
        if _holds(child, _BLOCKS):
            blocks.paragraph(_joined(run))
            run.clear()
            _write(blocks, child, level, depth)
        else:
            run.append(_words(child))
        run.append(child.tail or "")
    text = _joined(run)
    labelled = name not in _SPEAKING and not _has_elements(element) and 0 < len(text) <= _LONGEST_FIELD
    blocks.paragraph(f"{name}: {text}" if labelled else text)


def _rows(table: Element) -> list[list[str]]:
    """Return the cells of a table; nothing if tables are nested in it."""
    if any(_holds(child, _TABLES - {"tgroup"}) for child in table.iterchildren("*")):
        return []
    rows = (line for line in table.iter("*") if local_name(line) in _ROWS)
    return [[_words(cell) for cell in list(row.iterchildren("*"))[:_MOST_COLUMNS]] for row in rows]


def _words(element: Element, but: AbstractSet[str] = frozenset()) -> str:
    """Return an element's words, without the children that hold certain elements; those that touch are set apart."""
    kept = [child for child in element if not (but and _holds(child, but))]
    between = "" if is_mixed(element) else " "
    parts = [element.text or ""]
    for child in element:
        parts += (between, _words(child) if child in kept else "", child.tail or "")
    return _joined(parts)


def _has_elements(element: Element) -> bool:
    return next(element.iterchildren("*"), None) is not None


def _holds(element: Element, names: AbstractSet[str]) -> bool:
    """Tell whether an element is, or has in it, one of certain names."""
    return any(local_name(inner) in names for inner in element.iter("*"))


def _joined(parts: list[str]) -> str:
    return " ".join("".join(parts).split())
