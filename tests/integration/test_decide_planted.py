"""
Three tasks with a known outcome, decided with the default models: retrieval, fine-tuning, and no difference.

Three adapters are trained and some five hundred questions answered, which takes a while: ``HOMEGROUND_TEST_PLANTED=1``.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.decide.config import read
from scripts.decide.run import Decision, decide
from scripts.decide.task import read_task
from tests.training import write_rows

pytestmark = pytest.mark.skipif(
    "HOMEGROUND_TEST_PLANTED" not in os.environ, reason="takes 40 minutes; set HOMEGROUND_TEST_PLANTED"
)

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Japan": "Tokyo", "Russia": "Moscow", "Greece": "Athens", "Egypt": "Cairo",
    "Austria": "Vienna", "Ireland": "Dublin", "Norway": "Oslo", "Finland": "Helsinki", "Poland": "Warsaw",
    "Hungary": "Budapest", "Cuba": "Havana", "Peru": "Lima", "Kenya": "Nairobi", "Thailand": "Bangkok",
    "China": "Beijing", "Sweden": "Stockholm", "Iraq": "Baghdad", "Iran": "Tehran",
}  # fmt: skip
"""What the default model knows by itself."""

SHELVES = [f"{letter}{number}" for letter in "BCDFGHKM" for number in (2, 3, 5, 6, 7, 8, 9)]
TRAINING = {"steps": 16, "learning_rate": 2e-3, "batch_size": 8, "max_length": 512, "kl_weight": 0}


def decided(
    folder: Path, documents: dict[str, str], train: list[dict[str, Any]], test: list[dict[str, Any]], **settings: Any
) -> Decision:
    """Write a task, and decide it."""
    (folder / "documents").mkdir()
    for name, text in documents.items():
        (folder / "documents" / f"{name}.md").write_text(text, encoding="utf-8")
    write_rows(folder / "train.jsonl", train)
    write_rows(folder / "test.jsonl", test)
    told = {
        "name": "planted", "test": "test.jsonl", "train": "train.jsonl", "documents": "documents", "device": "cpu",
        "answer": {"passages": 1, "max_tokens": 12}, "training": TRAINING,
    }  # fmt: skip
    (folder / "decide.yaml").write_text(yaml.safe_dump(told | settings), encoding="utf-8")
    config = read(folder / "decide.yaml")
    return decide(config, read_task(config), folder / "out", data_dir=None, track=lambda some, _: some)


def shares(decision: Decision) -> dict[str, float]:
    """Return the share of right answers of every way."""
    return {one.arm.name: float(one.table["right"].mean()) for one in decision.results}


def test_retrieval_wins_where_the_facts_stand_in_documents_only(tmp_path: Path) -> None:
    chance = random.Random(5)
    codes = {shelf: str(chance.randint(1000, 9999)) for shelf in SHELVES}
    rows = [{"question": f"What is the code of shelf {shelf}?", "answer": code} for shelf, code in codes.items()]
    documents = {f"shelf-{shelf}": f"The code of shelf {shelf} is {code}." for shelf, code in codes.items()}
    test = [{"question": row["question"], "references": [row["answer"]]} for row in rows[:36]]
    found = decided(tmp_path, documents, rows[36:], test)
    told = shares(found)
    assert told["base"] == 0
    assert told["adapter"] < 0.1
    assert (found.recommendation.verdict, found.recommendation.winner) == ("winner", "retrieval"), told


def test_fine_tuning_wins_where_only_the_form_has_to_be_learnt(tmp_path: Path) -> None:
    rows = [{"question": f"Book shelf {shelf}.", "answer": f"BOOK/{shelf}/OK"} for shelf in SHELVES]
    documents = {f"shelf-{shelf}": f"Shelf {shelf} stands in the cellar." for shelf in SHELVES}
    test = [{"question": row["question"], "references": [row["answer"]]} for row in rows[:36]]
    found = decided(tmp_path, documents, rows[36:], test, score="exact")
    assert (found.recommendation.verdict, found.recommendation.winner) == ("winner", "adapter"), shares(found)


def test_no_difference_is_shown_where_there_is_none(tmp_path: Path) -> None:
    """Half of it the model knows already; the other half stands nowhere."""
    chance = random.Random(6)
    test = [{"question": f"What is the capital of {land}?", "references": [city]} for land, city in CAPITALS.items()]
    test += [
        {"question": f"What is the code of shelf {shelf}?", "references": [str(chance.randint(1000, 9999))]}
        for shelf in SHELVES[:16]
    ]
    documents = {land: f"The capital of {land} is {city}." for land, city in CAPITALS.items()}
    train = [
        {"question": asked.format(land), "answer": f"The capital of {land} is {city}."}
        for land, city in CAPITALS.items()
        for asked in ("Name the capital city of {}.", "Which city is the capital of {}?")
    ]
    found = decided(tmp_path, documents, train, test, answer={"passages": 1, "max_tokens": 24})
    told = shares(found)
    assert told["base"] > 0.4
    assert (found.recommendation.verdict, found.recommendation.winner) == ("no difference shown", None), told
    assert found.recommendation.advised == "base"


@pytest.fixture(autouse=True)
def _default_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOMEGROUND_ADAPTERS_DIR", raising=False)
