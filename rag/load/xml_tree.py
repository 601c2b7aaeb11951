"""XML inside documents: parsed without entities and without a network, within libxml2's bounds on size and depth."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TypedDict

from lxml import etree
from lxml.etree import _Element as Element

from models.base import InputError

__all__ = ["Element", "iterate", "local_name", "parse", "parse_broken"]


class _Safety(TypedDict):
    """The settings of every parser here; ``huge_tree``, which would lift libxml2's bounds, stays off."""

    resolve_entities: bool
    no_network: bool
    load_dtd: bool
    remove_comments: bool
    remove_pis: bool


_SAFELY: _Safety = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
}


def parse(data: bytes, name: str) -> Element:
    """
    Parse a part of a document.

    Entities of the document's own stay unexpanded in the tree, and what they name outside is never opened.

    Args:
        data: the part's bytes.
        name: what it is called, for the message.

    Raises:
        InputError: it is not well-formed XML.
    """
    try:
        return etree.fromstring(data, etree.XMLParser(**_SAFELY))
    except etree.XMLSyntaxError as error:
        raise _damaged(name, error) from error


def parse_broken(data: bytes) -> tuple[Element, str]:
    """
    Parse a document as far as it can be.

    Args:
        data: the whole document in UTF-8, whatever it declares.

    Returns:
        The root, and the first thing that is wrong, with its line; empty if nothing is.

    Raises:
        InputError: nothing in it is XML.
    """
    parser = etree.XMLParser(encoding="utf-8", recover=True, **_SAFELY)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise InputError(f"is no XML file ({error.msg}).") from error
    errors = parser.error_log.filter_from_errors()
    if root is None:
        raise InputError(f"is no XML file ({errors[0].message if errors else 'it has no elements'}).")
    return root, f"line {errors[0].line}: {' '.join(errors[0].message.split())}" if errors else ""


def iterate(data: bytes, name: str, tag: str) -> Iterator[Element]:
    """
    Parse a part that is too large for a tree, and yield its elements of a name; each is emptied after its turn.

    Args:
        data: the part's bytes.
        name: what it is called, for the message.
        tag: name of the elements, with their namespace.

    Raises:
        InputError: it is not well-formed XML; what came before has been yielded.
    """
    try:
        for _, element in etree.iterparse(BytesIO(data), tag=tag, **_SAFELY):
            yield element
            element.clear()
    except etree.XMLSyntaxError as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: etree.XMLSyntaxError) -> InputError:
    return InputError(f"is damaged: its part {name!r} is no valid XML ({error.msg}).")


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]
