"""News feeds, RSS and Atom: each entry a section with its title as heading, its fields on lines, then what it says."""

from __future__ import annotations

from lxml import etree

from rag.load.blocks import Blocks
from rag.load.html import read_content
from rag.load.text import one_line
from rag.load.values import Extracted
from rag.load.xml_tree import Element, local_name

_FEEDS = {"rss", "rdf", "feed"}
_ENTRIES = {"item", "entry"}
_TEXTS = {"encoded", "content", "description", "summary", "subtitle"}
_REFERENCES = ("href", "term", "url")


def is_feed(root: Element) -> bool:
    """Tell whether a document is a feed."""
    return local_name(root).lower() in _FEEDS and any(local_name(element) in _ENTRIES for element in root.iter("*"))


def read_feed(root: Element) -> Extracted:
    """Write a feed's own fields, then its entries in their order."""
    blocks = Blocks()
    channel = next((element for element in root if local_name(element) == "channel"), root)
    _write(blocks, channel, 1)
    for element in root.iter("*"):
        if local_name(element) in _ENTRIES:
            _write(blocks, element, 2)
    return blocks.extracted()


def _write(blocks: Blocks, entry: Element, level: int) -> None:
    """Write the feed or an entry; of an excerpt and the whole text, which feeds give side by side, only the longer."""
    title, fields, texts = "", dict[str, list[str]](), [Extracted("")]
    for element in entry.iterchildren("*"):
        name = local_name(element)
        if name == "title":
            title = title or one_line(_shown(element).text)
        elif name in _TEXTS:
            texts.append(_shown(element))
        elif name not in _ENTRIES and (value := _value(element)):
            fields.setdefault(name, []).append(value)
    blocks.heading(title, level)
    blocks.paragraph("\n".join(f"{name}: {', '.join(values)}" for name, values in fields.items()))
    blocks.embed(max(texts, key=lambda text: len(text.text)), level)


def _shown(element: Element) -> Extracted:
    """Return what an element's content looks like: usually markup that is escaped, sometimes elements."""
    markup = element.text or ""
    if len(element):
        markup += "".join(etree.tostring(child, encoding="unicode") for child in element)
    return read_content(markup)


def _value(element: Element) -> str:
    """Return a field's words, or what it refers to."""
    words = " ".join(" ".join(element.itertext()).split())
    return words or next((element.get(name, "") for name in _REFERENCES if element.get(name)), "")
