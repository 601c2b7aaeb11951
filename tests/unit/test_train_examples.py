"""Files of examples: five forms, and every row that cannot be used named with its line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pytest

from finetune import files
from finetune.examples import Example, example
from models.base import InputError, Message
from models.prompt import Passage, grounded, plain


def turns(*contents: str, first: str = "user") -> list[dict[str, str]]:
    roles = ["user", "assistant"] if first == "user" else ["system", "user", "assistant"]
    named = [
        roles[n % 2] if first == "user" else ("system" if n == 0 else roles[1 + (n - 1) % 2])
        for n in range(len(contents))
    ]
    return [{"role": role, "content": content} for role, content in zip(named, contents, strict=True)]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": turns("Be brief.", "Hi", "Yes", first="system")},
        {"system": "Be brief.", "prompt": "Hi", "completion": "Yes", "id": 7},
        {"prompt": turns("Be brief.", "Hi", first="system"), "completion": [{"role": "assistant", "content": "Yes"}]},
        {"system": "Be brief.", "instruction": "Hi", "input": "", "output": "Yes"},
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Hi"},
                {"from": "gpt", "value": "Yes"},
            ]
        },
        {"system": "Be brief.", "question": "Hi", "answer": "Yes", "context": None},
    ],
    ids=lambda row: "+".join(row),
)
def test_every_form_says_the_same(row: dict[str, Any]) -> None:
    found = example(row, "here")
    assert found.prompt == (Message("system", "Be brief."), Message("user", "Hi"))
    assert (found.answer, found.place, found.sources) == ("Yes", "here", None)


def test_prompt_is_worded_as_serving_words_it() -> None:
    assert example({"prompt": "Hi", "completion": "Yes"}, "").prompt == plain("Hi")
    row = {
        "question": "Who?",
        "context": ["One.", {"title": "T", "text": "Two.", "evidence": True}],
        "answer": "Me [2].",
    }
    found = example(row, "")
    assert found.prompt == grounded("Who?", [Passage("", "One."), Passage("T", "Two.")])
    assert found.holds_evidence


def test_alpaca_input_follows_the_instruction() -> None:
    assert (
        example({"instruction": "Translate.", "input": "Haus", "output": "house"}, "").question == "Translate.\n\nHaus"
    )


def test_chat_keeps_its_earlier_turns() -> None:
    found = example({"messages": turns("a", "b", "c", "d")}, "")
    assert [message.content for message in found.history] == ["a", "b"]
    assert (found.question, found.answer, found.learns_history) == ("c", "d", True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (3, "is a int, expected an object"),
        ({}, "has nothing; expected messages, or conversations, or prompt and completion"),
        ({"prompt": "x"}, "has 'prompt'; expected"),
        ({"prompt": "x", "completion": " "}, "completion.*is empty"),
        ({"prompt": "x", "completion": 5}, "completion.*valid string"),
        ({"prompt": "\ud800", "completion": "y"}, "half a surrogate pair"),
        ({"messages": turns("a")}, "messages: List should have at least 2 items"),
        ({"messages": turns("a", "b", "c")}, "ends without an answer"),
        ({"messages": [*turns("a"), *turns("b"), *turns("a", "b")]}, "turn 2 is of 'user', expected 'assistant'"),
        ({"messages": [{"role": "bot", "content": "x"}, *turns("a")]}, "messages.0.role: Input should be"),
        ({"question": "q", "context": [], "answer": "a"}, "context: .*at least 1 item"),
        ({"question": "q", "context": [{"title": "t"}], "answer": "a"}, "context.0.text: Field required"),
    ],
)
def test_row_that_cannot_be_used_says_why(row: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        example(row, "")


def test_bad_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"prompt": "a", "completion": "b"}\n'
        b"\n"
        b"not json\n"
        b'{"prompt": "\xff", "completion": "b"}\n'
        b'{"prompt": "a"}\n'
        b'{"prompt": "c", "completion": "d"}\n'
        b'{"prompt": ' + b"9" * 5000 + b"}\n" + b"[" * 200_000 + b"\n"
    )
    found = files.read([path])
    assert [one.place for one in found.usable] == ["t.jsonl, line 1", "t.jsonl, line 6"]
    assert [bad.place for bad in found.bad] == [f"t.jsonl, line {n}" for n in (3, 4, 5, 7, 8)]
    reasons = "is not JSON", "is not UTF-8", "expected", "is not JSON", "is not JSON"
    assert all(reason in str(bad) for bad, reason in zip(found.bad, reasons, strict=True))


def test_csv_rows_are_read_and_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    context = json.dumps([{"text": "It is red.", "evidence": True}]).replace('"', '""')
    path.write_text(
        'question,answer,context\nq1,"two\nlines",\nq2,red [1].,"' + context + '"\nq3,a,b,c\nq4,a\nq5,,\n',
        encoding="utf-8",
    )
    found = files.read([path])
    assert [(one.question, one.answer) for one in found.usable] == [("q1", "two\nlines"), ("q2", "red [1].")]
    assert found.usable[1].holds_evidence
    assert [bad.place for bad in found.bad] == ["t.csv, line 5", "t.csv, line 6", "t.csv, line 7"]


def test_json_list_and_saved_data_set_are_read(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number}", "completion": "a"} for number in range(3)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    saved = datasets.Dataset.from_list(rows)
    saved.save_to_disk(tmp_path / "saved")
    found = files.read([tmp_path / "t.json", tmp_path / "saved"])
    assert [one.place for one in found.usable][2:4] == ["t.json, row 3", "saved, row 1"]
    datasets.DatasetDict({"train": saved}).save_to_disk(tmp_path / "splits")
    with pytest.raises(InputError, match=r"holds the splits train; name one of them"):
        files.read([tmp_path / "splits"])
    with pytest.raises(InputError, match="is not a data set that was saved to disk"):
        files.read([tmp_path])


@pytest.mark.parametrize(("name", "message"), [("t.parquet", "of no known kind"), ("none.jsonl", "cannot be read")])
def test_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, message: str) -> None:
    if name.startswith("t"):
        (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=message):
        files.read([tmp_path / name])


def one(question: str, answer: str = "a", place: str = "") -> Example:
    return Example(place, (), question, answer)


def test_duplicates_and_leaks_are_found() -> None:
    train = [
        one("What is it?", place="1"),
        one("What is it?", place="2"),
        one("What is it?", "b", "3"),
        one("Else", place="4"),
    ]
    assert files.duplicates(train) == [["1", "2"]]
    assert files.leaks(train, [one("what is IT", "c", "5"), one("New", place="6")]) == [("1", "5")]


@pytest.fixture(autouse=True)
def _no_progress_bars(caplog: pytest.LogCaptureFixture) -> None:
    datasets.disable_progress_bars()
    caplog.set_level(logging.WARNING)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.jsonl").write_text("not json\n")
    found = files.read([tmp_path / "old" / "rows.jsonl", tmp_path / "new" / "rows.jsonl"])
    assert [row.place for row in found.bad] == ["old/rows.jsonl, line 1", "new/rows.jsonl, line 1"]
