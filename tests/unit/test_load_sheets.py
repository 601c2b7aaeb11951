"""Spreadsheets: sheets, values as people see them, and what lies beside and above the cells."""

from __future__ import annotations

import base64
import datetime
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import xlsxwriter

from models.base import InputError
from rag.load.sheets import read
from rag.load.values import Extracted
from tests.archives import archive, changed

XLS = (
    "c-rk)O=uHA6#izDZGLF}YAUos2?blN?LoYFX}3zXr-Wz^{vc?Q=1^kOvZM#SSgkn<f+xjGp&s;5_2LgI=t1xxRP-PSLZU}cf`W%O>zkKZNvlF5"
    "TByvo%r|e|%-eZ8GjC>hUoFKd^LIO|Sc4&WP;&xkY0wEu0k;qZ)jN(9-P}*f(b!Z7_-P_rOgsv`^vOAt^Ie63JKkr+zz0evFpbnyF`w8#>}MY`"
    "Li#XBEO4DPVRW!pZOl35EzGyM<zwby)?8v9q_!1t97|TJZ?9U#M~!Z-3q#)bKHI!w&2F^gg<QqwE{l3w6Z`Cm%;`;5(dBK$0%$@<^ToU^%Msi_"
    "5I9B{NG1nHMk<KYWG~>WlK{TBQT;Tb^&6`fApN)1df#vKewxI!`YVPPn1yqSgQScQB3@ZzVyrZkD=ecIvaC`%W0xqzQ!|s<ylnzw6UAI!>SrdW"
    "gK~T4?I5~pI|y-@v=Waa!g7p*B})D*-~9YKnN3?KSu@K=K>eWDF8zXo^U{Kh!(3x9dnom>yo>n)-*p?yoy>9apYon`yAlr0ahr==+e7{AVZ5<="
    "8{{1%mp>hP&{h6u?Id||w0bta_|}?7HyvE#WG}Bd^oxFR?W)8>%gu$_RNgap{ItRNji~b7QKw-9D>9@AG3I(nj*j?IGSpZ}Yw-(f!Pas-o>2dS"
    "t;4**-Fj}2<&e>adpu~v4F_=$8X6iJ8X6iJ8XA8Dp<c>8>KnmSFa19CUuT6<P5&nOZ*dq?bd~6%@&JmI+c?wI`q>Ioxc3t4v~m9zN*tlyZ4{7Y"
    "KMGB+U;1bhjnA`g!|2}&p=SH9HRI<$?*BV0_|d)"
)
"""A workbook of Excel 97 with a table of parts; written with xlwt, compressed with zlib, in base 85."""


def built(build: Callable[[xlsxwriter.Workbook], Any]) -> bytes:
    buffer = BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        build(workbook)
    return buffer.getvalue()


def read_built(build: Callable[[xlsxwriter.Workbook], Any]) -> Extracted:
    return read(built(build), "a.xlsx")


def rows_of(*rows: list[Any]) -> str:
    """The text of a sheet S with these rows, without its heading."""

    def build(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("S")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)

    return read_built(build).text.removeprefix("S\n\n")


def test_sheets_write_each_sheet_under_its_name() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        workbook.set_properties({"title": "Budget", "author": "Ann", "subject": "Money"})
        for name, value in (("Plan", 1), ("Nothing", ""), ("Done", 2)):
            sheet = workbook.add_worksheet(name)
            sheet.write_row(1, 1, ["Item", "Sum"] if value else [])
            sheet.write_row(2, 1, ["Desk", value] if value else [])

    extracted = read_built(build)
    table = "| Item | Sum |\n| --- | --- |\n| Desk | {} |"
    assert extracted.text == f"Plan\n\n{table.format(1)}\n\nDone\n\n{table.format(2)}"
    assert [(heading.level, heading.title) for heading in extracted.headings] == [(2, "Plan"), (2, "Done")]
    assert (extracted.title, extracted.metadata["author"], extracted.metadata["subject"]) == ("Budget", "Ann", "Money")


