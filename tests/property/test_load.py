"""Whatever the bytes: a reader gives clean text with offsets that fit it, or an InputError."""

from __future__ import annotations

import csv
import re
from io import StringIO

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.base import InputError
from rag.load import formats
from rag.load.blocks import Blocks
from rag.load.grid import write_grid
from rag.load.tables import markdown_table
from rag.load.values import Extracted

NAMES = st.sampled_from(
    [
        *("a.txt", "a.md", "a.rst", "a.html", "a.py", "a", "a.adoc", "a.json", "a.jsonl", "a.xml", "a.rtf", "a.ipynb"),
        *("a.eml", "a.mbox", "a.mht", "a.csv", "a.docx", "a.pptx", "a.xls", "a.odt"),
    ]
)
MARKUP = st.lists(
    st.sampled_from(
        [
            *("# ", "==\n", "---\n", "> ", "- ", "```\n", "\n", "word ", "é", "🙂", "|", "*", "`", "\\", "\t", "\r\n"),
            *(
                '{"',
                '": "',
                '", "',
                '"}',
                "[",
                "]",
                "{",
                "}",
                ",",
                ":",
                "1",
                '\\u0000"',
                '"\\ud800"',
                "null",
                "&x;",
                "<a b='",
            ),
            *("{\\rtf1 ", "\\par ", "\\u9 ", "\\'e9", "\\cell", "\\row", "{\\*\\x ", "\\v ", "\\s1 ", "Subject: "),
            *("From a 1:00\n", "Content-Type: text/html\n", "=?utf-8?q?=00?=", "|===\n", "= ", ":a: b\n", "<title>"),
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
    assume(not text.startswith(("{\\rtf", "%PDF-")))  # then it is Rich Text or a PDF, whatever it is called
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


CELLS = st.text(alphabet="ab1é \"'\n", min_size=1, max_size=6).filter(str.strip)


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5)
    ),
    separator=st.sampled_from(",;\t|"),
)
def test_csv_gives_back_the_table_that_was_written(rows: list[list[str]], separator: str) -> None:
    file = StringIO()
    csv.writer(file, delimiter=separator).writerows(rows)
    assert formats.read(file.getvalue().encode(), "a.csv")[1].text == markdown_table(rows)


@given(rows=st.lists(st.lists(st.sampled_from(["", "", "word", "1", "2024-01-05"]), max_size=7), max_size=9))
def test_grids_lose_no_cell_and_invent_none(rows: list[list[str]]) -> None:
    blocks = Blocks()
    write_grid(rows, blocks)
    lines = [line for line in blocks.text.split("\n") if "---" not in line]
    written = [word for line in lines for word in line.replace("|", " ").split()]
    assert sorted(written) == sorted(cell for row in rows for cell in row if cell)
