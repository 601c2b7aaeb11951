"""Answers measured: what each arm is scored on, and what the command writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.base import InputError
from models.prompt import REFUSAL
from rag.config import load
from rag.doubt import USUAL
from rag.evaluate.abstention import NEVER, abstention_object, abstention_table
from rag.evaluate.answers import Outcome, row, run
from rag.evaluate.answers_report import answers_object, answers_table, write_page
from rag.evaluate.asked import Asked, read_dataset, read_questions
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator
from tests.training import write_rows

BADGE = Asked("badge", "Where is the badge office?", ("room 7", "7"), frozenset({"badges.md"}))
KING = Asked("king", "Who is the king of badges?", (), frozenset())
SAID = "The badge office is in room 7 [1]."


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator([SAID], adapters=("house-style",))


@pytest.fixture
def workspace(tmp_path: Path, generator: ScriptedGenerator) -> Iterator[Workspace]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "badges.md").write_text("# Badges\n\nThe badge office is in room 7.\n")
    (folder / "leave.md").write_text("# Leave\n\nThe leave office is in room 8.\n")
    with Workspace(
        load(data_dir=tmp_path / "data", collection="handbook", environment={}),
        embedder=HashEmbedder(),
        generator=generator,
    ) as opened:
        opened.collection("handbook", create=True).add(folder)
        yield opened


def outcomes(workspace: Workspace, *asked: Asked) -> list[Outcome]:
    base = workspace.collection("handbook")
    return run(workspace, base, asked, "house-style", ["base", "retrieval", "adapter", "both"], lambda all_of: all_of)


def test_arms_differ_in_retrieval_and_adapter(workspace: Workspace, generator: ScriptedGenerator) -> None:
    found = outcomes(workspace, BADGE)
    assert [one.arm for one in found] == ["base", "retrieval", "adapter", "both"]
    assert [asked.adapter for asked in generator.asked] == [None, None, "house-style", "house-style"]
    assert ["Sources:" in asked.messages[-1].content for asked in generator.asked] == [False, True, False, True]
    base, retrieval, _, _ = found
    assert base.scores == {"em": 0.0, "f1": pytest.approx(4 / 8), "contains": 1.0, "answerable_answered": 1.0}
    assert retrieval.scores | {"f1": 0} == {
        "em": 0.0,
        "f1": 0,
        "contains": 1.0,
        "answerable_answered": 1.0,
        "found": 1.0,
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "supported": 1.0,
    }
    assert not retrieval.failed


def test_refusals_are_right_only_where_there_is_no_answer(workspace: Workspace, generator: ScriptedGenerator) -> None:
    generator.replies = [REFUSAL]
    refused = {one.arm: one for one in outcomes(workspace, BADGE) if one.arm == "retrieval"}["retrieval"]
    assert refused.scores == {"em": 0.0, "f1": 0.0, "contains": 0.0, "answerable_answered": 0.0, "found": 1.0}
    assert refused.cause == "declined a question that has an answer"
    assert all(one.scores == {"unanswerable_refused": 1.0} and not one.failed for one in outcomes(workspace, KING))
    generator.replies = [SAID]
    (answered, *_) = outcomes(workspace, KING)
    assert (answered.scores, answered.cause) == (
        {"unanswerable_refused": 0.0},
        "answered a question that has no answer",
    )


def test_cause_of_a_wrong_answer_is_named(workspace: Workspace, generator: ScriptedGenerator) -> None:
    generator.replies = ["In room 9."]
    causes = {one.arm: one.cause for one in outcomes(workspace, BADGE)}
    assert causes["base"] == "answer wrong"
    assert causes["both"] == "evidence found, answer wrong"
    elsewhere = Asked("badge", BADGE.text, BADGE.answers, frozenset({"none.md"}))
    assert {one.arm: one.cause for one in outcomes(workspace, elsewhere)}["both"] == "evidence not found"


def test_report_holds_means_intervals_and_failures_first(
    workspace: Workspace, generator: ScriptedGenerator, tmp_path: Path
) -> None:
    wrong = Asked("when", "When does the <badge> office close?", ("at six",), frozenset({"badges.md"}))
    found = outcomes(workspace, BADGE, wrong, KING)
    told = answers_object(found, {"model": "m", "engine": "e", "adapter": "house-style", "documents": 2, "chunks": 2})
    both = told["arms"]["both"]
    assert (both["contains"], both["unanswerable_refused"], both["n"]) == (0.5, 0.0, 3)
    assert both["intervals"]["contains"] == [0.0, 1.0]
    assert both["causes"] == {"evidence found, answer wrong": 1, "answered a question that has no answer": 1}
    assert "fewer than 30" in told["warnings"][0]
    assert [column.header for column in answers_table(told).columns] == [
        "measure", "base", "retrieval", "adapter", "both",
    ]  # fmt: skip
    write_page(tmp_path / "page.html", told, found)
    page = (tmp_path / "page.html").read_text()
    assert "When does the &lt;badge&gt; office close?" in page
    assert page.index("&lt;badge&gt;") < page.index(BADGE.text)
    json.dumps(list(map(row, found)))
    with pytest.raises(InputError, match="cannot be written"):
        write_page(tmp_path / "nowhere" / "page.html", told, found)


def test_dataset_is_read_with_its_distractors(tmp_path: Path) -> None:
    write_rows(tmp_path / "corpus.jsonl", [{"_id": "a", "title": "A", "text": "One."}])
    write_rows(tmp_path / "corpus_distractors.jsonl", [{"_id": "b", "title": "B", "text": "Two."}])
    queries = [
        {"_id": str(n), "text": f"Which {n}?", "answers": ["one"] if n % 2 else [], "answerable": bool(n % 2)}
        for n in range(10)
    ]
    write_rows(tmp_path / "queries.jsonl", queries)
    (tmp_path / "qrels.tsv").write_text("1\ta\t1\n1\tb\t0\n")
    documents, asked = read_dataset(tmp_path)
    assert [document.source for document in documents] == ["a", "b"]
    assert asked[1] == Asked("1", "Which 1?", ("one",), frozenset({"a"}))
    assert not asked[0].is_answerable
    assert [one.id for one in read_dataset(tmp_path, 3)[1]] == ["0", "3", "6"]
    write_rows(tmp_path / "queries.jsonl", [{"_id": "1", "text": "Which?"}])
    with pytest.raises(InputError, match="line 1: it is answerable, but has no 'answers'"):
        read_dataset(tmp_path)


def test_questions_of_a_collection_are_read(tmp_path: Path) -> None:
    rows = [
        {"question": "Where?", "answer": "Here.", "evidence": [{"source": "a.md"}]},
        {"question": "Who?", "answerable": False},
    ]
    path = write_rows(tmp_path / "q.jsonl", rows)
    assert read_questions(path) == [
        Asked("line 1", "Where?", ("Here.",), frozenset({"a.md"})),
        Asked("line 2", "Who?", (), frozenset()),
    ]
    with pytest.raises(InputError, match="no question with an answer"):
        read_questions(write_rows(tmp_path / "q.jsonl", rows[1:]))
    with pytest.raises(InputError, match="line 1: it has evidence, but no answer"):
        read_questions(write_rows(tmp_path / "q.jsonl", [{"question": "x", "evidence": [{"source": "a"}]}]))


def judged(workspace: Workspace, asked: Asked, refusal: float) -> Outcome:
    """Return a question's outcome, as if the model had seen it so likely to have no answer."""
    (found,) = run(workspace, workspace.collection("handbook"), [asked], None, ["retrieval"], lambda all_of: all_of)
    hits = tuple(replace(hit, dense=USUAL) for hit in found.answer.hits)
    return replace(found, answer=replace(found.answer, hits=hits, refusal_probability=refusal, likelihood=1 - refusal))


