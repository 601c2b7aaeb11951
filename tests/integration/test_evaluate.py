"""Measuring over real stores and indexes: what is indexed once, what is ranked, what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.base import InputError
from rag.config import load
from rag.evaluate.dataset import read_dataset
from rag.evaluate.measure import Measured, measure_dataset, measure_questions
from rag.evaluate.questions import Evidence, Question
from rag.evaluate.report import measured_object
from rag.evaluate.run import read_scores, write_results
from rag.types import Document
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

TOPICS = ("badge desk", "ferry island", "whisky gift", "fire pier", "leave child", "knot rope")


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder(dim=256)


@pytest.fixture
def workspace(tmp_path: Path, embedder: HashEmbedder) -> Iterator[Workspace]:
    settings = load(data_dir=tmp_path / "data", environment={}, retrieval={"candidates": 10})
    with Workspace(settings, embedder=embedder) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """150 documents of six topics; each query's are the 25 of its topic, every fifth of them of grade 2."""
    made = tmp_path / "topics"
    made.mkdir()
    write_corpus(made, range(150))
    with (made / "queries.jsonl").open("w") as file:
        file.writelines(json.dumps({"_id": f"q{n}", "text": topic}) + "\n" for n, topic in enumerate(TOPICS))
    with (made / "qrels.tsv").open("w") as file:
        file.writelines(f"q{n % 6}\td{n}\t{2 if n % 5 == 0 else 1}\n" for n in range(150))
    return made


def write_corpus(folder: Path, numbers: range) -> None:
    rows = [{"_id": f"d{n}", "title": "", "text": f"{TOPICS[n % 6]}. Note {n} of somebody else."} for n in numbers]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def measure(workspace: Workspace, folder: Path, limit: int | None = None) -> Measured:
    return measure_dataset(workspace, "bench", read_dataset(folder, limit), lambda documents: documents)


def test_dataset_is_ranked_by_document_to_depth_100(workspace: Workspace, folder: Path) -> None:
    measured = measure(workspace, folder)
    assert [result.query for result in measured.results] == [f"q{n}" for n in range(6)]
    for result in measured.results:
        names = [name for name, _ in result.ranking]
        assert len(names) == len(set(names)) == 100
        assert {int(name[1:]) % 6 for name in names[:25]} == {int(result.query[1:])}
        assert result.scores["recall@100"] == 1
        assert result.scores["recall@10"] == pytest.approx(10 / 25)
        assert result.scores["mrr@10"] == 1
        assert result.seconds > 0


def test_first_places_are_those_that_a_search_gives(workspace: Workspace, folder: Path) -> None:
    """Deeper searches bring more candidates in; they may only add behind what the collection's settings find."""
    (result, *_) = measure(workspace, folder, limit=1).results
    found = [hit.source for hit in workspace.collection("bench").rank(TOPICS[0], 10)]
    assert [name for name, _ in result.ranking][: len(found)] == found


def test_report_has_the_promised_keys(workspace: Workspace, folder: Path) -> None:
    found = measured_object(measure(workspace, folder))
    assert {"ndcg@10", "recall@10", "recall@100", "mrr@10", "map", "queries", "documents", "intervals"} <= found.keys()
    assert (found["queries"], found["documents"], found["chunks"]) == (6, 150, 150)
    low, high = found["intervals"]["map"]
    assert 0 <= low <= found["map"] <= high <= 1
    assert found["ingest"]["documents_per_s"] > 0
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert found["warnings"] == ["6 queries are fewer than 30: take the intervals as a rough guide."]


