"""Rows of test and training files as people write them, and what must not be in both."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.examples import example
from models.base import ConfigError, InputError, Message
from models.prompt import REFUSAL
from rag.config import AnswerSettings
from scripts.decide.arms import BY_NAME, Bench, question_key
from scripts.decide.config import DecideConfig
from scripts.decide.examples import plain_rows
from scripts.decide.freshness import edited
from scripts.decide.leaks import refuse_solutions
from scripts.decide.task import Task, read_task
from tests.training import write_rows

KEPT = "How long are recordings kept?"


def read(folder: Path, test: list[dict[str, Any]], train: list[dict[str, Any]] | None = None, **more: Any) -> Task:
    return read_task(config(folder, test, train, **more))


def config(
    folder: Path, test: list[dict[str, Any]], train: list[dict[str, Any]] | None = None, **more: Any
) -> DecideConfig:
    files = {"test": write_rows(folder / "test.jsonl", test)}
    if train is not None:
        files["train"] = write_rows(folder / "train.jsonl", train)
    return DecideConfig.model_validate({"name": "n", **files, **more})


def chat(*turns: str, system: str | None = None) -> dict[str, Any]:
    roles = ("user", "assistant")
    said = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns)]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *said]}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "how long are  recordings kept", "answer": "21 days"},
        {"instruction": "Answer the question.", "input": KEPT, "output": "21 days"},
        {"prompt": f"Question: “{KEPT}” Answer briefly.", "completion": "21 days"},
        chat(KEPT, "21 days", "Thanks.", "You are welcome."),
        chat(KEPT, "21 days", system="You are helpful."),
        {"question": f"({KEPT})", "context": ["Recordings are kept for 21 days."], "answer": "21 days [1]."},
    ],
)
def test_test_question_in_any_turn_of_an_example_is_refused(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"1 of 1 test questions stand in .*: train\.jsonl, line 1 asks what test"):
        read(tmp_path, [{"question": KEPT}], [row])


def test_question_of_another_script_is_recognised_among_other_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 1 test questions"):
        read(
            tmp_path,
            [{"question": "录音保留多久？"}],
            [{"prompt": "问题：录音保留多久？请简答。", "completion": "21天"}],
        )


@pytest.mark.parametrize(
    ("tested", "learnt"),
    [
        ("What is C++?", "What is C#?"),
        ("5 + 3 = ?", "5 - 3 = ?"),
        ("5 + 3 = ?", "2 - 5 + 3 = ?"),
        ("Convert -5 C to F for me", "Convert 5 C to F for me"),
        ("हिन्दी क्या है", "हिन्दू क्या है"),
        ("What is HDR?", "What is HDR good for?"),
        (KEPT, "How long are recordings of the cameras kept?"),
    ],
)
def test_questions_that_differ_are_no_leak_and_no_repetition(tmp_path: Path, tested: str, learnt: str) -> None:
    assert len(read(tmp_path, [{"question": tested}], [{"prompt": learnt, "completion": "x"}]).learnt) == 1
    assert len(read(tmp_path, [{"question": tested}, {"question": learnt}]).asked) == 2


def test_same_question_under_another_instruction_is_another_one(tmp_path: Path) -> None:
    rows = [{"question": KEPT, "system": "In French."}, {"question": KEPT, "system": "In German."}]
    train = [{"question": KEPT, "system": "In Dutch.", "answer": "21 dagen"}]
    assert len(read(tmp_path, rows, train).asked) == 2
    with pytest.raises(InputError, match="asks the same as line 1"):
        read(tmp_path, [rows[0], {"question": f"“{KEPT.upper()}”", "system": "In French."}])
    with pytest.raises(InputError, match="1 of 2 test questions"):
        read(tmp_path, rows, [train[0] | {"system": "In German."}])
    with pytest.raises(InputError, match="2 of 2 test questions"):
        read(tmp_path, rows, [{"question": KEPT, "answer": "21 days"}], instruction="Be brief.")


def test_solutions_among_the_documents_are_refused(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("old")
    apart = config(tmp_path, [{"question": KEPT}], [], documents=docs)
    refuse_solutions(apart, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"documents: --out \(.*\) lies below .*; move"):
        refuse_solutions(apart, docs / "out")
    edit = {"source": "a.md", "file": docs / "a.md", "question": "q", "old": ["x"], "new": ["y"]}
    with pytest.raises(
        ConfigError, match=r"test \(.*\) and train \(.*\) and changes \(.*\) and --out \(.*\) lie below"
    ):
        refuse_solutions(config(docs, [{"question": KEPT}], [], documents=docs, changes=[edit]), docs)


def test_instruction_is_added_only_where_a_row_brings_none(tmp_path: Path) -> None:
    train = [chat("a", "b", system="Mine."), chat("c", "d"), {"prompt": "e", "completion": "f", "system": ""}]
    learnt = read(tmp_path, [{"question": KEPT}], train, instruction="Usual.").learnt
    assert [one.example.history for one in learnt] == [
        (Message("system", "Mine."),),
        (Message("system", "Usual."),),
        (),
    ]


def test_conversation_is_learnt_with_its_earlier_answers(tmp_path: Path) -> None:
    train = [chat("a", "b", "c", "d", system="Mine."), {"prompt": "e", "completion": "f"}]
    learnt = read(tmp_path, [{"question": KEPT}], train).learnt
    again = [example(row, one.example.place) for row, one in zip(plain_rows(learnt), learnt, strict=True)]
    assert again == [one.example for one in learnt]
    assert [one.learns_history for one in again] == [True, False]


def test_test_rows_may_be_those_of_training(tmp_path: Path) -> None:
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    last = {"role": "user", "content": "And now?"}
    rows = [
        {"prompt": turns[:2], "completion": [{"role": "assistant", "content": "right"}]},
        {"prompt": [*turns, last], "completion": "right"},
        {"prompt": [turns[1]], "system": ""},
    ]
    one, talk, bare = read(tmp_path, rows, instruction="Usual.").asked
    assert (one.text, one.system, one.references, one.earlier) == ("user", "system", ("right",), ())
    assert [turn.role for turn in talk.history] == ["system", "user", "assistant"]
    assert (bare.text, bare.history) == ("user", ())
    assert len({question_key(asked) for asked in (one, talk, bare)}) == 3
    with pytest.raises(InputError, match=r"line 1: turn 2 is of 'assistant', expected 'user'"):
        read(tmp_path, [{"prompt": [turns[0], turns[2]]}])


def test_rows_without_an_answer_learn_to_decline_and_numbers_are_answers(tmp_path: Path) -> None:
    train = [
        {"prompt": "Who?", "answerable": False},
        {"instruction": "Say.", "output": None, "answerable": False},
        {"question": "When?", "answer": None, "answerable": False, "evidence": None},
        {"question": "How many?", "answer": 1.50},
    ]
    test = [{"question": KEPT, "answer": None, "references": None, "answerable": False}, {"question": "?", "answer": 5}]
    task = read(tmp_path, test, train)
    assert [one.example.answer for one in task.learnt] == [REFUSAL] * 3 + ["1.5"]
    assert [(one.references, one.answerable) for one in task.asked] == [((), False), (("5",), True)]


def test_rows_that_cannot_be_learnt_from_are_named_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, [{"question": KEPT}], [{"question": "a", "answer": "b", "evidence": "c.md"}, {"prompt": "a"}])
    assert "line 1: evidence: Input should be a valid list" in str(caught.value)
    assert "line 2: has 'prompt'; expected" in str(caught.value)


def test_edit_is_of_the_same_document_however_its_path_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "leave.md").write_text("five days and six weeks")
    base = {"question": "q", "old": ["x"], "new": ["y"]}
    edits = [
        {**base, "source": "./people/leave.md", "find": "five", "replace": "seven"},
        {**base, "source": "people/../people//leave.md", "find": "six", "replace": "nine"},
    ]
    settings = config(tmp_path, [{"question": KEPT}], documents=folder, changes=edits)
    assert edited(settings.changes, folder) == {"people/leave.md": b"seven days and nine weeks"}


def test_ways_that_do_not_search_do_not_depend_on_passages() -> None:
    def facts(arm: str, device: str = "cpu", **answer: int) -> dict[str, Any]:
        workspace: Any = SimpleNamespace(
            models=SimpleNamespace(generator=SimpleNamespace(engine="e")),
            settings=SimpleNamespace(answer=AnswerSettings(**answer)),
        )
        model: Any = SimpleNamespace(weights_hash="w")
        bench = Bench(workspace, model, None, {}, Path(), lambda asked, _: asked, device)
        return bench.facts(BY_NAME[arm], None)

    assert facts("base", passages=1, max_tokens=9) == facts("base", passages=2, max_tokens=9)
    assert facts("base", passages=1, max_tokens=9) != facts("base", passages=1, max_tokens=8)
    assert facts("retrieval", passages=1, max_tokens=9) != facts("retrieval", passages=2, max_tokens=9)
    assert facts("base", "cuda", max_tokens=9) != facts("base", max_tokens=9)
