"""
XML of any kind: feeds entry by entry, data as keys and values, documents as paragraphs with headings and tables.

Which of them a file is shows in where its text stands: only documents have elements in the middle of sentences.
Entities that a file declares are not expanded, and nothing outside of it is opened.
"""

from __future__ import annotations

import re
from dataclasses import replace

from lxml import etree

from models.base import InputError
from rag.load import html
from rag.load.feed import is_feed, read_feed
from rag.load.records import OWN, Value, read_records
from rag.load.text import decode
from rag.load.values import Extracted
from rag.load.xml_prose import is_mixed, read_prose
from rag.load.xml_tree import Element, local_name, parse_broken

_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""")


def read(data: bytes, name: str) -> Extracted:
    """
    Read an XML file.

    Raises:
        InputError: nothing in it is XML.
    """
    declared = _DECLARED.match(data)
    markup, warnings = decode(data, declared[1].decode("ascii") if declared else "")
    root, problem = parse_broken(markup.lstrip().encode())
    if local_name(root) == "html":
        return html.read(data, name)
    if is_feed(root):
        extracted = read_feed(root)
    elif any(map(is_mixed, root.iter("*"))):
        extracted = read_prose(root)
    else:
        extracted = read_records(_value(root))
    complaint = f"is no valid XML ({problem}); some of its text may be missing."
    if problem and not extracted.text:
        raise InputError(complaint)
    if problem:
        warnings += (complaint,)
    if entities := {str(entity.text) for entity in root.iter(etree.Entity)}:
        warnings += (f"has entities of its own, which were not expanded: {', '.join(sorted(entities))}.",)
    return replace(extracted, warnings=warnings)


def _value(element: Element) -> Value:
    """Return an element's attributes and children as a record; children of the same name make a list."""
    record: dict[str, Value] = {etree.QName(name).localname: value for name, value in element.attrib.items()}
    children: dict[str, list[Value]] = {}
    for child in element.iterchildren("*"):
        children.setdefault(local_name(child), []).append(_value(child))
    text = "" if children else "".join(element.itertext()).strip()
    if not record and not children:
        return text
    own: dict[str, Value] = {OWN: text} if text else {}
    return own | record | {name: items[0] if len(items) == 1 else items for name, items in children.items()}
