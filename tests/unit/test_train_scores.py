"""Scores of answers: exact, shared words, JSON, patterns, queries; and what passages ask for."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from finetune import grounding, scores
from finetune.config import GateSettings
from finetune.examples import example
from models.base import ConfigError
from models.prompt import REFUSAL
from models.squad import contains, f1


def gate(directory: Path, **settings: object) -> GateSettings:
    return GateSettings.model_validate(settings, context={"folder": directory})


def choose(directory: Path, **settings: object) -> scores.Score:
    found = scores.choose(gate(directory, **settings))
    assert found is not None
    return found


def test_without_a_score_there_is_none(tmp_path: Path) -> None:
    assert scores.choose(gate(tmp_path)) is None


def test_exact_match_does_not_count_space_around(tmp_path: Path) -> None:
    score = choose(tmp_path, score="exact_match")
    assert score.measure(" yes\n", "yes") == {"exact_match": 1.0}
    assert score.measure("Yes", "yes") == {"exact_match": 0.0}


def test_f1_counts_shared_words_as_squad_does(tmp_path: Path) -> None:
    score = choose(tmp_path, score="f1")
    assert score.measure("The red, old house!", "an old house") == {"f1": pytest.approx(0.8), "exact_match": 0.0}
    assert score.measure("House", "the house.") == {"f1": 1.0, "exact_match": 1.0}
    assert f1("", "house") == f1("cat", "house") == 0
    assert contains("It was the Red House.", "red house") == 1
    assert contains("It was red, the house.", "house red") == contains("", "red") == 0


def test_json_counts_fields_and_follows_the_schema(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(
        '{"type": "object", "required": ["intent"], "properties": {"intent": {"enum": ["a"]}}}'
    )
    score = choose(tmp_path, score="json_schema", schema="s.json")
    wanted = '{"intent": "a", "slots": {"x": "1", "y": ["p", "q"]}}'
    assert score.measure('{"slots": {"y": ["q", "p"], "x": "1"}, "intent": "a"}', wanted)["field_f1"] == 1
    assert score.measure(wanted.replace(" ", ""), wanted) == {"json_valid": 1.0, "field_f1": 1.0, "exact": 1.0}
    found = score.measure('{"intent": "b", "slots": {"x": "1"}}', wanted)
    assert found == {"json_valid": 0.0, "field_f1": pytest.approx(2 * 1 / (2 + 4)), "exact": 0.0}
    assert score.measure("{", wanted) == {"json_valid": 0.0, "field_f1": 0.0, "exact": 0.0}
    assert score.measure('{"intent": "a", "slots": {}}', '{"intent": "a"}')["field_f1"] < 1
    assert score.measure("[" * 100_000, wanted)["json_valid"] == 0
    assert "cannot be scored" in str(score.problem("not json"))
    assert "scores 0 in" not in str(score.problem(wanted))


def test_pattern_must_match_as_a_whole(tmp_path: Path) -> None:
    score = choose(tmp_path, score="regex", pattern=r"[A-Z]{2}-\d+")
    assert score.measure("AB-12\n", "") == {"matches": 1.0}
    assert score.measure("see AB-12", "") == {"matches": 0.0}
    assert score.problem("nothing") is not None


def test_queries_are_compared_by_their_rows(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "d.sqlite") as connection:
        connection.executescript("CREATE TABLE t (n INTEGER, s TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    connection.close()
    score = choose(tmp_path, score="sql", database="d.sqlite")
    wanted = "SELECT s FROM t ORDER BY n"
    assert score.measure("select s from t order by n desc;", wanted) == {"executes": 1.0, "execution_match": 1.0}
    assert score.measure("select n from t", wanted) == {"executes": 1.0, "execution_match": 0.0}
    for harmful in (
        "DROP TABLE t",
        "INSERT INTO t VALUES (3, 'c')",
        "ATTACH 'x.sqlite' AS x",
        "PRAGMA query_only = OFF",
        "nonsense",
        "",
    ):
        assert score.measure(harmful, wanted)["execution_match"] == 0
    with pytest.raises(sqlite3.DataError, match="too big"):
        scores.run_query(tmp_path / "d.sqlite", "SELECT zeroblob(300000000)")
    assert len(scores.run_query(tmp_path / "d.sqlite", "SELECT * FROM t")) == 2
    assert "cannot be scored" in str(score.problem("SELECT nothing"))


def test_query_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "QUERY_SECONDS", 0.2)
    sqlite3.connect(tmp_path / "d.sqlite").close()
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        scores.run_query(tmp_path / "d.sqlite", endless)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": "json_schema", "schema": "no.json"}, "is not a JSON Schema"),
        ({"score": "json_schema", "schema": "bad.json"}, "is not a JSON Schema"),
        ({"score": "regex", "pattern": "("}, "is not a regular expression"),
        ({"score": "sql", "database": "no.json"}, "is not a SQLite database"),
    ],
)
def test_score_that_cannot_be_used_is_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    (tmp_path / "no.json").write_text("no")
    (tmp_path / "bad.json").write_text('{"type": "objekt"}')
    with pytest.raises(ConfigError, match=message):
        choose(tmp_path, **settings)


def test_grounded_answers_are_judged_by_their_source() -> None:
    context = [{"text": "One."}, {"text": "Two.", "evidence": True}]
    answered = example({"question": "q", "context": context, "answer": "It is two [2]."}, "")
    assert grounding.measure("Two it is [2].", answered) == {"answered": 1.0, "grounded_f1": 1.0, "cited": 1.0}
    assert grounding.measure("It is two [1][2].", answered)["cited"] == 0
    assert grounding.measure(REFUSAL, answered)["answered"] == 0
    refused = example({"question": "q", "context": ["One."], "answer": REFUSAL}, "")
    assert grounding.measure(REFUSAL, refused) == {"refused": 1.0}
    assert grounding.measure("It is one.", refused) == {"refused": 0.0}
    unmarked = example({"question": "q", "context": ["One."], "answer": "one"}, "")
    assert set(grounding.measure("one", unmarked)) == {"answered", "grounded_f1"}