def test_sheets_are_no_title() -> None:
    assert read_built(lambda workbook: workbook.add_worksheet("S").write("A1", "x")).title == ""


def test_sheets_show_values_as_people_see_them() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("S")
        formats = ["0.0%", "yyyy-mm-dd", "d.m.yy hh:mm", "hh:mm", "[h]:mm", "0", "0", "0", "@"]
        values: list[Any] = [
            *(0.07, datetime.date(2024, 1, 5), datetime.datetime(2024, 1, 5, 13, 30), datetime.time(8, 15)),
            *(datetime.timedelta(hours=26, minutes=5), 3.0, 0.1 + 0.2, True, "a\nb"),
        ]
        for column, (value, pattern) in enumerate(zip(values, formats, strict=True)):
            sheet.write(0, column, f"column {column}")
            sheet.write(1, column, value, workbook.add_format({"num_format": pattern}))
        sheet.write_formula(1, 9, "=6*7", None, 42)
        sheet.write(0, 9, "formula")

    row = read_built(build).text.split("\n")[-1]
    assert row == "| 7% | 2024-01-05 | 2024-01-05 13:30:00 | 08:15:00 | 26:05:00 | 3 | 0.3 | TRUE | a b | 42 |"


def test_sheets_know_percentages_wherever_the_cells_begin() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("S")
        sheet.write_row("C4", ["Rate", "Factor"])
        sheet.write("C5", 0.125, workbook.add_format({"num_format": 10}))
        sheet.write("D5", 0.125)

    assert read_built(build).text == "S\n\n| Rate | Factor |\n| --- | --- |\n| 12.5% | 0.125 |"


def test_sheets_say_that_formulas_have_no_result() -> None:
    extracted = read_built(lambda workbook: workbook.add_worksheet("S").write_formula("A1", "=B1", None, ""))
    assert extracted.warnings == ("has 1 formulas without a result; save it in a spreadsheet program.",)


def test_sheets_repeat_cells_that_reach_down() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("S")
        sheet.write_row("B2", ["Floor", "Room", "Door"])
        sheet.merge_range("B3:B4", "first")
        sheet.merge_range("C3:D3", "hall")
        sheet.write_row("C4", ["office", "oak"])

    assert read_built(build).text == (
        "S\n\n| Floor | Room | Door |\n| --- | --- | --- |\n| first | hall |  |\n| first | office | oak |"
    )


def test_sheets_read_hidden_ones_and_say_so() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        workbook.add_worksheet("Seen").write("A1", "x")
        hidden = workbook.add_worksheet("Rates")
        hidden.write("A1", "y")
        hidden.hide()

    extracted = read_built(build)
    assert extracted.text == "Seen\n\nx\n\nRates\n\ny"
    assert extracted.warnings == ("has hidden sheets, which were read too: Rates.",)


def test_sheets_set_titles_apart_and_continue_tables_over_empty_rows() -> None:
    assert rows_of(
        ["Report"], [], ["Year", "Sum"], [2023, 5], [], [2024, 6], [], ["Notes", "Who"], ["late", "Ann"], [], ["End"]
    ) == (
        "Report\n\n| Year | Sum |\n| --- | --- |\n| 2023 | 5 |\n| 2024 | 6 |\n\n"
        "| Notes | Who |\n| --- | --- |\n| late | Ann |\n\nEnd"
    )


def test_sheets_tell_tables_apart_that_begin_lower_on_their_right() -> None:
    assert rows_of(["a", "b"], [1, 2], [3, 4, "", "x", "y"], [5, 6, "", 7, 8]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n\n| x | y |\n| --- | --- |\n| 7 | 8 |"
    )


