"""Grounded examples: the passages that answering would read, with the evidence among them or without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune import files
from models.base import InputError
from models.prompt import REFUSAL
from rag.config import load
from rag.evaluate.questions import Evidence, Question
from rag.ground import Answered, Recipe, ground, read_answered
from rag.knowledge_base import KnowledgeBase
from rag.types import Document
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator
from tests.training import write_rows

TOPICS = ("badge", "parking", "leave", "sickness", "travel", "pension", "laptop", "kitchen", "library", "bicycle")


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator(["Yes [1]."])


@pytest.fixture
def base(tmp_path: Path, generator: ScriptedGenerator) -> Iterator[KnowledgeBase]:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number, topic in enumerate(TOPICS):
        text = f"# {topic.title()}\n\nThe {topic} office is in room {100 + number}. Ask about your {topic} there.\n"
        (folder / f"{topic}.md").write_text(text)
    with Workspace(
        load(data_dir=tmp_path / "data", environment={}), embedder=HashEmbedder(), generator=generator
    ) as workspace:
        base = workspace.collection("handbook", create=True)
        base.add(folder)
        yield base


def asked(topic: str, number: int) -> dict[str, object]:
    evidence = [{"source": f"{topic}.md", "quote": f"The {topic} office is in room {100 + number}."}]
    return {
        "id": topic,
        "question": f"Where is the {topic} office?",
        "answer": f"Room {100 + number}.",
        "evidence": evidence,
    }


@pytest.fixture
def answered(tmp_path: Path) -> list[Answered]:
    rows = [asked(topic, number) for number, topic in enumerate(TOPICS)]
    return read_answered(
        write_rows(tmp_path / "qa.jsonl", [*rows, {"question": "Who is the king?", "answerable": False}])
    )


def test_examples_hold_what_answering_reads(
    base: KnowledgeBase, answered: list[Answered], generator: ScriptedGenerator, tmp_path: Path
) -> None:
    passages = base.settings.answer.passages
    rows = ground(base, answered[:3], Recipe(passages, 1, seed=0))
    examples = files.read([write_rows(tmp_path / "grounded.jsonl", rows)])
    assert not examples.bad
    for one, example in zip(answered, examples.usable, strict=False):
        base.ask(one.question.text)
        assert example.prompt == generator.asked[-1].messages
        assert example.holds_evidence
        place = next(n for n, source in enumerate(example.sources or (), start=1) if source.evidence)
        assert example.answer == f"{one.answer.rstrip('.')} [{place}]."


def test_passages_are_trimmed_as_for_answers_but_never_lose_their_evidence(
    base: KnowledgeBase, answered: list[Answered], generator: ScriptedGenerator
) -> None:
    filler = " ".join(f"Nothing of interest is said in sentence {number}." for number in range(30))
    base.add_documents([Document("hall.md", f"The hall opens at nine. {filler} Porters sit there.", "Hall")])
    short = base.settings.answer.model_copy(update={"context_characters": 400})
    base = base.with_settings(base.settings.model_copy(update={"answer": short}))
    evidence = (Evidence("hall.md", "Porters sit there."),)
    row, *_ = ground(
        base, [Answered(Question("q", "When does the hall open?", evidence), "There", "hall.md")], Recipe(2, 1)
    )
    base.ask("When does the hall open?")
    served = generator.asked[-1].messages[-1].content
    hall, other = (next(one for one in row["context"] if one["evidence"] is held) for held in (True, False))
    assert "Porters sit there." in hall["text"]
    assert "Porters sit there." not in served
    assert other["text"] in served


def test_share_of_examples_keeps_its_evidence(base: KnowledgeBase, answered: list[Answered]) -> None:
    rows = ground(base, answered, Recipe(3, 0.5, seed=1))
    kept = [row for row in rows if any(passage["evidence"] for passage in row["context"])]
    assert 2 <= len(kept) <= 8
    for row in rows:
        assert 1 <= len(row["context"]) <= 3
        if row not in kept:
            assert row["answer"] == REFUSAL
            assert all("evidence" in passage for passage in row["context"])
    assert rows[-1]["answer"] == REFUSAL
    assert rows == ground(base, answered, Recipe(3, 0.5, seed=1))
    assert rows != ground(base, answered, Recipe(3, 0.5, seed=2))


def test_without_evidence_no_passage_says_the_answer(base: KnowledgeBase, answered: list[Answered]) -> None:
    rows = ground(base, answered[:10], Recipe(5, 0, seed=0))
    assert len(rows) == 10
    for row, one in zip(rows, answered, strict=False):
        assert all(one.answer.rstrip(".").casefold() not in passage["text"].casefold() for passage in row["context"])


def test_evidence_that_retrieval_misses_is_put_in(base: KnowledgeBase, tmp_path: Path) -> None:
    row = asked("badge", 0) | {"question": "bicycle library kitchen laptop pension travel"}
    (found,) = ground(base, read_answered(write_rows(tmp_path / "q.jsonl", [row])), Recipe(2, 1, seed=0))
    assert [passage["evidence"] for passage in found["context"]] == [False, True]
    assert found["answer"] == "Room 100 [2]."


def test_family_shares_its_passages(base: KnowledgeBase, tmp_path: Path) -> None:
    about = [{"source": "badge.md"}]
    asked_of_badges = [
        asked("badge", 0),
        {"id": "who", "question": "Who may ask?", "answer": "Staff.", "evidence": about},
        {"id": "when", "question": "When does the badge office close?", "answerable": False, "evidence": about},
    ]
    path = write_rows(tmp_path / "q.jsonl", [*asked_of_badges, asked("leave", 2)])
    rows = ground(base, read_answered(path), Recipe(2, 1, family=3))
    shown = [[passage["text"] for passage in row["context"]] for row in rows]
    assert shown[0] == shown[1] == shown[2] != shown[3]
    assert [row["answer"] for row in rows[:3]] == ["Room 100 [1].", "Staff [1].", REFUSAL]
    assert not any(passage["evidence"] for passage in rows[2]["context"])
    apart = ground(base, read_answered(path), Recipe(2, 1, family=2))
    assert [passage["text"] for passage in apart[2]["context"]] != shown[0]
    without = ground(base, read_answered(path), Recipe(2, 0, family=3))
    assert [row["answer"] for row in without] == [REFUSAL] * 4
    assert all(passage["source"] != "badge.md" for passage in without[1]["context"])


def test_passages_can_stand_in_any_order(base: KnowledgeBase, answered: list[Answered]) -> None:
    rows = ground(base, answered[:10], Recipe(4, 1, shuffled=1.0))
    numbers = [row["answer"].partition("[")[2][0] for row in rows]
    assert len(set(numbers)) >= 3
    for row, number in zip(rows, numbers, strict=True):
        assert row["context"][int(number) - 1]["evidence"]


def test_question_whose_evidence_is_not_there_is_left_out_and_named(
    base: KnowledgeBase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = asked("badge", 0) | {"id": "lost", "evidence": [{"source": "badge.md", "quote": "The badge office moved."}]}
    path = write_rows(tmp_path / "q.jsonl", [lost, asked("leave", 2)])
    rows = ground(base, read_answered(path), Recipe(2, 1, seed=0))
    assert [row["id"] for row in rows] == ["leave"]
    assert "lost is left out" in caplog.text


def test_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: the id 'badge' is taken"):
        read_answered(write_rows(tmp_path / "q.jsonl", [asked("badge", 0), asked("badge", 1)]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": " "}, "line 1: the question is empty"),
        ({"question": "x", "evidence": [{"source": "a.md"}]}, "line 1: it has evidence, but no answer"),
        ({"question": "x", "answer": "y", "evidence": [{"source": "nowhere.md"}]}, "holds none of the 1 places"),
    ],
)
def test_questions_that_cannot_be_used_are_named(
    base: KnowledgeBase, tmp_path: Path, row: dict[str, object], message: str
) -> None:
    path = write_rows(tmp_path / "q.jsonl", [row])
    with pytest.raises(InputError, match=message):
        ground(base, read_answered(path), Recipe(2, 1, seed=0))
