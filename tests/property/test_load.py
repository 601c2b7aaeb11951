"""Whatever the bytes: a reader gives clean text with offsets that fit it, or an InputError."""

from __future__ import annotations

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.base import InputError
from rag.load import formats
from rag.load.tables import markdown_table
from rag.load.values import Extracted

NAMES = st.sampled_from(["a.txt", "a.md", "a.rst", "a.html", "a.py", "a"])
MARKUP = st.lists(
    st.sampled_from(
        [
            *("# ", "==\n", "---\n", "> ", "- ", "```\n", "\n", "word ", "é", "🙂", "|", "*", "`", "\\", "\t", "\r\n"),
            *("<h1>", "</h1>", "<p>", "<ul>", "<li>", "</ul>", "<table>", "<tr>", "<td rowspan=3>", "<pre>", "<br>"),
            *(
                "<nav>",
                "</nav>",
                "<main>",
                "&#1;",
                "<sup>2",
                "class A:",
                "title: x\n",
                "\ufeff",
                "\x0c",
                "\x00",
                "\x85",
            ),
        ]
    ),
    max_size=40,
).map("".join)
UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def read(data: bytes, name: str) -> Extracted | None:
    try:
        return formats.read(data, name)[1]
    except InputError:
        return None


@settings(deadline=None, max_examples=500)
@given(data=st.one_of(st.binary(max_size=200), MARKUP.map(str.encode)), name=NAMES)
@example(data=b"\xff\xfe" + b"\0" * 9, name="a.txt")
def test_readers_give_clean_text_with_fitting_offsets(data: bytes, name: str) -> None:
    extracted = read(data, name)
    if extracted is None:
        return
    text = extracted.text
    assert text.strip()
    assert not UNWANTED.search(text + extracted.title)
    starts = [heading.start for heading in extracted.headings]
    assert starts == sorted(starts)
    assert all(start == 0 or text[start - 1] == "\n" for start in starts)
    assert all(start < len(text) and 1 <= heading.level <= 6 for start, heading in zip(starts, extracted.headings))  # noqa: B905
    assert all(heading.title and "\n" not in heading.title for heading in extracted.headings)


@settings(deadline=None)
@given(text=MARKUP, name=st.sampled_from(["a.txt", "a.rst", "a.py"]))
def test_plain_readers_keep_every_visible_character(text: str, name: str) -> None:
    assume("\0" not in text)  # a zero at every second byte looks like UTF-16
    extracted = read(text.encode(), name)
    if extracted is not None:
        assert [c for c in extracted.text if c.isprintable()] == [c for c in text.lstrip("\ufeff") if c.isprintable()]


@given(rows=st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=4))
def test_tables_have_one_line_a_row_and_the_same_columns_in_each(rows: list[list[str]]) -> None:
    table = markdown_table(rows)
    filled = [row for row in rows if any(map(str.strip, row))]
    lines = table.split("\n") if table else []
    assert len(lines) == (len(filled) + 1 if filled else 0)
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1
