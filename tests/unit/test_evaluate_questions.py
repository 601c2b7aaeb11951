"""Questions with evidence: where it stands, and which hits hold it."""

import json
from pathlib import Path

import pytest

from models.base import InputError
from rag.evaluate.questions import Evidence, Question, locate, rank_passages, read_questions, write_questions
from rag.types import Chunk, Hit

ROOT = Path(__file__).parents[2]
TEXT = "Badges are red. A lost\nbadge costs five pounds. Visitors sign in."
DOCUMENTS = {"badges.md": TEXT, "other.md": "Something else."}


def hit(source: str, start: int, end: int, score: float = 1.0) -> Hit:
    chunk = Chunk(start, end, "x" * (end - start))
    return Hit(start, chunk, 1, source, "", "c", score, 0.0, 0.0)


def question(*evidence: tuple[str, str]) -> Question:
    return Question("q1", "What?", tuple(Evidence(*one) for one in evidence))


def place(quote: str) -> tuple[int, int]:
    return TEXT.index(quote), TEXT.index(quote) + len(quote)


def test_sample_questions_are_read() -> None:
    questions, without = read_questions(ROOT / "docs" / "samples" / "questions.jsonl")
    assert (len(questions), without) == (20, 5)
    assert questions[0].id == "q01"
    assert questions[0].evidence[0].source == "people/leave.md"
    assert not questions[0].synthetic


def test_written_questions_are_read_back(tmp_path: Path) -> None:
    asked = [
        Question("q1", "Was kostet es?", (Evidence("a.md", "fünf"),), synthetic=True),
        Question("q2", "What?", (Evidence("b", ""),)),
    ]
    write_questions(tmp_path / "q.jsonl", asked)
    assert read_questions(tmp_path / "q.jsonl") == (asked, 0)
    assert json.loads((tmp_path / "q.jsonl").read_text().splitlines()[0])["synthetic"] is True


def test_questions_need_neither_id_nor_quote(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '\n{"question": "Where?", "evidence": [{"source": "a.md"}]}\n{"question": "Why?", "evidence": []}\n'
    )
    assert read_questions(path) == ([Question("line 2", "Where?", (Evidence("a.md", ""),))], 1)


def test_malformed_questions_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"id": 1, "question": "A?", "evidence": [{"source": "a"}]}\n'
        '{"id": 1, "question": "B?", "evidence": [{"source": "a"}]}\n'
        '{"question": " ", "evidence": [{"source": "a"}]}\n'
        '{"question": "C?", "evidence": [{"quote": "x"}]}\n'
    )
    with pytest.raises(
        InputError, match=r"line 2: the id '1' is taken.*line 3: the question is empty.*line 4: evidence\.0"
    ):
        read_questions(path)


def test_questions_without_any_evidence_are_refused(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "A?"}\n')
    with pytest.raises(InputError, match=r"no question of .* has evidence; expected lines like"):
        read_questions(tmp_path / "q.jsonl")


def test_quote_is_found_across_a_line_break_and_wherever_it_stands() -> None:
    asked = question(("badges.md", "A lost badge"), ("badges.md", "badge"), ("badges.md", ""))
    targets, lost = locate([asked], DOCUMENTS.get)
    assert [target.spans for target in targets["q1"]] == [(place("A lost\nbadge"),), (place("badge"),), None]
    assert lost == []


def test_only_the_words_of_a_quote_count() -> None:
    text = "| Kettle Bay | *Wall* of the churchyard | 2 |\n| Kettle Bay | none | 25 |"
    asked = question(("t.md", "Kettle Bay Wall of the churchyard 2"), ("t.md", "Kettle Bay 2"), ("t.md", "| - |"))
    targets, lost = locate([asked], {"t.md": text}.get)
    assert [target.spans for target in targets["q1"]] == [((2, text.index(" |\n")),), (), ()]
    assert len(lost) == 2


def test_lost_places_are_counted_and_count_as_missed() -> None:
    asked = question(("badges.md", "Badges are red."), ("badges.md", "Badges are green."), ("gone.md", ""))
    targets, lost = locate([asked], DOCUMENTS.get)
    assert lost == [Evidence("badges.md", "Badges are green."), Evidence("gone.md", "")]
    ranking, judgements = rank_passages([hit("badges.md", *place("Badges are red."))], targets["q1"])
    assert ranking == [("badges.md:0-15", 1.0)]
    assert judgements == {"badges.md:0-15": 1, "missed 1": 1, "missed 2": 1}


def test_questions_about_other_documents_are_refused() -> None:
    with pytest.raises(InputError, match="holds none of the 1 places"):
        locate([question(("gone.md", "x"))], DOCUMENTS.get)


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        (*place("A lost\nbadge costs five pounds."), True),
        (0, len(TEXT), True),
        (*place("costs five"), True),  # a part of it, and nothing else
        (TEXT.index("pounds"), len(TEXT), False),  # grazes its end
        (*place("Visitors sign in."), False),
    ],
)
def test_hit_holds_a_quote_if_they_share_half_of_the_shorter(start: int, end: int, holds: bool) -> None:
    targets, _ = locate([question(("badges.md", "A lost badge costs five pounds."))], DOCUMENTS.get)
    assert targets["q1"][0].is_in(hit("badges.md", start, end)) is holds
    assert not targets["q1"][0].is_in(hit("other.md", start, end))


def test_further_parts_of_a_found_quote_take_no_place() -> None:
    targets, _ = locate([question(("badges.md", "A lost badge costs five pounds."))], DOCUMENTS.get)
    hits = [
        hit("other.md", 0, 9, 0.9),
        hit("badges.md", *place("badge costs five"), 0.8),
        hit("badges.md", *place("five pounds."), 0.7),
        hit("badges.md", *place("Visitors sign in."), 0.6),
    ]
    ranking, judgements = rank_passages(hits, targets["q1"])
    found = "badges.md:{}-{}".format(*place("badge costs five"))
    assert ranking == [
        ("other.md:0-9", 0.9),
        (found, 0.8),
        ("badges.md:{}-{}".format(*place("Visitors sign in.")), 0.6),
    ]
    assert judgements == {found: 1}


def test_hit_that_holds_two_quotes_counts_for_both() -> None:
    targets, _ = locate([question(("badges.md", "Badges are red."), ("badges.md", "Visitors sign in."))], DOCUMENTS.get)
    ranking, judgements = rank_passages([hit("badges.md", 0, len(TEXT))], targets["q1"])
    assert [name for name, _ in ranking] == list(judgements)
    assert len(judgements) == 2
