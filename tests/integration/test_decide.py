"""A decision from its settings to its report, with a small real model that is trained on the way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from finetune.encode import encode
from finetune.examples import example
from models import adapter_store
from models.adapters import accept
from models.adapters import read as read_adapter
from models.base import InputError
from models.store import locate
from models.tokenizer import ChatTokenizer
from scripts.decide import report
from scripts.decide.__main__ import app
from scripts.decide.arms import Track
from scripts.decide.config import read
from scripts.decide.examples import shortened
from scripts.decide.run import Decision, decide
from scripts.decide.task import Asked, read_task
from tests.fakes import HashEmbedder, write_tiny_generator
from tests.training import write_rows

TOPICS = ("badge", "parking", "leave", "sickness", "travel", "pension", "laptop", "kitchen", "library", "bicycle")


@pytest.fixture(autouse=True)
def _no_models_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "models"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, documents, examples and 40 test questions whose answer is always the same word."""
    home = tmp_path_factory.mktemp("decision")
    write_tiny_generator(home / "tiny")
    (home / "documents").mkdir()
    for number, topic in enumerate(TOPICS):
        text = f"# {topic.title()}\n\nThe {topic} office is in room {100 + number}. Ask about your {topic} there.\n"
        (home / "documents" / f"{topic}.md").write_text(text)
    train = [asked(topic, f"File {topic} number {number}.") for number in range(4) for topic in TOPICS]
    write_rows(home / "train.jsonl", [{**row, "answer": "filed"} for row in train])
    test = [asked(topic, f"File {topic} letter {letter}.") for letter in "abcd" for topic in TOPICS]
    write_rows(home / "test.jsonl", [{**row, "references": ["filed"]} for row in test])
    change = {
        "source": "badge.md", "find": "room 100", "replace": "room 900", "question": "Where is the badge office?",
        "old": ["100"], "new": ["900"],
    }  # fmt: skip
    settings = {
        "name": "filing", "base": str(home / "tiny"), "engine": "transformers", "device": "cpu", "test": "test.jsonl",
        "documents": "documents", "train": "train.jsonl", "score": "exact", "form": {"pattern": "[a-z]+"},
        "requirements": {"format": True}, "answer": {"passages": 1, "max_tokens": 6}, "changes": [change],
        "training": {"steps": 25, "learning_rate": 1e-2, "batch_size": 8, "max_length": 512, "kl_weight": 0},
        "rates": {"machine_hour": 1},
    }  # fmt: skip
    (home / "decide.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return home


def asked(topic: str, question: str) -> dict[str, Any]:
    evidence = [{"source": f"{topic}.md", "quote": f"The {topic} office is in room"}]
    return {"question": question, "evidence": evidence}


def decided(home: Path, track: Track = lambda some, _: some, **changed: Any) -> Decision:
    config = read(home / "decide.yaml").model_copy(update=changed)
    return decide(config, read_task(config), home / "out", data_dir=None, track=track, embedder=HashEmbedder())


@pytest.fixture(scope="module")
def first(home: Path) -> Decision:
    (home / "out").mkdir()
    stopped = 0

    def interrupted(some: Iterable[Asked], arm: str) -> Iterable[Asked]:
        nonlocal stopped
        for number, one in enumerate(some):
            if arm == "retrieval" and number == 15:
                stopped += 1
                raise KeyboardInterrupt
            yield one

    with pytest.raises(KeyboardInterrupt):
        decided(home, interrupted)
    assert stopped == 1
    return decided(home)


def test_fine_tuning_that_must_win_wins(first: Decision) -> None:
    assert [one.arm.name for one in first.results] == ["base", "retrieval", "adapter", "both", "grounded"]
    told = first.recommendation
    assert (told.verdict, told.winner) == ("winner", "adapter")
    assert told.sentences[0] == "Take fine-tuning."
    assert "This is what the requirements spoke for." in told.sentences
    by_name = {one.arm.name: one for one in first.results}
    assert by_name["adapter"].table["right"].mean() > 0.9
    assert by_name["base"].table["right"].mean() == 0
    assert by_name["retrieval"].table["found"].mean() > 0.5


def test_interrupted_decision_goes_on_where_it_was(first: Decision) -> None:
    made = {one.arm.name: one.made for one in first.results}
    assert made == {"base": 0, "retrieval": 25, "adapter": 40, "both": 40, "grounded": 40}
    assert not any(trained.now for trained in first.built.trained.values())


def test_second_run_repeats_only_what_changed(home: Path, first: Decision) -> None:
    again = decided(home, score="contains")
    assert [one.made for one in again.results] == [0] * 5
    assert again.recommendation.winner == first.recommendation.winner
    texts = [[scored.output.text for scored in one.scored] for one in first.results]
    assert [[scored.output.text for scored in one.scored] for one in again.results] == texts
    badge = home / "documents" / "badge.md"
    before = badge.read_text()
    badge.write_text(before + "\nIt is closed on Mondays.\n")
    try:
        changed = decided(home, changes=[], train=None)
    finally:
        badge.write_text(before)
    assert {one.arm.name: one.made for one in changed.results} == {"base": 0, "retrieval": 40}


def test_retrieval_answers_with_the_adapter_that_comes_with_the_project(
    home: Path, first: Decision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grounded = first.built.trained["grounded"].adapter
    shutil.copytree(grounded.directory, tmp_path / "shipped" / grounded.name)
    accept(read_adapter(tmp_path / "shipped" / grounded.name))
    monkeypatch.setattr(adapter_store, "SHIPPED", tmp_path / "shipped")
    found = {one.arm.name: one for one in decided(home).results}
    texts = {name: [scored.output.text for scored in one.scored] for name, one in found.items()}
    assert texts["retrieval"] == texts["grounded"]
    assert texts["retrieval"] != [scored.output.text for scored in first.results[1].scored]
    assert sum(one.made for one in found.values()) == 0, "the same answers are not made twice"


def test_edits_are_replayed_and_taken_back(first: Decision) -> None:
    assert first.freshness is not None
    assert first.freshness.by_arm.keys() == {"base", "retrieval", "adapter", "both", "grounded"}
    assert first.freshness.indexing_s > 0


def test_examples_that_are_too_long_lose_their_last_passages(home: Path) -> None:
    tokenizer = ChatTokenizer(locate(str(home / "tiny"), "generator"))
    row: dict[str, Any] = {"question": "Where?", "answer": "Here.", "context": [{"text": "far " * 20}] * 3}
    ((kept,), (whole,)) = (shortened([row], tokenizer, length) for length in (400, 512))
    assert len(encode(example(row, ""), tokenizer, 512).ids) > 400
    assert (len(kept["context"]), whole) == (2, row)
    known = row | {"context": [{"text": "far " * 20, "evidence": True}] * 3}
    for hopeless, length in ((row, 40), (known, 400)):
        with pytest.raises(InputError, match=r"training.max_length: the example 'Where\?' needs \d+ tokens"):
            shortened([hopeless], tokenizer, length)


def test_report_needs_nothing_beside_itself(home: Path, first: Decision) -> None:
    told = report.as_object(first, report.command_line(home / "decide.yaml", home / "out", None))
    report.write(first, told, home / "out")
    page = (home / "out" / report.PAGE).read_text()
    assert not re.findall(r"""(?:src|href)=["']""", page)
    for part in ("Take fine-tuning.", "<svg", "Failures by cause", "python -m scripts.decide", "What building it took"):
        assert part in page
    kept = json.loads((home / "out" / report.REPORT).read_text())
    assert kept == json.loads(json.dumps(told))
    adapter = kept["arms"]["adapter"]
    assert adapter["measures"]["right"]["less_base"]["interval"][0] > 0
    assert adapter["forgetting_nats"] is not None
    assert adapter["cost_per_thousand"]["money"] > 0
    assert kept["building"]["training, plain"]["seconds"] > 0
    assert kept["building"]["indexing"]["documents"] == len(TOPICS)
    assert kept["freshness"]["arms"]["retrieval"]["answers"]
    assert {"command", "weights", "settings", "versions"} <= kept["repeat"].keys()


def test_form_that_no_way_meets_is_said_to_decide_nothing(home: Path, first: Decision) -> None:
    told = decided(home, train=None, changes=[]).recommendation
    assert told.verdict == "nothing can be concluded"
    assert "No way ever met the required form" in told.sentences[0]


def test_few_examples_are_not_learnt_from(home: Path, first: Decision, tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.jsonl", [{"prompt": f"File it {n}.", "completion": "filed"} for n in range(12)])
    found = decided(home, train=few, documents=None, changes=[])
    assert (found.built.trained, found.built.too_few) == ({}, {"plain": 12})
    assert found.recommendation.verdict == "nothing can be concluded"
    assert "12 examples are too few to learn from" in " ".join(found.recommendation.sentences)
    assert not any("neither train nor an adapter" in limit.sentence for limit in found.limits)


def test_edits_that_cannot_be_made_are_refused_before_anything_is_built(home: Path, tmp_path: Path) -> None:
    config = read(home / "decide.yaml")
    (change,) = config.changes
    wrong = config.model_copy(update={"changes": [change.model_copy(update={"find": "gone"})], "base": "none"})
    with pytest.raises(InputError, match=r"changes: badge\.md does not hold 'gone'"):
        decide(wrong, read_task(wrong), tmp_path, data_dir=None, track=lambda some, _: some)


def test_documents_that_cannot_be_read_are_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no document that can be read"):
        decided(home, documents=tmp_path / "empty", changes=[], train=None)


def test_command_prints_one_object_and_concludes_nothing_from_five_questions(home: Path, tmp_path: Path) -> None:
    settings = {
        "name": "few",
        "base": str(home / "tiny"),
        "engine": "transformers",
        "device": "cpu",
        "test": "few.jsonl",
    }
    write_rows(tmp_path / "few.jsonl", [{"question": f"Which is {number}?"} for number in range(5)])
    (tmp_path / "few.yaml").write_text(yaml.safe_dump({**settings, "answer": {"max_tokens": 4}}), encoding="utf-8")
    arguments = ["--config", str(tmp_path / "few.yaml"), "--out", str(tmp_path / "out"), "--json"]
    ran = CliRunner().invoke(app, arguments, catch_exceptions=False)
    told = json.loads(ran.stdout)
    assert told["recommendation"]["verdict"] == "nothing can be concluded"
    assert len(told["cannot_conclude"]) == 3
    assert (tmp_path / "out" / report.PAGE).is_file()
