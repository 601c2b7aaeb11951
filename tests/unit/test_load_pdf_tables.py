"""PDF tables: ruled, shaded and merely aligned ones, labels with values, and what only looks like a table."""

from __future__ import annotations

from reportlab.lib import colors
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Table, TableStyle

from rag.load.pdf import read
from rag.load.pdf_span import Span
from rag.load.pdf_tables import aligned_table
from tests.pdfs import Draw, drawn, write

ROWS = [["Ship", "Year", "Masts"], ["Anna", "1871", "3"], ["Berta", "1904", "2"], ["Clara", "1911", "4"]]
MARKDOWN = (
    "| Ship | Year | Masts |\n| --- | --- | --- |\n| Anna | 1871 | 3 |\n| Berta | 1904 | 2 |\n| Clara | 1911 | 4 |"
)


def text_of(*pages: Draw) -> str:
    return read(drawn(*pages), "a.pdf").text


def put(canvas: Canvas, table: Table, x: float = 72, top: float = 700) -> None:
    _, height = table.wrapOn(canvas, 450, 700)
    table.drawOn(canvas, x, top - height)


def ruled(rows: list[list[str]], *styles: tuple[object, ...], top: float = 700) -> Draw:
    grid = ("GRID", (0, 0), (-1, -1), 0.5, colors.black)
    return lambda canvas: put(canvas, Table(rows, colWidths=100, style=TableStyle([grid, *styles])), top=top)


def aligned(rows: list[list[str]], *, step: float = 120, leading: float = 14) -> Draw:
    def draw(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                write(canvas, 72 + step * column, 700 - leading * number, cell)

    return draw


def test_table_with_lines_becomes_markdown() -> None:
    assert text_of(ruled(ROWS)) == MARKDOWN


def test_table_without_outer_lines_becomes_markdown() -> None:
    table = Table(ROWS, colWidths=100, style=TableStyle([("INNERGRID", (0, 0), (-1, -1), 0.5, colors.black)]))
    assert text_of(lambda canvas: put(canvas, table)) == MARKDOWN


def test_table_of_columns_that_keep_apart_becomes_markdown() -> None:
    assert text_of(aligned(ROWS)) == MARKDOWN


def test_table_stands_between_the_paragraphs_around_it() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 72, 720, "All ships that were ever registered:")
        ruled(ROWS)(canvas)
        write(canvas, 72, 560, "None of them is left.")

    assert text_of(draw) == f"All ships that were ever registered:\n\n{MARKDOWN}\n\nNone of them is left."


def test_table_cell_over_several_rows_is_said_in_each() -> None:
    rows = [["Yard", "Ship", "Year"], ["Port Ellen", "Anna", "1871"], ["", "Berta", "1904"]]
    found = text_of(ruled(rows, ("SPAN", (0, 1), (0, 2)), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")))
    assert "| Port Ellen | Anna | 1871 |\n| Port Ellen | Berta | 1904 |" in found


def test_table_cell_over_several_columns_leaves_the_others_empty() -> None:
    rows = [["Ships of the yard", "", ""], *ROWS]
    assert text_of(ruled(rows, ("SPAN", (0, 0), (2, 0)))).startswith(
        "| Ships of the yard |  |  |\n| --- | --- | --- |\n| Ship |"
    )


def test_table_cell_of_several_lines_is_one_cell() -> None:
    rows = [ROWS[0], ["Anna, later\nBerta", "1871", "3"], ROWS[2]]
    assert "| Anna, later Berta | 1871 | 3 |" in text_of(ruled(rows))


def test_table_with_empty_cells_keeps_its_columns() -> None:
    rows = [ROWS[0], ["Anna", "", "3"], ["Berta", "1904", ""], ["", "1911", "4"], ["Dora", "1912", "1"]]
    assert "| Anna |  | 3 |\n| Berta | 1904 |  |\n|  | 1911 | 4 |" in text_of(aligned(rows))


def test_table_that_goes_on_keeps_its_header() -> None:
    more = [["Dora", "1912", "1"], ["Emma", "1920", "2"]]
    found = text_of(ruled(ROWS), ruled(more, top=750))
    assert (
        found == f"{MARKDOWN}\n\n| Ship | Year | Masts |\n| --- | --- | --- |\n| Dora | 1912 | 1 |\n| Emma | 1920 | 2 |"
    )


def test_labels_and_values_become_lines() -> None:
    rows = [
        ["Name:", "Anna", "Built:", "1871"],
        ["Master:", "J. Olsen", "Masts:", "3"],
        ["Owner:", "Olsen & Co", "", ""],
    ]
    expected = "Name: Anna\nBuilt: 1871\nMaster: J. Olsen\nMasts: 3\nOwner: Olsen & Co"
    assert text_of(aligned(rows, step=100)) == expected
    assert text_of(ruled(rows)) == expected


def test_frame_around_text_is_no_table() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.rect(60, 600, 400, 120)
        canvas.rect(60, 660, 400, 60)
        write(canvas, 72, 700, "A box with a sentence in it.")
        write(canvas, 72, 640, "Another box with a sentence.")

    assert "|" not in text_of(draw)


def test_chart_is_no_table() -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(5):
            canvas.line(100, 500 + 30 * number, 400, 500 + 30 * number)
            canvas.rect(120 + 60 * number, 500, 30, 20 + 20 * number, fill=1)
            write(canvas, 100 + 60 * number, 485, f"in the year 19{number}0")
        canvas.line(100, 500, 100, 650)

    assert "|" not in text_of(draw)


def test_contents_of_a_right_to_left_table_begin_at_the_right() -> None:
    words = [["שנה", "אונייה"], ["1871", "אנה"], ["1904", "ברטה"], ["1911", "קלרה"]]
    rows = [
        [Span(cell, 200 * c, 200 * c + 50, 14 * r, 10) for c, cell in enumerate(row)] for r, row in enumerate(words)
    ]
    table = aligned_table(rows, [(50, 200)])
    assert table is not None
    assert table.rows[:2] == [["אונייה", "שנה"], ["אנה", "1871"]]
