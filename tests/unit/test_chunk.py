"""Chunks follow the document's structure and keep to the embedder's limit."""

from itertools import pairwise

import pytest

from rag.chunk import split
from rag.load import rst
from rag.load.tables import markdown_table
from rag.types import Chunk, Document, Heading
from tests.fakes import HashEmbedder

token_starts = HashEmbedder().token_starts


def count(text: str) -> int:
    return len(token_starts(text))


def cut(text: str, *, size: int = 40, **fields: object) -> list[Chunk]:
    """Cut a text with plenty of room for title and headings."""
    return split(Document("a", text, "", **fields), token_starts, size=size, limit=size + 100)  # type: ignore[arg-type]


def table(rows: int, columns: tuple[str, ...] = ("Part", "Pressure")) -> str:
    return markdown_table([columns, *([f"r{row}c{column}" for column in range(len(columns))] for row in range(rows))])


def sections(*parts: tuple[int, str, str]) -> tuple[str, tuple[Heading, ...]]:
    """Return a Markdown text of sections, each given as its level, title and body, and its headings."""
    text, headings = "", []
    for level, title, body in parts:
        headings.append(Heading(len(text), level, title))
        text += f"{'#' * level} {title}\n\n{body}\n\n"
    return text, tuple(headings)


LONG = "Some words of this section that are long enough to stand on their own. " * 5


def test_split_keeps_a_short_document_whole() -> None:
    document = Document("a.txt", "One sentence. Another one.", "a")
    (chunk,) = split(document, token_starts, size=50, limit=60)
    assert chunk.text == document.text


def test_split_gives_nothing_for_white_space() -> None:
    assert split(Document("a.txt", " \n\n \t", "a"), token_starts, size=50, limit=60) == []


def test_split_cuts_between_paragraphs_before_it_cuts_inside_one() -> None:
    paragraphs = ["word " * 20 + str(number) for number in range(6)]
    document = Document("a.txt", "\n\n".join(paragraphs), "a")
    chunks = split(document, token_starts, size=45, limit=60)
    assert [chunk.text.count("\n\n") for chunk in chunks] == [1, 1, 1]
    assert all(chunk.text.split("\n\n")[0] in paragraphs for chunk in chunks)


def test_split_cuts_a_long_paragraph_between_sentences() -> None:
    text = " ".join(f"This is sentence number {number} of the paragraph." for number in range(30))
    chunks = split(Document("a.txt", text, "a"), token_starts, size=40, limit=60)
    assert len(chunks) > 1
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_split_cuts_a_text_without_any_boundary_into_runs_of_tokens() -> None:
    chunks = split(Document("a.txt", "word " * 500, "a"), token_starts, size=40, limit=60)
    assert max(count(chunk.text) for chunk in chunks) <= 40
    assert sum(count(chunk.text) for chunk in chunks) == 500


def test_split_packs_chunks_of_even_length() -> None:
    text = "\n\n".join("Ten words stand in this very paragraph, count them." for _ in range(10))
    sizes = [count(chunk.text) for chunk in split(Document("a.txt", text, "a"), token_starts, size=100, limit=200)]
    assert max(sizes) - min(sizes) <= count("Ten words stand in this very paragraph, count them.")


def test_split_makes_room_for_title_and_headings() -> None:
    title = "A title that has quite a number of words in it"
    document = Document("a.txt", "word " * 300, title)
    chunks = split(document, token_starts, size=50, limit=50)
    assert max(count(chunk.searched_text(title)) for chunk in chunks) <= 50


def test_split_gives_each_section_its_heading_path_and_page() -> None:
    body = "Some words of this section that are long enough to stand on their own. " * 5
    text = f"# Leave\n\n{body}\n\n## Annual leave\n\n{body}"
    second = text.index("## Annual")
    document = Document(
        "a.md",
        text,
        "Handbook",
        headings=(Heading(0, 1, "Leave"), Heading(second, 2, "Annual leave")),
        page_starts=(0, second - 5),
    )
    chunks = split(document, token_starts, size=100, limit=200)
    assert [(chunk.headings, chunk.page) for chunk in chunks] == [(("Leave",), 1), (("Leave", "Annual leave"), 2)]


def test_split_joins_a_heading_without_text_with_what_follows() -> None:
    text = "# Leave\n\n## Annual leave\n\n" + "Everybody has some days. " * 10
    headings = (Heading(0, 1, "Leave"), Heading(text.index("## "), 2, "Annual leave"))
    (chunk,) = split(Document("a.md", text, "a", headings=headings), token_starts, size=100, limit=200)
    assert chunk.text.startswith("# Leave")


