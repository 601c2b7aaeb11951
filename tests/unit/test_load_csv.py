"""Separated values: separators, quotes, and rows of any length."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load.csv import read

TABLE = "| a | b |\n| --- | --- |\n| 1 | 2 |"


def text_of(text: str) -> str:
    return read(text.encode(), "a.csv").text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_finds_the_separator(separator: str) -> None:
    assert text_of(f"a{separator}b\n1{separator}2\n") == TABLE


def test_csv_takes_a_comma_for_a_decimal_one_where_another_separator_fits() -> None:
    assert text_of("1,5;2,5\n3,5;4,5\n") == "| 1,5 | 2,5 |\n| --- | --- |\n| 3,5 | 4,5 |"


def test_csv_believes_a_declared_separator() -> None:
    assert text_of("sep=|\na|b\n1|2\n") == TABLE


def test_csv_keeps_quoted_separators_line_ends_and_bars() -> None:
    assert text_of('a,b\n"x, ""y""","one\ntwo|three"\n') == (
        '| a | b |\n| --- | --- |\n| x, "y" | one two\\|three |'
    )  # fmt: skip


def test_csv_fills_up_short_rows_keeps_long_ones_and_drops_empty_ones() -> None:
    assert text_of("a,b,c\n1\n\n,,\n1,2,3,4\n") == (
        "| a | b | c |  |\n| --- | --- | --- | --- |\n| 1 |  |  |  |\n| 1 | 2 | 3 | 4 |"
    )


def test_csv_sets_titles_above_the_header_apart() -> None:
    assert text_of("Export of May,\n\na,b\n1,2\n") == f"Export of May\n\n{TABLE}"


def test_csv_of_one_column_is_a_list_of_lines() -> None:
    assert text_of("City\nOslo\nBern\n") == "City\nOslo\nBern"


def test_csv_reads_other_encodings_and_drops_marks_and_zero_bytes() -> None:
    assert read("a;b\n1;2\n".encode("utf-16"), "a.csv").text == TABLE
    assert read(b"\xef\xbb\xbfa,b\n" + b"1,2\n" * 9 + b"1,2\x00\n", "a.csv").text == TABLE + "\n| 1 | 2 |" * 9
    extracted = read("名前,年齢\n佐藤太郎,30\n三木英子,25\n".encode("cp932"), "a.csv")
    assert extracted.text.endswith("| 三木英子 | 25 |")
    assert extracted.warnings == ("is not in UTF-8; it was read as cp932, which is a guess.",)


def test_csv_reads_a_field_of_any_length() -> None:
    assert len(text_of(f'a,b\n1,"{"x" * 300_000}"\n')) > 300_000


def test_csv_takes_quotes_for_text_where_one_is_never_closed() -> None:
    extracted = read(b'size,count\n"5 inch,1\n6 inch,2\n', "a.csv")
    assert extracted.text == '| size | count |\n| --- | --- |\n| "5 inch | 1 |\n| 6 inch | 2 |'
    assert extracted.warnings == ("has a quotation mark that is never closed; all of them were taken for text.",)


def test_csv_refuses_what_is_no_text() -> None:
    with pytest.raises(InputError, match="is binary"):
        read(bytes(range(256)) * 20, "a.csv")
