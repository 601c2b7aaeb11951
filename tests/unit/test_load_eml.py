"""Mails, mailboxes and saved web pages: who wrote what to whom, and what was attached."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from models.base import InputError
from rag.load.eml import read, read_mbox, read_mhtml
from rag.types import Heading


def mail(text: str = "Hello Bob,\n\nbye.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Änn Lee <ann@x.example>"
    message["To"] = "Bob <bob@x.example>"
    message["Subject"] = "Größe of the duck"
    message["Date"] = "Mon, 9 Dec 2024 20:26:59 +0100"
    message.set_content(text)
    return message


def test_eml_begins_with_the_subject_and_who_wrote_to_whom() -> None:
    extracted = read(mail().as_bytes(), "a.eml")
    assert extracted.text == (
        "Größe of the duck\n\nFrom: Änn Lee <ann@x.example>\nTo: Bob <bob@x.example>\n"
        "Date: Mon, 09 Dec 2024 20:26:59 +0100\n\nHello Bob,\n\nbye."
    )
    assert (extracted.title, extracted.headings) == ("Größe of the duck", (Heading(0, 1, "Größe of the duck"),))
    assert dict(extracted.metadata) == {"from": "Änn Lee <ann@x.example>", "date": "2024-12-09T20:26:59+01:00"}


def test_eml_takes_the_plain_one_of_two_bodies() -> None:
    message = mail()
    message.add_alternative("<h1>Hello</h1>", subtype="html")
    assert read(message.as_bytes(), "a.eml").text.endswith("Hello Bob,\n\nbye.")


def test_eml_takes_html_where_the_plain_body_is_empty() -> None:
    message = mail(" \n")
    message.add_alternative("<h2>Menu</h2><header>kept</header><p>10<sup>6</sup> ducks</p>", subtype="html")
    extracted = read(message.as_bytes(), "a.eml")
    assert extracted.text.endswith("Menu\n\nkept\n\n10^6 ducks")
    assert [(heading.level, heading.title) for heading in extracted.headings][1:] == [(3, "Menu")]


def test_eml_reads_attached_texts_and_mails_and_names_the_others() -> None:
    inner = mail("Inner text")
    inner.replace_header("Subject", "Inner")
    message = mail()
    message.add_attachment("a;b\n1;2\n", subtype="csv", filename="täble.csv")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="report.pdf")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png", cid="<1@x>")
    message.add_attachment(inner)
    extracted = read(message.as_bytes(), "a.eml")
    assert "Attachments: täble.csv, report.pdf\n\nHello Bob" in extracted.text
    assert "täble.csv\n\na;b\n1;2\n\nInner\n\nFrom: " in extracted.text
    assert extracted.text.endswith("Inner text")
    assert [(heading.level, heading.title) for heading in extracted.headings][1:] == [(2, "täble.csv"), (2, "Inner")]
    assert extracted.warnings == ("has attachments that were not read: report.pdf; save them as files to index them.",)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"=?utf-8?q?caf=C3=A9?= =?koi8-r?b?1MXL09Q=?=", "caféтекст"),
        (b"=?utf-8?b?not base 64?=", "=?utf-8?b?not base 64?="),
        (b"=?x-unknown?q?ok?=", "ok"),
        ("naïve".encode(), "naïve"),
        (b"\x01\x02\xff", "ÿ"),
        (b"", "(no subject)"),
    ],
)
def test_eml_decodes_headers_that_real_mails_have(header: bytes, shown: str) -> None:
    text = read(b"Subject: " + header + b"\nFrom: a\nDate: yesterday\n\nbody", "a.eml").text
    assert text == f"{shown}\n\nFrom: a\nDate: yesterday\n\nbody"


def test_eml_body_in_another_encoding_is_read() -> None:
    head = b"Subject: x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n"
    assert read(head + "€ größer".encode("cp1252"), "a.eml").text == "x\n\n€ größer"


def test_eml_body_that_is_no_text_counts_as_unread() -> None:
    extracted = read(b"Subject: x\nContent-Type: text/plain\n\n" + bytes(range(32)) * 9, "a.eml")
    assert extracted.text == "x\n\nAttachments: unnamed"
    assert "not read: unnamed" in extracted.warnings[0]


@pytest.mark.parametrize("data", [b"just text", b'{"a": 1}'])
def test_eml_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="is no mail"):
        read(data, "a.eml")


def test_mbox_has_a_section_for_each_mail() -> None:
    second = mail("Second\n\nFrom here on it is\n>From quoted\n")
    box = b"".join(b"From ann Mon Dec  9 20:26:59 2024\n" + message.as_bytes() + b"\n" for message in (mail(), second))
    extracted = read_mbox(box, "a.mbox")
    assert extracted.text.count("Größe of the duck\n\nFrom: ") == 2
    assert len(extracted.headings) == 2
    assert dict(extracted.metadata) == {}
    with pytest.raises(InputError, match="is no mailbox"):
        read_mbox(b"just text", "a.mbox")


def test_mhtml_is_read_as_the_web_page_in_it() -> None:
    page = EmailMessage()
    page["Subject"] = "x"
    page.set_content("<title>Dück</title><nav>menu</nav><h1>Dück</h1><p>text</p>", subtype="html", charset="iso-8859-1")
    page.add_related(b"png", maintype="image", subtype="png")
    extracted = read_mhtml(page.as_bytes(), "a.mht")
    assert (extracted.title, extracted.text) == ("Dück", "Dück\n\ntext")
    with pytest.raises(InputError, match="nothing in it is HTML"):
        read_mhtml(mail().as_bytes(), "a.mht")
