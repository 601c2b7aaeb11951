"""What counts as standing in an answer: words in any script, numbers as they are, and no remnants of a quote."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from rag.evaluate.questions import Evidence
from scripts.decide.arms import BY_NAME
from scripts.decide.cache import Output, Outputs
from scripts.decide.config import DecideConfig
from scripts.decide.form import from_schema
from scripts.decide.measure import Scored, holds, score
from scripts.decide.task import Asked
from scripts.decide.wording import contains


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("Das ist „Raum 7“.", "Raum 7"),
        ("It is room 7—left of the stairs", "room 7"),
        ("21 days…", "21 days"),
        ("Ask in the manager’s office.", "manager's office"),
        ("答案是北京。", "北京"),
        ("สำนักงานอยู่ที่กรุงเทพฯ", "กรุงเทพ"),
        ("会議室は東京タワーです", "東京タワー"),
        (unicodedata.normalize("NFD", "Es ist Köln."), "Köln"),
        ("उत्तर हिन्दी है।", "हिन्दी"),
        ("It opens at 9 a.m. on Mondays", "9 am"),
        ("1,500 metres", "1500 metres"),
        ("It costs £ 5.", "£5"),
        ("**Room 7** [note]", "the room 7"),
        ("−5 °C", "-5 °C"),
        ("A", "a"),
        ("It means →.", "→"),
    ],
)
def test_reference_is_found_whatever_the_punctuation(answer: str, wanted: str) -> None:
    assert contains(answer, wanted)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("15 days", "1.5 days"),
        ("1.5 days", "15 days"),
        ("25", "2.5"),
        ("-5", "5"),
        ("5", "-5"),
        ("$5", "€5"),
        ("room 70", "room 7"),
        ("at 10:30", "30"),
        ("हिन्दू", "हिन्दी"),
    ],
)
def test_other_number_or_word_is_not_found(answer: str, wanted: str) -> None:
    assert not contains(answer, wanted)


def test_half_of_a_quote_counts_only_if_it_says_something() -> None:
    short = Evidence("a.md", "21 days")
    assert holds("They are kept for 21 days.", short)
    assert not holds("We close for nine days.", short)
    long = Evidence("a.md", "You have 5 paid days a year to look after a child")
    assert holds("By law you have 5 paid days: every year.", long)
    assert not holds("By law you have 5 days to look after a child.", long)


def scored(text: str, reference: str, score_by: str, *, field: str | None = None, **asked: Any) -> Scored:
    settings: dict[str, Any] = {"name": "n", "test": Path(__file__), "score": score_by, "form": {"answer_field": field}}
    one = Asked("1", "q", "", (reference,), (), **{"answerable": True, "form": None} | asked)
    output = Output(text, (), (), 0.1, 0.2, 10, 5, None, None)
    return score(one, output, BY_NAME["retrieval"], DecideConfig.model_validate(settings))


@pytest.mark.parametrize(
    ("text", "reference", "score_by", "right"),
    [
        ('{"rooms": [12]}', '{"rooms": [12]}', "fields", 1),
        ('{"rooms": [1]} [1]', '{"rooms": [1]}', "fields", 0),
        ('{"room": 1} [1]', '{"room": 1}', "fields", 1),
        ("[12]", "[12]", "fields", 1),
        ('{"rooms": [12]}', "12", "contains", 1),
        ("It is room 7 [1].", "room 7", "exact", 0),
        ("Room 7 [1].", "room 7", "exact", 1),
        ("[1]", "1", "contains", 0),
    ],
)
def test_numbers_of_sources_are_taken_out_and_values_are_not(
    text: str, reference: str, score_by: str, right: float
) -> None:
    assert scored(text, reference, score_by).scores["right"] == right


def test_list_in_the_field_that_is_compared_stays() -> None:
    found = scored('{"rooms": [12]}', "12", "contains", field="rooms", form=from_schema({"type": "object"}))
    assert found.scores["right"] == 1
    assert scored('{"said": "Room 7 [1]."}', "room 7", "exact", field="said").scores["right"] == 1


def test_kept_outputs_may_hold_any_line_break(tmp_path: Path) -> None:
    output = Output("one\u2028two\x85three\r\nfour", (), (), 0.1, 0.2, 10, 5, None, None)
    Outputs(tmp_path, {}).add("q", output)
    assert Outputs(tmp_path, {}).get("q") == output
