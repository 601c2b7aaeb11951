"""
Outlook messages (MS-OXMSG): properties are streams, named by a tag and a type (MS-OXPROPS lists them).

Recipients and attachments are storages within the message's own, and an attached message is a storage within that.
"""

from __future__ import annotations

from pathlib import PurePath

from models.base import InputError
from rag.load.mail import TEXT_TYPES, UNNAMED, Mail, read_mails, read_part
from rag.load.ole import CompoundFile, Path, codec_of, time_of, unpack
from rag.load.text import clean, decode
from rag.load.values import Extracted

_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER_NAME, _SENDER, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_TO, _CC = 0x0E04, 0x0E03
_SENT, _RECEIVED = 0x0039, 0x0E06
_CODEPAGES = (0x3FFD, 0x3FDE)
_ATTACHMENT, _LONG_NAME, _SHORT_NAME, _DISPLAY_NAME, _MEDIA_TYPE = 0x3701, 0x3707, 0x3704, 0x3001, 0x370E
_UNICODE, _STRING, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_FIXED = "__properties_version1.0"
_HEADER_BYTES, _INNER_HEADER_BYTES, _ENTRY_BYTES = 32, 24, 16
_TEXTS = {".txt": "text/plain", ".csv": "text/plain", ".md": "text/plain", ".htm": "text/html", ".html": "text/html"}


def read(data: bytes, name: str) -> Extracted:
    """
    Read a message.

    Raises:
        InputError: it is damaged, or no such message.
    """
    file = CompoundFile(data)
    if (_FIXED,) not in file:
        raise InputError("is no Outlook message.")
    return read_mails([_Message(file, ()).mail()])


class _Message:
    """A message, or an attachment, which has properties alike, in its storage."""

    def __init__(self, file: CompoundFile, storage: Path) -> None:
        self._file = file
        self._storage = storage

    def mail(self) -> Mail:
        name, address = self._text(_SENDER_NAME), self._text(_SENDER_SMTP) or self._text(_SENDER)
        sent = time_of(self._number(_SENT) or self._number(_RECEIVED))
        attachments, mails = [], []
        for path in self._file.children(self._storage):
            if path[-1].startswith("__attach_version1.0"):
                attachment = _Message(self._file, path)
                inner = attachment._path(_ATTACHMENT, _OBJECT)
                if (*inner, _FIXED) in self._file:
                    mails.append(_Message(self._file, inner).mail())
                else:
                    attachments.append(attachment.file())
        headers = {
            "From": f"{name} <{address}>" if name and "@" in address and address != name else name or address,
            "To": self._text(_TO),
            "Cc": self._text(_CC),
            "Date": sent.isoformat(" ", "minutes") if sent else "",
        }
        return Mail(self._text(_SUBJECT), headers, sent, self._bodies(), attachments, mails)

    def file(self) -> tuple[str, Extracted | None]:
        """Return an attached file's name, and what was read from it if it is text."""
        name = next(filter(None, map(self._text, (_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME))), UNNAMED)
        kind = self._text(_MEDIA_TYPE) or _TEXTS.get(PurePath(name).suffix.lower(), "")
        data = self._binary(_ATTACHMENT)
        return name, read_part(data, kind) if kind in TEXT_TYPES else None

    def _bodies(self) -> list[Extracted]:
        """Return the body: plain if there is one with something in it, else HTML; RTF is only said to be there."""
        if plain := self._text(_BODY).strip():
            return [Extracted(plain)]
        page = self._text(_HTML).encode() or self._binary(_HTML)
        if page and (body := read_part(page, "text/html", self._codec())):
            return [body]
        unread = self._path(_RTF, _BINARY) in self._file
        return [Extracted("", warnings=("has its text only as compressed RTF, which is not read.",))] if unread else []

    def _path(self, tag: int, kind: int) -> Path:
        return (*self._storage, f"__substg1.0_{tag:04X}{kind:04X}")

    def _binary(self, tag: int) -> bytes:
        path = self._path(tag, _BINARY)
        return self._file.stream(path) if path in self._file else b""

    def _text(self, tag: int) -> str:
        """Return a property that is a string; empty where it is missing."""
        if (path := self._path(tag, _UNICODE)) in self._file:
            return clean(self._file.stream(path).decode("utf-16-le", errors="replace"))
        if (path := self._path(tag, _STRING)) in self._file:
            return decode(self._file.stream(path), self._codec())[0]
        return ""

    def _codec(self) -> str:
        """Name the encoding of strings that are not Unicode."""
        return codec_of(next(filter(None, map(self._number, _CODEPAGES)), 0) & 0xFFFFFFFF)

    def _number(self, tag: int) -> int:
        """Return a property of fixed length; 0 where it is missing."""
        path = (*self._storage, _FIXED)
        if path not in self._file:
            return 0
        data = self._file.stream(path)
        header = _INNER_HEADER_BYTES if self._storage else _HEADER_BYTES
        for offset in range(header, len(data) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            _, found, _, value = unpack("HHIQ", data, offset)
            if found == tag:
                return value
        return 0