def test_searched_text_names_the_innermost_headings_of_a_long_path() -> None:
    document = Document("a.md", "text", "T", headings=tuple(Heading(0, level, "h" * 60) for level in (1, 2, 3, 4)))
    (chunk,) = split(document, token_starts, size=100, limit=200)
    prefix = chunk.searched_text("T").split("\n")[0]
    assert len(prefix) <= 160
    assert prefix.endswith("h" * 60)


def test_split_cuts_a_long_table_between_rows_and_repeats_its_header() -> None:
    text = table(30)
    header = "| Part | Pressure |\n| --- | --- |"
    first, *others = cut(text)
    assert (first.table_header, first.text.startswith(header)) == ("", True)
    assert {chunk.table_header for chunk in others} == {header}
    assert "\n".join(chunk.text for chunk in (first, *others)) == text
    assert all(line.startswith("| ") and line.endswith(" |") for chunk in others for line in chunk.text.split("\n"))


def test_split_counts_the_repeated_header() -> None:
    chunks = cut(table(60), size=60)
    sizes = [count(chunk.read_text) for chunk in chunks]
    assert max(sizes) <= 60
    assert min(sizes) >= 30


def test_split_keeps_a_table_that_fits_whole() -> None:
    small = table(3)
    chunks = cut(f"{LONG}\n\n{small}\n\n{LONG}", size=50)
    assert sum(small in chunk.text for chunk in chunks) == 1
    assert not any(chunk.table_header for chunk in chunks)


def test_split_repeats_the_header_of_the_table_that_a_chunk_begins_in() -> None:
    text = f"{table(20)}\n\n{table(20, ('Town', 'Mayor'))}\n\nText behind the tables. {LONG}"
    for chunk in cut(text):
        if chunk.text.startswith("| r"):
            second = chunk.start > text.index("| Town")
            assert chunk.table_header.startswith("| Town | Mayor |" if second else "| Part | Pressure |")
        else:
            assert chunk.table_header == ""


def test_split_cuts_a_row_that_is_too_long_as_text() -> None:
    text = markdown_table([["Name", "Remark"], ["a", "short"], ["b", "One more sentence here. " * 30], ["c", "short"]])
    chunks = cut(text)
    assert max(count(chunk.read_text) for chunk in chunks) <= 40
    assert all(chunk.table_header for chunk in chunks[1:])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("Part",), "| Part |\n| --- |"),
        (tuple(f"column{number}" for number in range(12)), "| column0 | column1 | column2 | column3 | column4 | "),
        (("one cell of so many words that half of the room is not enough for all of them " * 2, "b"), ""),
        (("", ""), ""),
    ],
)
def test_split_shortens_a_header_that_takes_more_than_half_the_room(columns: tuple[str, ...], expected: str) -> None:
    rows = ["| " + " | ".join("x" for _ in columns) + " |"] * 30
    lines = [f"| {' | '.join(columns)} |", "| " + " | ".join("---" for _ in columns) + " |", *rows]
    last = cut("\n".join(lines), size=30)[-1]
    assert last.table_header.startswith(expected)
    assert bool(last.table_header) == bool(expected)
    assert count(last.table_header) <= 15


def test_split_keeps_a_caption_with_the_first_rows() -> None:
    caption = "Table 3: what the parts bear."
    chunks = cut(f"{LONG}\n\n{caption}\n\n{table(30)}")
    (captioned,) = (chunk for chunk in chunks if caption in chunk.text)
    assert "| r0c0 |" in captioned.text


def test_split_leaves_a_table_in_a_fence_alone() -> None:
    assert not any(chunk.table_header for chunk in cut(f"```\n{table(30)}\n```"))


def test_split_keeps_a_fence_whole_if_it_fits() -> None:
    fence = "```\nfirst = 1\n\nsecond = 2\n\nthird = 3\n\nfourth = 4\n```"
    chunks = cut(f"{LONG}\n\n{fence}\n\n{LONG}", size=30)
    assert sum(fence in chunk.text for chunk in chunks) == 1


def test_split_cuts_code_between_lines() -> None:
    lines = [f"for (i = {number}; i < 10; i++) a ? b : c;" for number in range(40)]
    (fence, *_) = texts = [chunk.text for chunk in cut("```\n" + "\n".join(lines) + "\n```", size=60)]
    source = [chunk.text for chunk in cut("\n".join(lines), size=60, media_type="text/x-c")]
    assert fence.startswith("```\nfor")
    assert all(line in (*lines, "```") for text in (*texts, *source) for line in text.split("\n"))


def test_split_cuts_a_long_list_between_items() -> None:
    items = [f"{number}. The item says this; it also says that. And more." for number in range(1, 20)]
    chunks = cut("\n".join(items), size=50, media_type="text/markdown")
    assert len(chunks) > 1
    assert all(line in items for chunk in chunks for line in chunk.text.split("\n"))


