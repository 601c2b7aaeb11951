"""JSON: keys stay with their values, lists of like records become tables, and what is no JSON is kept as text."""

from __future__ import annotations

import json

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.json import read, read_lines
from rag.types import Heading


def text_of(value: object) -> str:
    return read(json.dumps(value).encode(), "a.json").text


def test_json_writes_values_behind_the_keys_that_lead_to_them() -> None:
    extracted = read(
        b'{"name": "x", "db": {"user": "ann", "pool": {"max": 5.10, "on": true}}, "tags": ["a", "b"]}', "a"
    )
    assert extracted.text == "name: x\n\ndb\n\ndb.user: ann\ndb.pool.max: 5.10\ndb.pool.on: true\n\ntags: a, b"
    assert extracted.headings == (Heading(extracted.text.index("db"), 1, "db"),)
    assert extracted.title == "x"


def test_json_writes_lists_of_like_records_as_tables() -> None:
    servers = [{"host": "a|b", "at": {"rack": 1}}, {"host": "c", "at": {"rack": 2}, "tags": ["x", "y"]}]
    table = "| host | at.rack | tags |\n| --- | --- | --- |\n| a\\|b | 1 |  |\n| c | 2 | x, y |"
    assert text_of(servers) == table
    assert text_of({"servers": servers}) == f"servers\n\n{table}"
    assert text_of({"net": {"name": "n", "servers": servers}}) == f"net\n\nnet.name: n\n\nnet.servers:\n\n{table}"


def test_json_writes_records_by_key_as_a_table() -> None:
    assert text_of({"packages": {"a": {"v": 1, "w": 2}, "b": {"v": 3, "w": 4}}}) == (
        "packages\n\n|  | v | w |\n| --- | --- | --- |\n| a | 1 | 2 |\n| b | 3 | 4 |"
    )


def test_json_gives_named_records_sections_of_their_own() -> None:
    issues = [{"title": "Leak", "body": "It\n\ndrips. " * 40, "user": {"login": "bob"}}, {"title": "Noise", "n": [[1]]}]
    extracted = read(json.dumps({"issues": issues}).encode(), "a.json")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "issues"),
        (2, "Leak"),
        (2, "Noise"),
    ]
    assert "title: Leak\n\nbody: It\n\ndrips." in extracted.text
    assert extracted.text.endswith("title: Noise\nn[0]: 1")


def test_json_numbers_records_without_a_name() -> None:
    rows = [{"body": "long " * 100}, {"body": "b", "x": [{"y": 1}]}]
    assert text_of({"rows": rows}).endswith("rows[1].body: b\n\nrows[1].x[0].y: 1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("just text", "just text"),
        ({"a": None, "b": [], "c": {}, "d": False}, "a: null\nb: []\nc: {}\nd: false"),
        ({"m": [[1, 2], [3]]}, "m\n\nm[0]: 1, 2\nm[1]: 3"),
        ({"q": ["a, b", "c"]}, "q\n\nq[0]: a, b\nq[1]: c"),
    ],
)
def test_json_writes_what_is_neither_record_nor_table(value: object, text: str) -> None:
    assert text_of(value) == text


def test_json_keeps_numbers_as_they_are_written() -> None:
    number = "1" * 5000
    assert read(f'{{"a": 1.50, "b": {number}, "c": NaN}}'.encode(), "a").text == f"a: 1.50\nb: {number}\nc: NaN"


def test_json_lines_make_a_table() -> None:
    extracted = read_lines(b'{"q": "one", "a": 1}\r\n\n{"q": "two", "a": 2}\n', "a.jsonl")
    assert extracted.text == "| q | a |\n| --- | --- |\n| one | 1 |\n| two | 2 |"


def test_json_lines_keep_bad_lines_with_a_warning() -> None:
    extracted = read_lines(b'{"q": "one", "a": 1}\n{"q": "tw\n', "a.jsonl")
    assert extracted.text == 'q: one\na: 1\n\n[1]: {"q": "tw'
    assert extracted.warnings == ("has a line that is no valid JSON, line 2; what is there was kept as text.",)


def test_json_with_several_values_is_read_line_by_line() -> None:
    assert read(b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "a.json").text.count("|") == 12


@pytest.mark.parametrize("data", [b'{"a": 1, // why\n "b": 2}', b'{"a": [1, 2', b"not json"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_that_is_not_valid_is_kept_as_text_with_a_warning(data: bytes, name: str) -> None:
    extracted = formats.read(data, name)[1]
    assert extracted.text == data.decode()
    assert "no valid JSON" in extracted.warnings[0]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_nested_too_deeply_is_refused(opening: bytes, name: str) -> None:
    with pytest.raises(InputError, match="nested deeper than it can be read"):
        formats.read(opening * 100_000, name)


def test_json_nested_deeply_is_read() -> None:
    assert formats.read(b'{"a":' * 200 + b"1" + b"}" * 200, "a.json")[1].text.endswith("a: 1")
