"""PDF layout: columns, paragraphs, lists, hyphens, running heads and turned text, as a reader would go through them."""

from __future__ import annotations

from itertools import zip_longest

import pytest
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

from rag.load.pdf import read
from rag.load.pdf_joining import joined
from tests.pdfs import Draw, drawn, write

LEFT = simpleSplit(
    "The harbour was built by the first settlers, who had come over the sea in four ships and found a bay that was "
    "deep and out of the wind. They began with a wall of stones against the waves and ended with two lighthouses.",
    *("Helvetica", 10, 200),
)
RIGHT = simpleSplit(
    "In winter the bay freezes over, and people walk from one side to the other, which takes an hour. In spring nobody "
    "knows when the ice will break, and every year there is a prize for the person who comes closest.",
    *("Helvetica", 10, 200),
)


def text_of(*pages: Draw) -> str:
    return read(drawn(*pages), "a.pdf").text


def paragraph(rows: list[str]) -> str:
    return " ".join(rows)


def side_by_side(canvas: Canvas) -> None:
    """Two columns, drawn line by line across the page, as some programs do."""
    for number, (left, right) in enumerate(zip_longest(LEFT, RIGHT, fillvalue="")):
        write(canvas, 72, 700 - 12 * number, left)
        write(canvas, 312, 700 - 12 * number, right)


def test_layout_reads_columns_one_after_the_other() -> None:
    assert text_of(side_by_side) == f"{paragraph(LEFT)}\n\n{paragraph(RIGHT)}"


def test_layout_reads_a_title_across_columns_first_and_a_line_below_them_last() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 180, 730, "The harbour and the ice in winter and in spring", size=14)
        side_by_side(canvas)
        write(canvas, 72, 600, "Both columns end here, and this sentence runs across the whole page below them.")

    title, left, right, below = text_of(draw).split("\n\n")
    assert title.startswith("The harbour and the ice")
    assert (left, right) == (paragraph(LEFT), paragraph(RIGHT))
    assert below.startswith("Both columns")


def test_layout_reads_three_columns() -> None:
    columns = [[f"{name} line {n} of its column" for n in range(6)] for name in ("first", "second", "third")]

    def draw(canvas: Canvas) -> None:
        for number in range(6):
            for column in range(3):
                write(canvas, 60 + 170 * column, 700 - 12 * number, columns[column][number])

    found = text_of(draw)
    places = [found.index(line) for column in columns for line in column]
    assert places == sorted(places)


def test_layout_keeps_a_sidebar_out_of_the_text() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 220, 700, *LEFT, *RIGHT)
        write(canvas, 60, 694, "Ships", "1 Anna", "2 Berta", size=8, leading=9.5)

    found = text_of(draw)
    assert paragraph(LEFT) in found
    assert "Ships\n1 Anna\n2 Berta" in found


def test_layout_goes_on_in_the_next_column() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, *LEFT[:4], "waves that came in every autumn and that")
        write(canvas, 312, 700, "swept away what had been built, until the", *RIGHT[1:])

    assert "autumn and that swept away" in text_of(draw)


def test_layout_parts_paragraphs_at_white_space_and_indentation() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, *LEFT)
        write(canvas, 72, 630, *RIGHT)
        write(canvas, 90, 570, LEFT[0])
        write(canvas, 72, 558, *LEFT[1:])

    assert text_of(draw).split("\n\n") == [paragraph(LEFT), paragraph(RIGHT), paragraph(LEFT)]


def test_layout_keeps_lines_that_were_meant_to_end() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, "Harbour Office", "12 Quay Street", "Port Ellen", "Open on weekdays")

    assert text_of(draw) == "Harbour Office\n12 Quay Street\nPort Ellen\nOpen on weekdays"


def test_layout_keeps_list_items_on_lines_of_their_own() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, "Before you leave the harbour, please remember:")
        for number, (first, second) in enumerate([LEFT[:2], RIGHT[:2], LEFT[2:4]]):
            write(canvas, 80, 680 - 24 * number, "•")
            write(canvas, 100, 680 - 24 * number, first, second)

    items = "\n".join(f"• {first} {second}" for first, second in (LEFT[:2], RIGHT[:2], LEFT[2:4]))
    assert text_of(draw) == f"Before you leave the harbour, please remember:\n\n{items}"


