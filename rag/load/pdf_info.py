"""What a PDF file says of itself: title, author and date, and the files that are attached to it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pypdfium2 as pdfium
from lxml import etree

from rag.load.text import one_line
from rag.types import MetadataValue

_FILLED_IN = re.compile(
    r"(untitled|\(?(anonymous|unspecified|unknown)\)?|title|document\d*|powerpoint presentation"
    r"|microsoft (word|excel|powerpoint).*"
    r"|.*\.(docx?|od[tps]|pptx?|xlsx?|rtf|tex|dvi|indd|qxd|pub|pdf|png|jpe?g|tiff?|html?))?",
    re.IGNORECASE,
)
"""What programs fill in by themselves, and nothing."""
_DATE = re.compile(r"(?:D:)?(\d{4})-?(\d\d)-?(\d\d)")
_NAMES = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created"}
_PACKET = re.compile(rb"<x:xmpmeta.{,1000000}?</x:xmpmeta>", re.DOTALL)
_XMP = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "pdf": "http://ns.adobe.com/pdf/1.3/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_IN_XMP = {"Title": "dc:title", "Author": "dc:creator", "Subject": "dc:description", "CreationDate": "xmp:CreateDate"}
_MOST_ATTACHMENTS = 10


def read_info(document: pdfium.PdfDocument, data: bytes) -> tuple[str, dict[str, MetadataValue]]:
    """
    Read what a file says of itself, in its information dictionary and, where that is silent, in its XMP packet.

    Args:
        document: the file, opened.
        data: its bytes.

    Returns:
        The title, empty if the file has none that a person wrote, and the other fields.
    """
    info = {key: _valid(document.get_metadata_value, key) for key in ("Title", "Producer", *_NAMES)}
    stated = {key: value for key, value in info.items() if not _FILLED_IN.fullmatch(value)}
    stated = _xmp(data, info["Producer"]) | stated
    fields: dict[str, MetadataValue] = {
        name: stated[key] for key, name in _NAMES.items() if key in stated and name != "created"
    }
    if created := _DATE.match(stated.get("CreationDate", "")):
        fields["created"] = "-".join(created.groups())
    return stated.get("Title", ""), fields


def attachments(document: pdfium.PdfDocument) -> str:
    """Name the files that are attached, for a warning; empty if there are none."""
    count = document.count_attachments()
    names = [_valid(document.get_attachment(index).get_name) for index in range(min(count, _MOST_ATTACHMENTS))]
    return ", ".join(filter(None, names)) + (", …" if count > _MOST_ATTACHMENTS else "")


def _valid(read_string: Callable[..., str], *arguments: str) -> str:
    """Return one of the file's own strings; empty where its bytes are no text, which is no reason to refuse it."""
    try:
        return one_line(read_string(*arguments))
    except (UnicodeDecodeError, pdfium.PdfiumError):
        return ""


def _xmp(data: bytes, producer: str) -> dict[str, str]:
    """Return what the XMP packet of the file says; pictures that came from other files bring theirs along."""
    for packet in _PACKET.findall(data):
        parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
        root = etree.fromstring(packet, parser)
        if root is None or _property(root, "pdf:Producer") != producer:
            continue
        found = {key: _property(root, name) for key, name in _IN_XMP.items()}
        return {key: value for key, value in found.items() if not _FILLED_IN.fullmatch(value)}
    return {}


def _property(root: etree._Element, name: str) -> str:
    """Return a property's text, whether it is written as an element, a list or an attribute."""
    found = root.xpath(f"string(//{name}//rdf:li | //{name}[not(*)] | //rdf:Description/@{name})", namespaces=_XMP)
    return one_line(str(found))
