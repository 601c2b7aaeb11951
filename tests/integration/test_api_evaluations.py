"""Question sets and evaluations of a collection through the server: scores over time, and what stands behind them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models.prompt import REFUSAL
from tests.serving import BADGE_QUESTION, LEAVE_QUESTION, REPLY, Beat, Live, serving, wait_until
from tests.team import user

QUESTIONS: list[dict[str, Any]] = [
    BADGE_QUESTION,
    LEAVE_QUESTION,
    {
        "id": "gone",
        "question": "What does the badge say about leave?",
        "answer": "nothing",
        "evidence": [{"source": "gone.md", "quote": "a quote that stands nowhere"}],
    },
    {"id": "king", "question": "Who is king?", "answerable": False},
]


def text(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def put(client: httpx.Client, name: str = "handbook-questions", rows: str = text(QUESTIONS)) -> httpx.Response:
    return client.post("/api/question-sets", json={"collection": "handbook", "name": name, "text": rows})


def ended(live: Live, run: int) -> dict[str, Any]:
    done = ("done", "failed", "cancelled", "interrupted")
    wait_until(lambda: live.client.get(f"/api/runs/{run}").json()["state"] in done, seconds=60)
    found: dict[str, Any] = live.client.get(f"/api/runs/{run}").json()
    return found


def evaluate(live: Live, **more: Any) -> dict[str, Any]:
    asked = put(live.client).json()
    run = live.client.post("/api/evaluations", json={"set_id": asked["id"], **more}).json()
    return ended(live, run["id"])


def test_retrieval_is_scored_and_the_miss_is_shown(live: Live) -> None:
    run = evaluate(live)
    assert run["failure"] == ""
    retrieval = run["result"]["retrieval"]
    assert retrieval["queries"] == 3
    assert retrieval["recall@10"] == pytest.approx(2 / 3)
    assert run["result"]["answers"] is None
    assert any("stand nowhere" in warning for warning in retrieval["warnings"])
    cases = live.client.get(f"/api/evaluations/{run['id']}/cases").json()["cases"]
    assert [(case["id"], case["failed"], case["rank"]) for case in cases] == [
        ("gone", True, None),
        ("badge", False, 1),
        ("leave", False, 1),
    ]
    place = cases[1]["found"][0]
    assert (place["source"], place["title"], place["heading"]) == ("badges.md", "Badges", "Badges")
    shown = live.client.get(f"/api/documents/handbook/{place['document_id']}", params={"start": place["start"]}).json()
    assert "five pounds" in shown["text"]
    only = live.client.get(f"/api/evaluations/{run['id']}/cases", params={"failed": True}).json()["cases"]
    assert [case["id"] for case in only] == ["gone"]
    assert len(live.client.get("/api/evaluations", params={"collection": "handbook"}).json()["runs"]) == 1


def test_answers_are_scored_by_the_queue(live: Live) -> None:
    live.generator.replies = [REPLY, "Nobody knows.", REFUSAL, REFUSAL]
    run = evaluate(live, answers=True, adapter="house-style")
    answers = run["result"]["answers"]
    assert (answers["n"], answers["adapter"]) == (4, "house-style")
    assert answers["contains"] == pytest.approx(1 / 3)
    assert answers["unanswerable_refused"] == 1
    cases = {one["id"]: one for one in live.client.get(f"/api/evaluations/{run['id']}/cases").json()["cases"]}
    assert cases["leave"]["causes"] == ["wrong"]
    assert cases["leave"]["answer"] == "Nobody knows."
    assert cases["gone"]["causes"] == ["not_found", "declined"]
    assert not cases["badge"]["failed"]


def test_questions_without_evidence_are_measured_only_with_their_answers(live: Live) -> None:
    rows = [{"question": "What does a lost badge cost?", "answer": "five pounds"}]
    asked = put(live.client, rows=text(rows)).json()["id"]
    refused = live.client.post("/api/evaluations", json={"set_id": asked})
    assert refused.status_code == 422
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert "have them answered, too" in refused.json()["error"]["message"]
    assert live.client.get("/api/evaluations", params={"collection": "handbook"}).json()["runs"] == []
    run = live.client.post("/api/evaluations", json={"set_id": asked, "answers": True}).json()["id"]
    result = ended(live, run)["result"]
    assert (result["retrieval"], result["answers"]["n"]) == (None, 1)


def test_bad_lines_are_named_and_nothing_is_kept(live: Live) -> None:
    refused = put(live.client, rows='{"question": "a", "answer": "b"}\n{"answer": "no question"}\nnot json\n')
    assert refused.status_code == 422
    message = refused.json()["error"]["message"]
    assert "handbook-questions, line 2: question" in message
    assert "line 3" in message
    assert "no question with evidence" in put(live.client, rows='{"question": "a"}\n').json()["error"]["message"]
    assert live.client.get("/api/evaluations", params={"collection": "handbook"}).json()["sets"] == []


def test_evaluation_is_cancelled_in_mid_answer_and_begun_again(live: Live) -> None:
    live.generator.replies, live.generator.gate = ["word " * 300], Beat()
    asked = put(live.client).json()
    run = live.client.post("/api/evaluations", json={"set_id": asked["id"], "answers": True}).json()["id"]
    wait_until(lambda: live.generator.asked, seconds=30)
    live.client.post(f"/api/runs/{run}/cancel")
    assert ended(live, run)["state"] == "cancelled"
    wait_until(lambda: live.generator.closed == 1)
    live.generator.replies, live.generator.gate = [REPLY], None
    live.client.post(f"/api/runs/{run}/resume")
    assert ended(live, run)["state"] == "done"


def test_votes_become_a_question_set(live: Live) -> None:
    body = {"collection": "handbook", "name": "votes"}
    assert live.client.post("/api/question-sets", json=body).json()["error"]["code"] == "no_votes"
    arms = [{"collection": "handbook"}, {"collection": None}]
    made = live.client.post("/api/comparisons", json={"question": "What does a lost badge cost?", "arms": arms}).json()
    number = made["id"]

    def done() -> bool:
        states = [arm["state"] for arm in live.client.get(f"/api/comparisons/{number}").json()["arms"]]
        return states == ["done", "done"]

    wait_until(done)
    vote = {"verdict": "best", "best": made["arms"][0]["id"]}
    assert live.client.post(f"/api/comparisons/{number}/vote", json=vote).status_code == 200
    kept = live.client.post("/api/question-sets", json=body).json()
    assert kept["questions"] == 1
    run = live.client.post("/api/evaluations", json={"set_id": kept["id"]}).json()["id"]
    assert ended(live, run)["result"]["retrieval"]["recall@10"] == 1


def test_deleted_document_takes_its_questions_and_cases_along(live: Live) -> None:
    run = evaluate(live)
    live.client.delete("/api/documents/handbook/1")
    cases = live.client.get(f"/api/evaluations/{run['id']}/cases").json()["cases"]
    assert "badges.md" not in json.dumps(cases)
    (kept,) = live.client.get("/api/evaluations", params={"collection": "handbook"}).json()["sets"]
    assert kept["questions"] == 3
    live.client.delete("/api/collections/handbook")
    live.client.post("/api/collections", json={"name": "handbook"})
    assert live.client.get("/api/evaluations", params={"collection": "handbook"}).json() == {"sets": [], "runs": []}


@pytest.fixture
def live_of_many(live: Live) -> Iterator[tuple[Live, httpx.Client]]:
    with user(live, "bob") as bob:
        yield live, bob


def test_reader_of_a_part_sees_no_evaluation(live_of_many: tuple[Live, httpx.Client]) -> None:
    live, bob = live_of_many
    run = evaluate(live)["id"]
    theirs = [
        ("GET", f"/api/runs/{run}"),
        ("POST", f"/api/runs/{run}/start"),
        ("POST", f"/api/runs/{run}/cancel"),
        ("POST", f"/api/runs/{run}/resume"),
        ("DELETE", f"/api/runs/{run}"),
        ("GET", f"/api/runs/{run}/report"),
        ("GET", f"/api/evaluations/{run}/cases"),
        ("DELETE", "/api/question-sets/1"),
    ]
    for method, path in theirs:
        assert bob.request(method, path).status_code == 404, path
    assert bob.post("/api/evaluations", json={"set_id": 1}).status_code == 404
    grant = {"level": "read", "user": "bob", "source": "leave.md"}
    assert live.client.put("/api/collections/handbook/grants", json=grant).status_code == 204
    for path in (f"/api/runs/{run}", f"/api/evaluations/{run}/cases", "/api/evaluations?collection=handbook"):
        assert bob.get(path).status_code == 403, path
    assert put(bob).status_code == 403
    assert live.client.put("/api/collections/handbook/grants", json={"level": "read", "user": "bob"}).status_code == 204
    assert bob.get(f"/api/evaluations/{run}/cases").json()["cases"]
    assert put(bob, "bobs").status_code == 201


def test_right_that_is_taken_back_ends_an_evaluation(live_of_many: tuple[Live, httpx.Client]) -> None:
    live, bob = live_of_many
    live.client.put("/api/collections/handbook/grants", json={"level": "read", "user": "bob"})
    live.generator.gate = threading.Event()
    asked = put(bob).json()["id"]
    run = bob.post("/api/evaluations", json={"set_id": asked, "answers": True}).json()["id"]
    wait_until(lambda: live.generator.asked, seconds=30)
    live.client.put("/api/collections/handbook/grants", json={"level": "none", "user": "bob"})
    live.generator.gate.set()
    found = ended(live, run)
    assert (found["state"], found["result"]) == ("failed", None)
    assert "the evaluation ended" in found["failure"]


def test_administrator_sees_storage_and_the_queue(live: Live) -> None:
    live.generator.gate = threading.Event()
    body = {"question": "What does a lost badge cost?", "arms": [{"collection": "handbook"}, {"collection": None}]}
    live.client.post("/api/comparisons", json=body)
    wait_until(lambda: live.generator.asked)
    found = live.client.get("/api/machine").json()
    assert [(one["who"], one["running"]) for one in found["queue"]] == [("program", True), ("program", False)]
    assert found["storage"]["documents"] > 10_000
    assert found["storage"]["free"] > 0
    live.generator.gate.set()


def test_server_that_ends_interrupts_an_evaluation(tmp_path: Any) -> None:
    with serving(tmp_path / "data") as live:
        live.generator.gate = threading.Event()
        asked = put(live.client).json()["id"]
        run = live.client.post("/api/evaluations", json={"set_id": asked, "answers": True}).json()["id"]
        wait_until(lambda: live.generator.asked, seconds=30)
        stopping = threading.Timer(0.5, live.generator.gate.set)
        stopping.start()
    with serving(tmp_path / "data") as live:
        assert live.client.get(f"/api/runs/{run}").json()["state"] == "interrupted"
