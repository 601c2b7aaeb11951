"""AsciiDoc: the text as it is, titles where they stand, and what the header says."""

from __future__ import annotations

import pytest

from rag.load.asciidoc import read
from rag.types import Heading


def titles(text: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in read(text.encode(), "a.adoc").headings]


def test_asciidoc_keeps_the_text_and_finds_titles() -> None:
    text = "= The *Guide*\n\nintro\n\n== First link:http://a[here]\n\ntext\n\n[[x]]\n=== <<ref,Sub>> `x`\n"
    extracted = read(text.encode(), "a.adoc")
    assert extracted.text == text
    assert extracted.headings == (
        Heading(0, 1, "The Guide"),
        Heading(text.index("== First"), 2, "First here"),
        Heading(text.index("=== <<"), 3, "Sub x"),
    )
    assert extracted.title == "The Guide"


@pytest.mark.parametrize("mark", ["----", "....", "////", "++++", "|===", "```", "-----"])
def test_asciidoc_finds_no_titles_between_delimiters(mark: str) -> None:
    assert titles(f"{mark}\n== no\n{mark}\n\n== yes\n") == [(2, "yes")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Title\n=====\n\nOne\n---\n\nTwo 2\n~~~~~\n", [(1, "Title"), (2, "One"), (3, "Two 2")]),
        ("text that goes on\nOne\n---\n", []),
        ("# Mark\n\n## Down\n", [(1, "Mark"), (2, "Down")]),
        ("==not\n\n======= seven\n\n== \n", []),
        ("= a_b_c and `= d`\n", [(1, "a_b_c and = d")]),
    ],
)
def test_asciidoc_recognises_titles(text: str, found: list[tuple[int, str]]) -> None:
    assert titles(text) == found


def test_asciidoc_takes_the_header_as_metadata() -> None:
    text = "// why\n:toc: left\n\n= Title\nAnn M. Lee <ann@x.example>\nv1.0, 2020-01-01\n:product: Duck 9\n\n:no: x\n"
    assert dict(read(text.encode(), "a.adoc").metadata) == {"toc": "left", "author": "Ann M. Lee", "product": "Duck 9"}


def test_asciidoc_without_a_header_has_no_metadata() -> None:
    extracted = read(b"some text\n:a: b\n\n== Section\n", "a.adoc")
    assert (extracted.title, dict(extracted.metadata)) == ("", {})