def test_split_never_leaves_a_heading_alone() -> None:
    text, headings = sections((1, "Leave", "Ten words stand in this one sentence, count them. " * 4))
    assert all(len(chunk.text) > len("# Leave") for chunk in cut(text, size=42, headings=headings))
    text, headings = sections((1, "Leave", "word " * 80), (1, "Pay", table(6)))
    assert all(len(chunk.text) > len("# Leave") for chunk in cut(text, size=42, headings=headings))


def test_split_names_the_section_that_a_chunk_is_mostly_from() -> None:
    text, headings = sections((1, "Leave", ""), (2, "Annual leave", LONG * 3))
    chunks = cut(text, size=60, headings=headings)
    assert {chunk.headings for chunk in chunks} == {("Leave", "Annual leave")}
    assert chunks[0].text.startswith("# Leave")


def test_split_joins_a_small_section_with_its_like_but_not_with_another_chapter() -> None:
    text, headings = sections((1, "One", LONG), (2, "See also", "Chapter 3."), (1, "Two", LONG))
    assert [chunk.headings for chunk in cut(text, size=200, headings=headings)] == [("One",), ("Two",)]
    text, headings = sections((2, "Author", "Mary."), (2, "Licence", "None."), (2, "Use", LONG))
    assert [chunk.headings for chunk in cut(text, size=200, headings=headings)] == [("Use",)]


def test_split_joins_a_small_last_section_with_the_one_before() -> None:
    text, headings = sections((1, "One", LONG), (1, "See also", "Chapter 3."))
    (chunk,) = cut(text, size=200, headings=headings)
    assert (chunk.headings, chunk.text.endswith("Chapter 3.")) == (("One",), True)


def test_split_puts_a_target_of_restructuredtext_to_the_section_that_it_names() -> None:
    text = f"One\n===\n\n{LONG}\n\n.. _two-label:\n\nTwo\n===\n\n{LONG}"
    first, second = cut(text, size=200, headings=rst.read(text.encode(), "a").headings, media_type="text/x-rst")
    assert "two-label" not in first.text
    assert (second.text.startswith(".. _two-label:"), second.headings) == (True, ("Two",))


def test_split_keeps_a_directive_of_restructuredtext_with_what_it_says() -> None:
    methods = [
        f".. method:: name{number}(x)\n\n   It does this and that with x, many words long." for number in range(9)
    ]
    chunks = cut("\n\n".join(methods), size=45, media_type="text/x-rst")
    assert len(chunks) > 1
    assert "\n\n".join(chunk.text for chunk in chunks).split("\n\n") == "\n\n".join(methods).split("\n\n")
    assert all(chunk.text.startswith(".. method::") and chunk.text.endswith("long.") for chunk in chunks)


def test_read_text_has_the_table_header_above_the_slice() -> None:
    chunk = Chunk(5, 10, "| 1 |", ("Parts",), table_header="| a |\n| --- |")
    assert chunk.read_text == "| a |\n| --- |\n| 1 |"
    assert chunk.searched_text("Title") == f"Title > Parts\n{chunk.read_text}"
    assert chunk.searched_text("Title", prefix=False) == chunk.read_text


def test_overlap_repeats_whole_sentences_of_the_chunk_before_within_a_section() -> None:
    body = " ".join(f"This is sentence number {number} of the section." for number in range(20))
    text, headings = sections((1, "One", body), (1, "Two", body))
    document = Document("a.md", text, "a", headings=headings)
    chunks = split(document, token_starts, size=50, limit=100, overlap=12)
    assert all(count(chunk.text) <= 50 for chunk in chunks)
    for before, chunk in pairwise(chunks):
        shared = text[chunk.start : before.end]
        if chunk.headings == before.headings:
            assert shared.startswith("This is sentence")
            assert shared.endswith("of the section.")
            assert count(shared) <= 12
        else:
            assert shared == ""


def test_overlap_is_nothing_where_the_sentence_before_is_too_long() -> None:
    text = "word " * 40 + ". " + "other " * 40 + "."
    chunks = split(Document("a.txt", text, "a"), token_starts, size=50, limit=60, overlap=10)
    assert all(one.end <= other.start for one, other in pairwise(chunks))


def test_overlap_does_not_reach_above_a_repeated_table_header() -> None:
    chunks = split(Document("a.md", table(40), "a"), token_starts, size=60, limit=100, overlap=20)
    assert all(one.end <= other.start for one, other in pairwise(chunks))
    assert any(chunk.table_header for chunk in chunks)
