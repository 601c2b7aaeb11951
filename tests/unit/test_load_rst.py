"""reStructuredText: titles by their underlines, levels by first use."""

from __future__ import annotations

import pytest

from rag.load.rst import read
from rag.types import Heading

PAGE = """\
.. _label:

********
 Manual
********

Text.

:mod:`os.path` --- Paths
========================

Sub ``code`` and `a link <https://x.example>`_
----------------------------------------------

Another
=======
"""


def test_rst_keeps_the_text_and_finds_titles() -> None:
    extracted = read(PAGE.encode(), "a.rst")
    assert extracted.text == PAGE
    assert extracted.title == "Manual"
    assert extracted.headings == (
        Heading(PAGE.index("****"), 1, "Manual"),
        Heading(PAGE.index(":mod:"), 2, "os.path --- Paths"),
        Heading(PAGE.index("Sub"), 3, "Sub code and a link"),
        Heading(PAGE.index("Another"), 2, "Another"),
    )


def test_rst_takes_a_title_after_a_title_without_an_overline() -> None:
    assert [h.level for h in read(b"One\n===\nTwo\n===\n", "a.rst").headings] == [1]
    assert [h.level for h in read(b"One\n===\n\nTwo\n===\n", "a.rst").headings] == [1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "text\n\n----\n\ntext",  # a transition
        "A long line of text\n--\n",  # too short an underline
        "    indented\n    ========\n",
        "two lines\nof text\n=======\n",
        "==== ====\na    b\n==== ====\n1    2\n==== ====\n",
        ".. directive::\n==============\n",
        "-" * 2000 + "\n" + "x" * 2000 + "\n" + "-" * 2000,
    ],
)
def test_rst_finds_no_title_in(text: str) -> None:
    assert read(text.encode(), "a.rst").headings == ()


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        (":class:`!Name` and :func:`~a.b`", "Name and a.b"),
        ("**bold** *it*", "bold it"),
        ("2*3*4", "2*3*4"),
        (r"MADV_\* constants", "MADV_* constants"),
    ],
)
def test_rst_takes_markup_off_titles(title: str, plain: str) -> None:
    assert read(f"{title}\n{'=' * 40}\n".encode(), "a.rst").title == plain


def test_rst_levels_end_at_six() -> None:
    text = "".join(f"Title\n{character * 5}\n\n" for character in "=-~^'\"#+")
    assert [heading.level for heading in read(text.encode(), "a.rst").headings] == [1, 2, 3, 4, 5, 6, 6, 6]
