"""
Mails as they travel (RFC 5322, MIME), single ones, in mailboxes (mbox), and web pages saved like a mail (MHTML).

Headers are taken apart here: the standard library's own header objects trip over many that are sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime

from models.base import InputError
from rag.load import html
from rag.load.mail import TEXT_TYPES, UNNAMED, Mail, read_mails, read_part
from rag.load.text import clean, decode
from rag.load.values import Extracted

_USUAL = ("From", "To", "Subject", "Date", "Received", "Message-ID", "MIME-Version", "Content-Type")
_SHOWN = ("From", "To", "Cc", "Date")
_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\d:\d\d[^\n]*\n")
"""The line in front of each mail: sender and time, behind an empty line."""
_BODIES = ("text/plain", "text/html")


def read(data: bytes, name: str) -> Extracted:
    """
    Read a mail.

    Raises:
        InputError: it has no header of a mail.
    """
    message = message_from_bytes(data)
    if not any(header in message for header in _USUAL):
        raise InputError("is no mail: it does not begin with a mail's header.")
    return read_mails([_mail(message)])


def read_mbox(data: bytes, name: str) -> Extracted:
    """
    Read a mailbox, mail by mail.

    Raises:
        InputError: it does not begin like a mailbox.
    """
    first, *mails = _SEPARATOR.split(data)
    if first or not mails:
        raise InputError('is no mailbox: it does not begin with a line "From ".')
    return read_mails([_mail(message_from_bytes(mail)) for mail in mails])


def read_mhtml(data: bytes, name: str) -> Extracted:
    """
    Read a saved web page.

    Raises:
        InputError: no web page is in it, or one without text.
    """
    message = message_from_bytes(data)
    page = next((part for part in message.walk() if part.get_content_type() == "text/html"), None)
    if page is None:
        raise InputError("is no saved web page: nothing in it is HTML.")
    return html.read(decode(_content(page), _charset(page))[0].encode(), name)


def _mail(message: Message) -> Mail:
    bodies: list[Extracted] = []
    attachments: list[tuple[str, Extracted | None]] = []
    mails: list[Mail] = []
    for part in _parts(message):
        kind, filename = part.get_content_type(), _file_name(part)
        if kind == "message/rfc822" and part.is_multipart():
            mails += [_mail(inner) for inner in _children(part)]
        elif not _is_decoration(part):
            text = read_part(_content(part), kind, _charset(part)) if kind in TEXT_TYPES else None
            if text and kind in _BODIES and not filename and part.get_content_disposition() != "attachment":
                bodies.append(text)
            else:
                attachments.append((filename or UNNAMED, text))
    headers = {name: _header(message, name) for name in _SHOWN}
    return Mail(_header(message, "Subject"), headers, _date(headers["Date"]), bodies, attachments, mails)


def _parts(message: Message) -> Iterator[Message]:
    """Yield the parts to be shown; of alternatives the first that is plain text with something in it, else HTML."""
    kind = message.get_content_type()
    if not message.is_multipart() or kind == "message/rfc822":
        yield message
        return
    children = _children(message)
    if kind == "multipart/alternative":
        plain = [part for part in children if part.get_content_type() == "text/plain" and _content(part).strip()]
        children = plain[:1] or children[-1:]
    for child in children:
        yield from _parts(child)


def _children(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _is_decoration(part: Message) -> bool:
    """Tell whether a part belongs to the look of the body, or to the machinery of mail."""
    kind = part.get_content_type()
    return (part.get_content_maintype() == "image" and "Content-ID" in part) or kind in (
        "application/pgp-signature",
        "application/pkcs7-signature",
        "message/delivery-status",
    )


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _charset(part: Message) -> str:
    return part.get_content_charset() or ""


def _file_name(part: Message) -> str:
    return _decoded(part.get_filename() or "")


def _header(message: Message, name: str) -> str:
    return ", ".join(_decoded(value) for key, value in message.raw_items() if key.lower() == name.lower())


def _decoded(header: str) -> str:
    """Return a header's words; what is encoded wrongly stays as it is, and bytes that are not ASCII are guessed."""
    if not header.isascii():
        header = _text(header.encode(errors="surrogateescape"), "")
    try:
        words = [
            word if isinstance(word, str) else _text(word, charset or "") for word, charset in decode_header(header)
        ]
    except HeaderParseError:
        words = [header]
    return " ".join("".join(words).split())


def _text(data: bytes, charset: str) -> str:
    try:
        return decode(data, charset)[0]
    except InputError:  # no reason to refuse the mail
        return clean(data.decode("latin-1"))


def _date(header: str) -> datetime | None:
    """Return a date, with its time zone; None where it is read_mails in no usual way, as in much unwanted mail."""
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return None
