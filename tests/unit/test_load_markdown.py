"""Markdown: headings where they stand, front matter, and the text as it is written."""

from __future__ import annotations

import pytest

from rag.load.markdown import read
from rag.types import Heading


def test_markdown_keeps_the_text_and_finds_headings() -> None:
    text = "intro\n\n# The *first* `one`\n\ntext\n\nSecond\n------\n\n> ### Quoted [link][ref]\n\n[ref]: http://x.example\n"
    extracted = read(text.encode(), "a.md")
    assert extracted.text == text
    assert extracted.headings == (
        Heading(text.index("# The"), 1, "The first one"),
        Heading(text.index("Second"), 2, "Second"),
        Heading(text.index("> ###"), 3, "Quoted link"),
    )
    assert extracted.title == "The first one"


def test_markdown_finds_no_headings_in_code() -> None:
    assert read(b"```\n# comment\n```\n\n    # indented\n\n<!-- \n# hidden\n-->\n", "a.md").headings == ()


def test_markdown_takes_front_matter_as_metadata() -> None:
    data = (
        b"---\ntitle: A title\ndate: 2024-03-01\nat: 2024-03-01 10:00:00\nn: 3\nx: .inf\nok: yes\ntags: [a]\n---\n# H\n"
    )
    extracted = read(data, "a.md")
    assert extracted.text == "# H\n"
    assert extracted.title == "A title"
    assert dict(extracted.metadata) == {
        "title": "A title",
        "date": "2024-03-01",
        "at": "2024-03-01T10:00:00",
        "n": 3,
        "x": "inf",
        "ok": True,
    }
    assert extracted.headings == (Heading(0, 1, "H"),)


def test_markdown_keeps_broken_front_matter_as_text_with_a_warning() -> None:
    extracted = read(b"---\na: [\n---\ntext\n", "a.md")
    assert extracted.text == "---\na: [\n---\ntext\n"
    assert "not valid YAML" in extracted.warnings[0]


@pytest.mark.parametrize("data", [b"---\njust a rule\n---\ntext\n", b"text\n---\na: b\n---\n", b"---\na: b\n"])
def test_markdown_takes_rules_for_text(data: bytes) -> None:
    extracted = read(data, "a.md")
    assert (extracted.text, dict(extracted.metadata)) == (data.decode(), {})


def test_markdown_drops_what_no_title_should_hold() -> None:
    assert read(b'---\ntitle: "a\\ud800\\x07b"\n---\nx', "a.md").title == "ab"
