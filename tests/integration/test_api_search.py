"""Searching and asking: the page's API, whole and as server-sent events."""

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.prompt import REFUSAL
from rag.api import answers
from tests.fakes import ScriptedGenerator
from tests.serving import BADGES, REPLY, Live, serving, wait_until

QUESTION = "What does a lost badge cost?"
Events = list[tuple[str, dict[str, Any]]]


def events(text: str) -> Events:
    """Take server-sent events apart; comments are named so."""
    found: Events = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
        elif block:
            found.append(("comment", {}))
    return found


def test_search_gives_passages_with_their_places(shared_live: Live) -> None:
    response = shared_live.client.post("/api/search", json={"question": QUESTION, "k": 1})
    found = response.json()
    assert found["collection"] == "handbook"
    (hit,) = found["hits"]
    assert (hit["source"], hit["title"], hit["heading"], hit["page"]) == ("badges.md", "Badges", "Badges", None)
    assert hit["text"] == BADGES[hit["start"] : hit["end"]]
    assert 0 < hit["score"] <= 1


def test_search_looks_only_where_it_is_told(shared_live: Live) -> None:
    conditions: list[dict[str, Any]] = [
        {"source": "leave.*"},
        {"media_type": "text/html"},
        {"modified_from": 1},
        {"metadata": {"a": 1}},
    ]
    for where in conditions:
        response = shared_live.client.post("/api/search", json={"question": QUESTION, "where": where})
        expected = ["leave.md"] if "source" in where else []
        assert [hit["source"] for hit in response.json()["hits"]] == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": ""}, 422),
        ({"question": "   "}, 422),
        ({"question": "x" * 20_001}, 422),
        ({"question": "x", "k": 0}, 422),
        ({"question": "x", "k": 101}, 422),
        ({"question": "x", "limit": 3}, 422),
        ({"question": "x", "where": {"author": "x"}}, 422),
        ({"question": "x", "where": {"source": "*a*a*a*a*a*a*a*a*a"}}, 422),
        ({"question": "x", "where": {"modified_from": -1}}, 422),
        ({"question": "x", "collection": "../x"}, 422),
        ({"question": "x", "collection": "none"}, 404),
    ],
)
def test_search_out_of_bounds_is_refused(shared_live: Live, body: dict[str, Any], status: int) -> None:
    response = shared_live.client.post("/api/search", json=body)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_ask_answers_from_a_collection(shared_live: Live) -> None:
    body = {"question": QUESTION, "collection": "handbook", "adapter": "house-style", "max_tokens": 99, "seed": 3}
    found = shared_live.client.post("/api/ask", json=body).json()
    assert (found["answer"], found["abstained"], found["model"], found["adapter"], found["collection"]) == (
        REPLY,
        False,
        "scripted",
        "house-style",
        "handbook",
    )
    assert found["engine"] == "script"
    (citation,) = found["citations"]
    assert BADGES[citation["start"] : citation["end"]] == citation["quote"]
    assert set(citation) >= {"source", "page", "heading", "quote", "start", "end", "score"}
    assert set(found["timings"]) == {
        "retrieve_s", "first_token_s", "total_s", "prompt_tokens", "new_tokens", "queued_s",
    }  # fmt: skip
    assert [hit["source"] for hit in found["hits"]] == ["badges.md"]
    params = shared_live.generator.asked[-1].params
    assert (params.max_tokens, params.seed, params.temperature) == (99, 3, 0)


def test_ask_without_a_collection_asks_the_model_alone(shared_live: Live) -> None:
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    found = shared_live.client.post("/api/ask", json={"question": QUESTION, "history": history}).json()
    assert (found["answer"], found["collection"], found["citations"], found["hits"]) == (REPLY, None, [], [])
    contents = [message.content for message in shared_live.generator.asked[-1].messages]
    assert contents[1:] == ["Hello", "Hi", QUESTION]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"collection": "none"}, 404),
        ({"adapter": "none"}, 404),
        ({"question": "badge " * 3000}, 422),
        ({"history": [{"role": "system", "content": "x"}]}, 422),
        ({"history": [{"role": "user", "content": "x"}] * 201}, 422),
        ({"history": [{"role": "user", "content": "x" * 90_000}] * 5}, 422),
        ({"temperature": -1}, 422),
        ({"max_tokens": 10**9}, 422),
    ],
)
def test_ask_out_of_bounds_is_refused(shared_live: Live, change: dict[str, Any], status: int) -> None:
    asked = len(shared_live.generator.asked)
    response = shared_live.client.post("/api/ask", json={"question": QUESTION, "collection": "handbook", **change})
    assert response.status_code == status
    assert len(shared_live.generator.asked) == asked


def test_ask_streams_the_answer(shared_live: Live) -> None:
    body = {"question": QUESTION, "collection": "handbook", "stream": True}
    response = shared_live.client.post("/api/ask", json=body)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    found = events(response.text)
    assert found[0][0] == "queued"
    assert "".join(data["text"] for name, data in found if name == "token") == REPLY
    assert found[-1][0] == "answer"
    assert found[-1][1]["answer"] == REPLY


def test_stream_of_a_question_without_an_answer_shows_what_was_looked_at(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedGenerator([f"  {REFUSAL}"])) as live:
        body = {"question": "Who may drive the badge van?", "collection": "handbook", "stream": True}
        found = events(live.client.post("/api/ask", json=body).text)
    assert "".join(data["text"] for name, data in found if name == "token") == REFUSAL
    assert found[-1][1]["abstained"] is True
    assert [hit["source"] for hit in found[-1][1]["hits"]] == ["badges.md"]


def test_stream_tells_an_error_as_its_last_event(shared_live: Live) -> None:
    body = {"question": "badge " * 3000, "collection": "handbook", "stream": True}
    name, data = events(shared_live.client.post("/api/ask", json=body).text)[-1]
    assert name == "error"
    assert "the question needs" in data["error"]["message"]


def test_stream_tells_the_place_in_the_queue_and_fills_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "HEARTBEAT_S", 0.05)
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate)) as live:
        body = {"question": QUESTION, "stream": True}
        found: list[str] = []

        def ask() -> None:
            with httpx.Client(base_url=live.url, headers=live.client.headers, timeout=30, trust_env=False) as own:
                found.append(own.post("/api/ask", json=body).text)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        threads[0].start()
        wait_until(lambda: live.generator.asked)
        threads[1].start()
        wait_until(lambda: live.service.worker.waiting)
        threading.Event().wait(0.3)
        gate.set()
        for thread in threads:
            thread.join()
    (waited,) = [told for told in map(events, found) if ("queued", {"ahead": 1}) in told]
    assert ("comment", {}) in waited
    assert waited[-1][0] == "answer"


def arrived(live: Live, count: int) -> bool:
    return len(live.generator.asked) + live.service.worker.waiting == count


def test_page_and_program_share_the_generator_fairly(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate)) as live, live.signed_in() as browser:
        browser.headers["Origin"] = live.url
        ended: list[str] = []

        def ask(client: httpx.Client, name: str) -> None:
            client.post("/api/ask", json={"question": name})
            ended.append(name)

        threads = [threading.Thread(target=ask, args=(live.client, f"program {n}")) for n in range(3)]
        threads.append(threading.Thread(target=ask, args=(browser, "page")))
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(partial(arrived, live, number + 1))
        gate.set()
        for thread in threads:
            thread.join()
    asked = [asked.messages[-1].content for asked in live.generator.asked]
    assert asked == ["program 0", "program 1", "page", "program 2"]
    assert len(ended) == 4