def test_second_run_embeds_nothing_and_a_changed_corpus_only_what_changed(
    workspace: Workspace, folder: Path, embedder: HashEmbedder
) -> None:
    first = measure(workspace, folder)
    embedder.embedded = 0
    again = measure(workspace, folder)
    assert embedder.embedded == 0
    assert again.indexed is not None
    assert (again.indexed.documents, again.indexed.unchanged) == ([], 150)
    assert [result.scores for result in again.results] == [result.scores for result in first.results]
    assert measured_object(again)["ingest"]["documents_per_s"] is None

    write_corpus(folder, range(10, 160))
    changed = measure(workspace, folder)
    assert embedder.embedded == 10
    assert changed.documents == 150
    assert {row.source for row in workspace.collection("bench").documents(limit=200)} == {
        f"d{n}" for n in range(10, 160)
    }


def test_dataset_never_mixes_with_other_documents(workspace: Workspace, folder: Path) -> None:
    workspace.collection("bench", create=True).add_documents([Document("mine.md", "My own words.", "Mine")])
    with pytest.raises(InputError, match=r"holds 1 documents that are not from .*choose another --collection"):
        measure(workspace, folder)
    assert [row.source for row in workspace.collection("bench").documents()] == ["mine.md"]


def test_what_was_left_out_is_said(workspace: Workspace, folder: Path) -> None:
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "empty", "title": "", "text": ""}\n')
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "unjudged", "text": "?"}\n')
    with (folder / "qrels.tsv").open("a") as file:
        file.write("q1\tgone\t1\n")
    measured = measure(workspace, folder)
    assert [warning.split(" ", 1)[0] for warning in measured.warnings] == ["1", "1", "1"]
    assert measured.results[1].scores["recall@100"] == pytest.approx(25 / 26)


def test_questions_are_measured_by_the_place_of_their_evidence(workspace: Workspace) -> None:
    text = "Badges are red.\n\n" + "Nothing to see here at all. " * 60 + "\n\nA lost badge costs five pounds."
    base = workspace.collection("handbook", create=True)
    base.add_documents([Document("badges.md", text, "Badges"), Document("pier.md", "Fire on the pier.", "Pier")])
    asked = [
        Question("cost", "What does a lost badge cost in pounds?", (Evidence("badges.md", "costs five pounds"),)),
        Question("whole", "Where is the fire?", (Evidence("pier.md", ""),)),
        Question("gone", "Who?", (Evidence("gone.md", "nobody"),), synthetic=True),
    ]
    measured = measure_questions(workspace, "handbook", asked, 2)
    scores = {result.query: result.scores for result in measured.results}
    assert scores["cost"]["ndcg@10"] == scores["whole"]["ndcg@10"] == 1
    assert scores["gone"]["recall@100"] == 0
    place, _ = measured.results[0].ranking[0]
    source, span = place.split(":")
    start, end = map(int, span.split("-"))
    assert source == "badges.md"
    assert "costs five pounds" in text[start:end]
    assert [warning[:2] for warning in measured.warnings] == ["2 ", "1 ", "1 "]
    assert "for example in gone.md: 'nobody'." in measured.warnings[1]


def test_questions_about_a_collection_that_is_not_there_are_refused(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="there is no collection 'none'"):
        measure_questions(workspace, "none", [Question("q", "?", (Evidence("a", ""),))], 0)


def test_per_query_results_are_read_back(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    results = measure(workspace, folder).results
    write_results(tmp_path / "run.jsonl", results)
    assert read_scores(tmp_path / "run.jsonl") == {result.query: result.scores for result in results}
    line = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[0])
    assert line["text"] == TOPICS[0]
    assert line["top"][0].keys() == {"id", "score"}


def test_per_query_results_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text(
        '{"query": "a", "metrics": {}}\n{"query": "a", "metrics": {}}\n{"query": "b"}\n'
    )
    with pytest.raises(InputError, match=r"line 2: the query 'a' is taken.*line 3: metrics: Field required"):
        read_scores(tmp_path / "run.jsonl")
    (tmp_path / "run.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no results"):
        read_scores(tmp_path / "run.jsonl")
    with pytest.raises(InputError, match="cannot be written"):
        write_results(tmp_path / "none" / "run.jsonl", [])
