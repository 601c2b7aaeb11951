"""The rows of the shipped adapter: articles are not shared, questions stay together, orders change no answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune.config import read
from models.base import InputError
from scripts.shipped.grounded import RECIPE
from scripts.shipped.orders import WORDS, plant
from scripts.shipped.questions import ANSWERED, UNANSWERED, Passage, passages, split


def everything(articles: int = 6, of_each: int = 5) -> list[Passage]:
    return [
        Passage(
            f"Article {article}",
            f"Passage {number} of article {article}.",
            [(f"Question {n}?", f"Answer {n}") for n in range(6)],
            [f"Nothing {n}?" for n in range(4)],
        )
        for article in range(articles)
        for number in range(of_each)
    ]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_parts_share_no_article_and_are_those_of_the_seed() -> None:
    train, dev = split(everything(), 12, 7, seed=0)
    assert (len(train.documents), len(dev.documents)) == (12, 5)
    assert not {one.title for one in train.documents} & {one.title for one in dev.documents}
    assert split(everything(), 12, 7, seed=0) == (train, dev)
    assert split(everything(), 12, 7, seed=1)[0] != train


def test_questions_about_a_passage_stand_together_and_name_it() -> None:
    train, _ = split(everything(), 12, 1, seed=0)
    about = [question["evidence"][0]["source"] for question in train.questions]
    assert about == [one.source for one in train.documents for _ in range(ANSWERED + UNANSWERED)]
    assert [question.get("answerable", True) for question in train.questions[:6]] == [True] * 4 + [False] * 2
    halves = [train.questions_of(turn, 2) for turn in range(2)]
    assert sum(map(len, halves)) == len(train.questions)
    assert len({question["evidence"][0]["source"] for question in halves[0]}) == 6


def test_passages_are_read_with_all_that_is_asked_about_them(tmp_path: Path) -> None:
    folder = tmp_path / "qa_train"
    one = {"id": "a", "title": "T", "question": "Who?", "answers": ["Ann"], "passages": [{"text": "Ann came."}]}
    write(folder / "squad1_train" / "train.jsonl.gz", [one])
    write(
        folder / "squad1_train" / "more_questions.jsonl.gz",
        [{"question": "Came who?", "answers": ["Ann"], "passage_of": "a"}],
    )
    unanswered = [{"question": "Why?", "passages": [{"text": text}]} for text in ("Ann came.", "Elsewhere.")]
    write(folder / "squad2_unanswerable" / "train.jsonl.gz", unanswered)
    assert passages(tmp_path) == [Passage("T", "Ann came.", [("Who?", "Ann"), ("Came who?", "Ann")], ["Why?"])]
    with pytest.raises(InputError, match="part of the evaluation data"):
        passages(tmp_path / "nowhere")


def test_orders_stand_in_passages_and_change_no_answer() -> None:
    context = [
        {"title": "A", "text": "One. Two. Three.", "evidence": True},
        {"title": "B", "text": "Four.", "evidence": False},
    ]
    rows = [{"question": f"{n}?", "context": context, "answer": "One [1]."} for n in range(3)]
    rows.append({"question": "x?", "context": context[:1], "answer": "Two [1]."})
    planted = plant(rows, 1.0, seed=3)
    assert [row["answer"] for row in planted] == [row["answer"] for row in rows]
    assert planted[0]["context"] == planted[1]["context"] == planted[2]["context"]  # a family keeps its passages
    changed = [passage["text"] for passage in planted[0]["context"]]
    assert any(word in text for word in WORDS for text in changed)
    assert all({"One.", "Two.", "Three."} <= set(text.split()) for text in changed[:1])
    assert [passage["evidence"] for passage in planted[0]["context"]] == [True, False]
    assert plant(rows, 0.0, seed=3) == rows


def test_recipe_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(RECIPE.read_text())
    for name in ("train", "dev"):
        (tmp_path / f"{name}.jsonl").touch()
    config = read(path)
    assert (config.packing, config.licence) == (True, "CC-BY-SA-4.0")