@pytest.mark.parametrize("header", [["", "", 2023, "", 2024], ["", "", "Plan", "", "Actual"]])
def test_sheets_keep_numbers_with_what_they_count_over_an_empty_column(header: list[Any]) -> None:
    assert rows_of(header, ["Rent", "", 10, "", 11], ["Heat", "", 2, "", 3]) == (
        f"|  | {header[2]} | {header[4]} |\n| --- | --- | --- |\n| Rent | 10 | 11 |\n| Heat | 2 | 3 |"
    )


def test_sheets_write_comments_text_boxes_and_charts() -> None:
    def build(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("S")
        sheet.write_column("A1", ["May", "June"])
        sheet.write_column("B1", [10, 20])
        sheet.write_comment("B2", "Checked twice", {"author": "Bea"})
        sheet.insert_textbox("D1", "Draft")
        chart = workbook.add_chart({"type": "column"})
        chart.add_series({
            "name": "Visitors", "categories": "=S!$A$1:$A$2", "values": "=S!$B$1:$B$2",
            "categories_data": ["May", "June"], "values_data": [10, 20],
        })  # fmt: skip
        chart.set_title({"name": "Traffic"})
        chart.set_y_axis({"name": "Thousands"})
        sheet.insert_chart("D5", chart)

    text = read_built(build).text
    assert "\n\nDraft\n\n" in text
    assert "\n\nChart: Traffic; Thousands\n\n|  | Visitors |\n| --- | --- |\n| May | 10 |\n| June | 20 |\n\n" in text
    assert text.endswith("\n\nComment on B2 (Bea): Checked twice")


def test_sheets_read_threaded_comments_instead_of_what_stands_in_for_them() -> None:
    kind = "http://schemas.microsoft.com/office/2017/10/relationships"

    def build(workbook: xlsxwriter.Workbook) -> None:
        workbook.add_worksheet("S").write("A1", "x")
        workbook.worksheets()[0].write_comment("A1", "[Threaded comment] ...", {"author": "tc={1}"})

    def joined(relation: str) -> Callable[[bytes], bytes]:
        return lambda part: part.replace(b"</Relationships>", relation.encode() + b"</Relationships>")

    thread = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
    data = changed(
        built(build),
        {
            "xl/_rels/workbook.xml.rels": joined(f'<Relationship Id="p" Type="{kind}/person" Target="people.xml"/>'),
            "xl/people.xml": b'<personList><person id="{2}" displayName="Cy"/></personList>',
            "xl/worksheets/_rels/sheet1.xml.rels": joined(
                f'<Relationship Id="t" Type="{kind}/threadedComment" Target="../t.xml"/>'
            ),
            "xl/t.xml": f'<ThreadedComments xmlns="{thread}"><threadedComment ref="A1" personId="{{2}}">'
            "<text>Why?</text></threadedComment></ThreadedComments>".encode(),
        },
    )
    assert read(data, "a.xlsx").text == "S\n\nx\n\nComment on A1 (Cy): Why?"


def test_sheets_name_those_that_are_missing() -> None:
    data = changed(
        built(lambda workbook: [workbook.add_worksheet(name).write("A1", name) for name in "AB"]),
        {"xl/_rels/workbook.xml.rels": lambda part: part.replace(b"worksheets/sheet2.xml", b"worksheets/no.xml")},
    )
    extracted = read(data, "a.xlsx")
    assert extracted.text == "A\n\nA"
    assert extracted.warnings == ("names sheets that are not in it: B.",)


def test_sheets_read_the_format_of_excel_97() -> None:
    data = zlib.decompress(base64.b85decode(XLS))
    assert read(data, "a.xls").text == (
        "Stock\n\n| Part | Number | Since |\n| --- | --- | --- |\n| Pump | 3 | 2024-05-06 |"
    )


def test_sheets_read_the_binary_format_of_excel() -> None:
    def record(kind: int, *fields: bytes) -> bytes:
        content = b"".join(fields)
        code = bytes([kind]) if kind < 128 else bytes([kind & 127 | 128, kind >> 7])
        return code + bytes([len(content)]) + content

    def words(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le")

    numbers = struct.pack
    workbook = [
        *(record(131), record(143), record(156, numbers("<II", 0, 1), words("r1"), words("Stock")), record(144)),
        record(132),
    ]
    cells = [record(6, numbers("<II", column, 0), words(text)) for column, text in enumerate(["Part", "Number"])]
    more = [record(6, numbers("<II", 0, 0), words("Pump")), record(5, numbers("<IId", 1, 0, 2.5))]
    sheet = [
        *(record(129), record(148, numbers("<IIII", 0, 1, 0, 1)), record(145)),
        *(record(0, numbers("<I", 0), bytes(13)), *cells, record(0, numbers("<I", 1), bytes(13)), *more),
        *(record(146), record(130)),
    ]
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    main = f'<Relationship Id="m" Type="{kind}/officeDocument" Target="xl/workbook.bin"/>'
    first = f'<Relationship Id="r1" Type="{kind}/worksheet" Target="worksheets/sheet1.bin"/>'
    data = archive({
        "_rels/.rels": relations.format(main), "xl/_rels/workbook.bin.rels": relations.format(first),
        "xl/workbook.bin": b"".join(workbook), "xl/worksheets/sheet1.bin": b"".join(sheet),
    })  # fmt: skip
    assert read(data, "a.xlsb").text == "Stock\n\n| Part | Number |\n| --- | --- |\n| Pump | 2.5 |"


def test_sheets_read_open_document() -> None:
    names = {"office": "office", "table": "table", "text": "text"}
    declared = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"' for name, space in names.items()
    )
    content = (
        f"<office:document-content {declared}><office:body><office:spreadsheet><table:table table:name='Plan'>"
        "<table:table-row><table:table-cell office:value-type='string'><text:p>Day</text:p></table:table-cell>"
        "<table:table-cell office:value-type='string'><text:p>Sum</text:p></table:table-cell></table:table-row>"
        "<table:table-row><table:table-cell office:value-type='date' office:date-value='2024-01-05'/>"
        "<table:table-cell office:value-type='float' office:value='3'/></table:table-row>"
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    meta = "<m><title xmlns='http://purl.org/dc/elements/1.1/'>Week</title></m>"
    manifest = "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    members = {"mimetype": kind, "content.xml": content, "meta.xml": meta, "META-INF/manifest.xml": manifest}
    extracted = read(archive(members), "a.ods")
    assert extracted.text == "Plan\n\n| Day | Sum |\n| --- | --- |\n| 2024-01-05 | 3 |"
    assert extracted.title == "Week"
    with pytest.raises(InputError, match="is encrypted"):
        read(archive(members | {"META-INF/manifest.xml": "<x><encryption-data/></x>"}), "a.ods")


def test_sheets_read_what_programs_export_under_their_name() -> None:
    warning = ("is text under a spreadsheet's name; it was read as such.",)
    page = read(b"<html><table><tr><td>a<td>b<tr><td>1<td>2</table></html>", "a.xls")
    values = read(b"a\tb\n1\t2\n", "a.xls")
    assert page.text == values.text == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert page.warnings == values.warnings == warning


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "is encrypted; save it without a password"),
        (OLE, "is damaged, or no spreadsheet at all"),
        (b"\x00\x01\x02" * 50, "is damaged, or no spreadsheet at all"),
        (archive({"a.txt": "x"}), "no Office document: it has no main part"),
    ],
)
def test_sheets_say_what_a_file_is_instead(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(data, "a.xlsx")


def test_sheets_name_damage_inside() -> None:
    data = built(lambda workbook: workbook.add_worksheet("S").write("A1", "x"))
    with pytest.raises(InputError, match="is damaged"):
        read(changed(data, {"xl/worksheets/sheet1.xml": lambda part: part[:-40]}), "a.xlsx")
    with pytest.raises(InputError, match="is damaged"):
        read(data[:-50], "a.xlsx")