def test_layout_keeps_listings_with_their_indentation() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Courier", 10)
        for number, line in enumerate(["def f(x):", "    if x:", "        return 1", "    return 0"]):
            indent = len(line) - len(line.lstrip())
            canvas.drawString(72 + 6 * indent, 700 - 12 * number, line.lstrip())

    assert text_of(draw) == "def f(x):\n    if x:\n        return 1\n    return 0"


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("the words of a long expla-", "nation were read out loud", "a long explanation were"),
        ("a well known and often self-", "Made thing was the harbour", "often self-Made thing"),
        ("the engine has the number IO-", "470 and was built in a year", "number IO-470 and"),
        ("the year was long, and the well-", "known captain came. He is well-known.", "the well-known captain"),
        ("the tower is very high and old—", "older than the town around it", "and old—older than"),
    ],
)
def test_layout_joins_what_the_end_of_a_line_divided(first: str, second: str, whole: str) -> None:
    assert whole in text_of(lambda canvas: write(canvas, 72, 700, first, second))


def test_layout_joins_han_characters_without_a_space() -> None:
    assert joined("港は最初の移", "住者が作った") == "港は最初の移住者が作った"
    assert joined("코로나의 확", "진자는", {"확진자는"}.__contains__) == "코로나의 확진자는"


def test_layout_drops_running_heads_and_page_numbers() -> None:
    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            write(canvas, 72, 760, "Harbour rules, case 4711")
            write(canvas, 500, 760, f"{number} of 5")
            write(canvas, 72, 700, f"Rule {number} is as follows, and it is not repeated.", *LEFT)
            write(canvas, 300, 30, f"Page {number}")

        return draw

    extracted = read(drawn(*map(page, range(1, 6))), "a.pdf")
    assert extracted.text.count("case 4711") == 1
    assert "Page" not in extracted.text
    assert "of 5" not in extracted.text
    assert extracted.text.count("is not repeated") == 5
    assert [extracted.text[start:].startswith("Rule") for start in extracted.page_starts[1:]] == [True] * 4


def test_layout_keeps_text_that_is_the_same_on_every_page_but_no_running_head() -> None:
    def page(number: int) -> Draw:
        return lambda canvas: write(canvas, 72, 760, f"Part {'ABC'[number]}", *LEFT)

    assert text_of(*map(page, range(3))).count("The harbour was built") == 3


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_layout_reads_turned_pages(angle: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(306, 396)
        canvas.rotate(angle)
        canvas.translate(-250, 100)
        write(canvas, 0, 0, *LEFT)

    assert text_of(draw) == paragraph(LEFT)


def test_layout_reads_text_across_the_page_after_it() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.translate(40, 300)
        canvas.rotate(90)
        write(canvas, 0, 0, "Deposited in the library in March")
        canvas.restoreState()
        write(canvas, 72, 700, *LEFT)

    assert text_of(draw) == f"{paragraph(LEFT)}\n\nDeposited in the library in March"


def test_layout_marks_exponents_and_drops_dot_leaders() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, "The plot measures 10")
        write(canvas, 72 + canvas.stringWidth("The plot measures 10", "Helvetica", 10), 704, "6", size=6)
        write(canvas, 72, 680, "Contents . . . . . . . . . . . . . . . . . 12")

    assert text_of(draw) == "The plot measures 10^6\n\nContents … 12"


def test_layout_reads_words_once_that_were_drawn_twice() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 700, "Bold by drawing twice")
        write(canvas, 72.4, 700, "Bold by drawing twice")

    assert text_of(draw) == "Bold by drawing twice"


def test_layout_keeps_numbered_headings_at_the_top_of_pages() -> None:
    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            write(canvas, 72, 740, f"Lesson {number}", size=16)
            write(canvas, 72, 650, *(LEFT if number % 2 else RIGHT))

        return draw

    found = text_of(*map(page, range(1, 6)))
    assert [f"Lesson {number}" in found for number in range(1, 6)] == [True] * 5
