"""Tables and code are told from the paragraphs around them."""

import pytest

from rag.markup import Kind, blocks, header_ends

TABLE = "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n"


def found(text: str, *, rst: bool = False) -> list[tuple[Kind, str]]:
    return [(block.kind, text[block.start : block.end].strip()) for block in blocks(text, (0, len(text)), rst=rst)]


def kinds(text: str, *, rst: bool = False) -> list[Kind]:
    return [kind for kind, _ in found(text, rst=rst)]


def test_blocks_are_paragraphs_tables_and_fences() -> None:
    text = f"One.\n\nTwo.\n{TABLE}Three.\n\n```py\nx = 1\n\ny = 2\n```\n\nFour."
    assert found(text) == [
        (Kind.PROSE, "One."),
        (Kind.PROSE, "Two."),
        (Kind.TABLE, TABLE.strip()),
        (Kind.PROSE, "Three."),
        (Kind.CODE, "```py\nx = 1\n\ny = 2\n```"),
        (Kind.PROSE, "Four."),
    ]


@pytest.mark.parametrize(
    "table",
    [
        "| a |\n| - |\n| 1 |\n",
        "a | b\n--|:-:\n1 | 2\n",
        "  | a \\| x | b |\n  |---|---|\n  | 1 |\n",
        "| a | b |\n| --- | --- |",
        "| a | b |\n| :-- | --: |\n\n",
    ],
)
def test_table_is_recognised_by_its_delimiter_line(table: str) -> None:
    assert kinds(table) == [Kind.TABLE]


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n| 1 | 2 |\n",
        "| a | b | c |\n| --- | --- |\n| 1 | 2 |\n",
        "a heading\n---\n| 1 |\n",
        "| --- | --- |\n| 1 | 2 |\n",
        "| a | b |\n\n| --- | --- |\n",
        "a | b\n---+---\n1 | 2\n",
    ],
)
def test_lines_with_bars_are_no_table_without_a_header_and_a_fitting_delimiter_line(text: str) -> None:
    assert Kind.TABLE not in kinds(text)


def test_table_ends_where_a_line_has_no_bar() -> None:
    assert found(f"{TABLE}So much for that.\n| not | this |\n")[1:] == [
        (Kind.PROSE, "So much for that.\n| not | this |")
    ]


def test_rows_begin_below_the_delimiter_line() -> None:
    (table,) = blocks(TABLE, (0, len(TABLE)))
    assert TABLE[table.body :].startswith("| 1 | 2 |")


@pytest.mark.parametrize("fence", ["```", "~~~~", "  ```"])
def test_table_in_a_fence_is_code(fence: str) -> None:
    assert kinds(f"{fence}\n{TABLE}{fence}\n") == [Kind.CODE]


def test_fence_ends_at_one_of_its_kind_that_is_as_long() -> None:
    assert kinds("````\n```\n~~~\n\n````\n\nText.") == [Kind.CODE, Kind.PROSE]


def test_blocks_join_up_to_the_text() -> None:
    text = "```\n```\n\n  ```a\n  ```\n  | a |\n  | - |\n\n  | b |\n  | - |\n  end"
    found = list(blocks(text, (0, len(text))))
    assert [block.kind for block in found] == [Kind.CODE, Kind.CODE, Kind.TABLE, Kind.TABLE, Kind.PROSE]
    assert "".join(text[block.start : block.end] for block in found) == text


def test_fence_that_nothing_closes_hides_no_table() -> None:
    assert kinds(f"```\n\n{TABLE}") == [Kind.PROSE, Kind.TABLE]


def test_backquotes_in_a_line_are_no_fence() -> None:
    assert kinds("```code``` in a line\n\ntext\n\n```\n") == [Kind.PROSE] * 3


def test_literal_block_of_restructuredtext_is_code() -> None:
    text = "Do this::\n\n    x = 1\n\n    y = 2\n\nThen that."
    assert found(text, rst=True) == [
        (Kind.PROSE, "Do this::"),
        (Kind.CODE, "x = 1\n\n    y = 2"),
        (Kind.PROSE, "Then that."),
    ]
    assert Kind.CODE not in kinds(text)


def test_code_directive_of_restructuredtext_belongs_to_its_code() -> None:
    text = "Text.\n\n.. code-block:: python\n   :linenos:\n\n   x = 1\n\nText."
    assert kinds(text, rst=True) == [Kind.PROSE, Kind.CODE, Kind.PROSE]


@pytest.mark.parametrize(
    "text", [".. note::\n\n   Prose.\n", "Nothing below::\n\nText.", "  Deeper::\n\n  Not deeper.\n"]
)
def test_other_directives_and_plain_text_of_restructuredtext_are_no_code(text: str) -> None:
    assert Kind.CODE not in kinds(text, rst=True)


def test_header_is_broken_off_below_the_delimiter_line_or_behind_a_column() -> None:
    text = f"Above.\n\n{TABLE}"
    table = next(block for block in blocks(text, (0, len(text))) if block.kind is Kind.TABLE)
    assert [text[table.start : end] for end in header_ends(text, table)] == [
        "| a | b |\n| --- | --- |\n",
        "| a | b |",
        "| a |",
    ]