def test_each_threshold_is_judged_by_what_it_answers_and_what_is_wrong_of_it(workspace: Workspace) -> None:
    """Ten questions with an answer are seen as 0.05 to 0.5 likely to have none, ten without as 0.4 to 0.85."""
    some = [judged(workspace, BADGE, 0.05 * (number + 1)) for number in range(10)]
    some += [judged(workspace, KING, 0.4 + 0.05 * number) for number in range(10)]
    found = abstention_object(some, {"model": "scripted"})
    everything, *_ = found["curve"]
    assert everything == {
        "decline_from": NEVER,
        "answerable_answered": 1.0,
        "unanswerable_refused": 0.0,
        "wrong_of_answered": 0.5,
    }
    at_80 = next(point for point in found["curve"] if point["answerable_answered"] == 0.8)
    assert at_80["decline_from"] == pytest.approx(0.45)
    assert at_80["unanswerable_refused"] == pytest.approx(0.9)
    assert at_80["wrong_of_answered"] == pytest.approx(1 / 9)
    assert found["best"]["unanswerable_refused"] + found["best"]["answerable_answered"] >= 1.7
    assert found["auroc"]["refusal_probability"] == pytest.approx((100 - 3 - 1.5) / 100)
    assert found["auroc"]["doubt"] == pytest.approx(found["auroc"]["refusal_probability"])
    assert found["auroc"]["likelihood"] == pytest.approx(found["auroc"]["refusal_probability"])
    assert found["warnings"]
    assert abstention_table(found).row_count == len(found["curve"])
