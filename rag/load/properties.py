"""What office documents say of themselves: Dublin Core elements, alike in Office Open XML and OpenDocument."""

from __future__ import annotations

import re

from rag.load.text import one_line
from rag.load.xml_tree import Element, local_name
from rag.types import MetadataValue

_FILLED_IN = re.compile(
    r"(untitled|\(?(anonymous|unspecified|unknown)\)?|title|(word )?document\d*|(powerpoint )?presentation\d*"
    r"|(picture|image|graphic|chart)[ \d]*|(microsoft )?(office|word|excel|powerpoint)( user| .*)?"
    r"|.*\.(docx?|dotx?|docm|od[tps]|pptx?|pptm|potx?|xlsx?|xlsm|rtf|pdf|png|jpe?g|gif|bmp|tiff?|emf|wmf|svg))?",
    re.IGNORECASE,
)
_FIELDS = {
    "title": "title",
    "initial-creator": "author",  # OpenDocument's creator is whoever saved it last
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "keyword": "keywords",
    "description": "description",
    "created": "created",
    "creation-date": "created",
}
_DATE_LENGTH = len("2024-12-31")


def read_properties(root: Element) -> tuple[str, dict[str, MetadataValue]]:
    """
    Read a part with properties.

    Returns:
        The title, and author, subject, keywords, description and created (an ISO date) as far as people filled them in.
    """
    found: dict[str, list[str]] = {}
    for element in root.iter("*"):
        text = one_line(element.text or "")
        if not is_filled_in(text):
            found.setdefault(local_name(element), []).append(text)
    fields: dict[str, MetadataValue] = {}
    for name, field in _FIELDS.items():
        if name in found:
            fields.setdefault(field, ", ".join(found[name]))
    if "created" in fields:
        fields["created"] = str(fields["created"])[:_DATE_LENGTH]
    return str(fields.pop("title", "")), fields


def is_filled_in(text: str) -> bool:
    """Tell whether a program, not a person, wrote a property or a picture's description; so it is if empty."""
    return _FILLED_IN.fullmatch(text) is not None
