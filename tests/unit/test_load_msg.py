"""Outlook messages, made as compound files: properties, attachments and attached messages."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest

from models.base import InputError
from rag.load.msg import read
from tests.compound import Path, compound_file

SENT = datetime(2024, 12, 9, 20, 26, tzinfo=UTC)


def message(storage: Path = (), header: int = 32, codepage: int = 1252, **properties: str | bytes) -> dict[Path, bytes]:
    """Return the streams of a message; names of properties are ``p`` and the tag, strings are Unicode, bytes binary."""
    ticks = int((SENT - datetime(1601, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 10
    fixed = struct.pack("<HHIQ", 0x40, 0x39, 6, ticks) + struct.pack("<HHIQ", 3, 0x3FFD, 6, codepage)
    streams = {(*storage, "__properties_version1.0"): bytes(header) + fixed}
    for name, value in properties.items():
        kind, data = ("001F", value.encode("utf-16-le")) if isinstance(value, str) else ("0102", value)
        streams[(*storage, f"__substg1.0_{name[1:]}{kind}")] = data
    return streams


def attachment(number: int, name: str, data: bytes) -> dict[Path, bytes]:
    storage = (f"__attach_version1.0_#{number:08X}",)
    return {
        (*storage, "__properties_version1.0"): bytes(8),
        (*storage, "__substg1.0_3707001F"): name.encode("utf-16-le"),
        (*storage, "__substg1.0_37010102"): data,
    }


def test_msg_begins_with_the_subject_and_who_wrote_to_whom() -> None:
    streams = message(
        p0037="The dück", p0C1A="Ann Lee", p0C1F="ann@x.example", p0E04="Bob; Cy", p1000="Hello\r\n\r\nbye"
    )
    extracted = read(compound_file(streams), "a.msg")
    assert extracted.text == (
        "The dück\n\nFrom: Ann Lee <ann@x.example>\nTo: Bob; Cy\nDate: 2024-12-09 20:26+00:00\n\nHello\n\nbye"
    )
    assert extracted.title == "The dück"
    assert dict(extracted.metadata) == {"from": "Ann Lee <ann@x.example>", "date": "2024-12-09T20:26:00+00:00"}


def test_msg_reads_strings_in_the_codepage_of_the_message() -> None:
    streams = message(codepage=1251, p0C1A="x") | {("__substg1.0_1000001E",): "привет".encode("cp1251")}
    assert read(compound_file(streams), "a.msg").text.endswith("привет")


def test_msg_takes_html_where_there_is_no_plain_body() -> None:
    streams = message(codepage=65001, p0037="s", p1013="<p>größer <b>duck</b></p>".encode())
    assert read(compound_file(streams), "a.msg").text.endswith("größer duck")


def test_msg_says_when_its_text_is_only_there_as_rtf() -> None:
    extracted = read(compound_file(message(p0037="s", p1009=b"\0" * 20)), "a.msg")
    assert extracted.warnings == ("has its text only as compressed RTF, which is not read.",)


def test_msg_reads_attached_texts_and_messages_and_names_the_others() -> None:
    inner = ("__attach_version1.0_#00000002", "__substg1.0_3701000D")
    streams = {
        **message(p0037="Outer", p1000="body"),
        **attachment(0, "notes.txt", b"noted"),
        **attachment(1, "report.pdf", b"%PDF-"),
        **message(inner, header=24, p0037="Inner", p1000="inner body"),
    }
    extracted = read(compound_file(streams), "a.msg")
    assert "Attachments: notes.txt, report.pdf\n\nbody\n\nnotes.txt\n\nnoted\n\nInner" in extracted.text
    assert extracted.text.endswith("inner body")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "Outer"),
        (2, "notes.txt"),
        (2, "Inner"),
    ]
    assert "not read: report.pdf;" in extracted.warnings[0]


def test_msg_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="is no Outlook message"):
        read(compound_file({("WordDocument",): b"x"}), "a.msg")
    with pytest.raises(InputError, match="is damaged, or of another kind"):
        read(b"Subject: x\n\ny", "a.msg")
    with pytest.raises(InputError, match="is damaged"):
        read(compound_file(message(p1000="x"))[:700], "a.msg")
