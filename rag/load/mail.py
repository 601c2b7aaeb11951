"""What mails of all formats have in common: who wrote what to whom and when, and how that becomes text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from models.base import InputError
from rag.load.blocks import Blocks
from rag.load.html import read_content
from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import MetadataValue

TEXT_TYPES = {"text/plain", "text/html", "text/csv", "text/markdown", "text/calendar"}
"""Media types of the attachments that are read."""

UNNAMED = "unnamed"
"""What an attachment without a name is called."""

_NO_SUBJECT = "(no subject)"


@dataclass(frozen=True, slots=True)
class Mail:
    """
    A mail.

    Attributes:
        headers: name -> words, in the order in which they are shown.
        sent: when it was sent; None if it does not say so in any usual way.
        bodies: the text's parts, in their order.
        attachments: names of attached files and what was read from them; None where nothing was.
        mails: attached mails.
    """

    subject: str
    headers: dict[str, str]
    sent: datetime | None = None
    bodies: Sequence[Extracted] = ()
    attachments: Sequence[tuple[str, Extracted | None]] = ()
    mails: Sequence[Mail] = ()


def read_mails(mails: Sequence[Mail], warnings: tuple[str, ...] = ()) -> Extracted:
    """Write mails, each as a section; a single one's sender and date become metadata."""
    blocks = Blocks()
    for mail in mails:
        _write(blocks, mail, 1)
    inner = list(_with_inner(mails))
    warnings += tuple(dict.fromkeys(warning for mail in inner for body in mail.bodies for warning in body.warnings))
    if unread := [name for mail in inner for name, text in mail.attachments if text is None]:
        warnings += (f"has attachments that were not read: {', '.join(unread)}; save them as files to index them.",)
    if len(mails) != 1:
        return Extracted(blocks.text, headings=blocks.headings, warnings=warnings)
    return blocks.extracted(one_line(mails[0].subject), _metadata(mails[0]), warnings)


def read_part(data: bytes, kind: str, charset: str = "") -> Extracted | None:
    """
    Read a body or an attached text.

    Args:
        data: its bytes.
        kind: media type; only HTML is more than plain.
        charset: the encoding that the mail declares.

    Returns:
        What was read, which may be empty; None if it is no text.
    """
    try:
        text, warnings = decode(data, charset)
    except InputError:
        return None
    if kind == "text/html":
        return replace(read_content(text), warnings=warnings)
    return Extracted(text.strip("\n").rstrip(), warnings=warnings)


def _write(blocks: Blocks, mail: Mail, level: int) -> None:
    blocks.heading(mail.subject or _NO_SUBJECT, level)
    lines = [f"{name}: {words}" for name, words in mail.headers.items() if words]
    names = [name for name, _ in mail.attachments]
    blocks.paragraph("\n".join([*lines, f"Attachments: {', '.join(names)}"] if names else lines))
    for body in mail.bodies:
        blocks.embed(body, level)
    for name, text in mail.attachments:
        if text and text.text:
            blocks.heading(name, level + 1)
            blocks.embed(text, level + 1)
    for inner in mail.mails:
        _write(blocks, inner, level + 1)


def _with_inner(mails: Sequence[Mail]) -> Iterator[Mail]:
    """Yield mails, and those that are attached to them."""
    for mail in mails:
        yield mail
        yield from _with_inner(mail.mails)


def _metadata(mail: Mail) -> dict[str, MetadataValue]:
    fields: dict[str, MetadataValue] = {}
    if sender := one_line(mail.headers.get("From", "")):
        fields["from"] = sender
    if mail.sent:
        fields["date"] = mail.sent.isoformat()
    return fields
