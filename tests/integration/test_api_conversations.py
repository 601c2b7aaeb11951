"""Conversations and comparisons over HTTP: whose they are, what survives, and when a turn ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.prompt import REFUSAL
from rag.api.turns import Turns
from rag.evaluate.asked import read_questions
from tests.serving import REPLY, Beat, Live, serving, wait_until

QUESTION = "What does a lost badge cost?"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with serving(tmp_path / "data") as server:
        yield server


def begin(client: httpx.Client, question: str = QUESTION, collection: str | None = "handbook") -> tuple[int, int]:
    conversation = client.post("/api/conversations").json()["id"]
    return conversation, go_on(client, conversation, question, collection)


def go_on(
    client: httpx.Client, conversation: int, question: str, collection: str | None = "handbook", **more: object
) -> int:
    body = {"question": question, "collection": collection, **more}
    reply = client.post(f"/api/conversations/{conversation}/turns", json=body)
    assert reply.status_code == 202, reply.text
    return int(reply.json()["id"])


def follow(client: httpx.Client, *turns: int, after: int = 0) -> list[dict[str, Any]]:
    wanted = ",".join(f"{turn}:{after}" for turn in turns)
    text = client.get("/api/events", params={"follow": wanted}).text
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]


def test_turn_is_followed_and_kept(live: Live) -> None:
    live.generator.gate = Beat()
    conversation, turn = begin(live.client)
    events = follow(live.client, turn)
    assert [event["n"] for event in events] == list(range(1, len(events) + 1))
    assert "".join(event["text"] for event in events if event["type"] == "token") == REPLY
    end = events[-1]["end"]
    assert (end["state"], end["text"]) == ("done", REPLY)
    (sentence,) = end["result"]["sentences"]
    assert (sentence["start"], sentence["end"], sentence["citations"]) == (0, len(REPLY), [0])
    assert "prompt" not in end["result"]
    assert live.client.get(f"/api/turns/{turn}").json()["result"]["prompt"][-1]["content"].endswith(QUESTION)
    kept = live.client.get(f"/api/conversations/{conversation}").json()
    assert (kept["title"], [one["state"] for one in kept["turns"]]) == (QUESTION, ["done"])
    assert follow(live.client, turn)[-1]["end"]["text"] == REPLY  # whoever comes late gets the end


def test_reload_gets_what_it_missed(live: Live) -> None:
    live.generator.gate = threading.Event()
    _, turn = begin(live.client)
    with live.client.stream("GET", "/api/events", params={"follow": f"{turn}:0"}) as stream:
        for line in stream.iter_lines():
            if '"token"' in line:
                break
    gate, live.generator.gate = live.generator.gate, Beat()
    gate.set()
    texts = [event["text"] for event in follow(live.client, turn) if event["type"] == "token"]
    assert "".join(texts) == REPLY


def test_turn_ends_some_time_after_its_last_listener(live: Live) -> None:
    turns: Turns = live.app.state.turns
    turns.linger_s = 0.3
    live.generator.replies = ["word " * 500]
    live.generator.gate = Beat()
    _, turn = begin(live.client)
    wait_until(lambda: live.client.get(f"/api/turns/{turn}").json()["state"] == "left")
    assert live.generator.closed == 1


def test_stop_keeps_what_had_arrived(live: Live) -> None:
    live.generator.replies = ["word " * 500]
    live.generator.gate = Beat()
    _, turn = begin(live.client)
    wait_until(lambda: live.generator.steps > 5)
    assert live.client.post(f"/api/turns/{turn}/stop").status_code == 204
    end = follow(live.client, turn)[-1]["end"]
    assert end["state"] == "stopped"
    assert end["text"].startswith("word")


def test_history_holds_what_the_same_collection_said(live: Live) -> None:
    live.generator.replies = ["Five pounds [1].", "Plain words.", REFUSAL, "At the desk [1]."]
    conversation, turn = begin(live.client)
    follow(live.client, turn)
    for question, collection in (("Plain?", None), ("And the king?", "handbook"), ("And where is it?", "handbook")):
        follow(live.client, go_on(live.client, conversation, question, collection))
    said = [message.content for message in live.generator.asked[-1].messages]
    assert said[2:] == ["Five pounds [1].", "Question: And where is it?"]


def test_turn_takes_another_ones_place(live: Live) -> None:
    conversation, first = begin(live.client)
    follow(live.client, first)
    second = go_on(live.client, conversation, "Again?")
    follow(live.client, second)
    third = go_on(live.client, conversation, "Otherwise?", replaces=first)
    follow(live.client, third)
    kept = live.client.get(f"/api/conversations/{conversation}").json()["turns"]
    assert [turn["question"] for turn in kept] == ["Otherwise?"]
    url = f"/api/conversations/{conversation}/turns"
    assert live.client.post(url, json={"question": "?", "replaces": first}).status_code == 404


def test_conversations_are_searched_renamed_and_removed(live: Live) -> None:
    conversation, turn = begin(live.client)
    follow(live.client, turn)
    other, _ = begin(live.client, "Something else?")
    titles = [one["title"] for one in live.client.get("/api/conversations").json()["conversations"]]
    assert titles == ["Something else?", QUESTION]
    found = live.client.get("/api/conversations", params={"contains": "LOST badge"}).json()["conversations"]
    assert [one["id"] for one in found] == [conversation]
    renamed = live.client.patch(f"/api/conversations/{conversation}", json={"title": "Badges"})
    assert renamed.json()["title"] == "Badges"
    assert live.client.delete(f"/api/conversations/{other}").status_code == 204
    assert live.client.get(f"/api/conversations/{other}").status_code == 404


def test_what_belongs_to_another_is_not_there(live: Live) -> None:
    conversation, turn = begin(live.client)
    follow(live.client, turn)
    with live.signed_in() as browser:
        assert browser.get("/api/conversations").json()["conversations"] == []
        for path in (f"/api/conversations/{conversation}", f"/api/turns/{turn}", f"/api/events?follow={turn}"):
            assert browser.get(path).status_code == 404


def test_restart_calls_a_running_turn_interrupted(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as live:
        store = live.service.workspace.store.conversations
        row = store.add_turn(store.create("program", "chat").id, QUESTION, None, None, None)
        store.write_turn(row, "running", "Half an")
    with serving(tmp_path / "data") as live:
        kept = live.client.get(f"/api/turns/{row}").json()
        assert (kept["state"], kept["text"]) == ("interrupted", "Half an")
        assert follow(live.client, row)[-1]["end"]["state"] == "interrupted"


def test_votes_on_comparisons_become_questions_that_evaluation_reads(live: Live, tmp_path: Path) -> None:
    live.generator.replies = [REPLY, "Nothing at all."]
    body = {"question": QUESTION, "arms": [{"collection": "handbook"}, {"adapter": "base"}]}
    made = live.client.post("/api/comparisons", json=body).json()
    arms = [arm["id"] for arm in made["arms"]]
    ended = {event["turn"]: event["end"]["state"] for event in follow(live.client, *arms) if event["type"] == "ended"}
    assert ended == dict.fromkeys(arms, "done")
    url = f"/api/comparisons/{made['id']}/vote"
    assert live.client.post(url, json={"verdict": "best"}).status_code == 422
    assert live.client.post(url, json={"verdict": "best", "best": arms[0], "reason": "has a source"}).status_code == 200
    exported = tmp_path / "votes.jsonl"
    exported.write_bytes(live.client.get("/api/comparisons/export").content)
    (asked,) = read_questions(exported)
    assert (asked.text, asked.answers, asked.sources) == (QUESTION, (REPLY,), frozenset({"badges.md"}))
    assert live.client.get("/api/comparisons").json()["comparisons"][0]["vote"]["best"] == arms[0]


def test_program_asks_for_the_prompt(live: Live) -> None:
    body = {"question": QUESTION, "collection": "handbook"}
    assert "prompt" not in live.client.post("/api/ask", json=body).json()
    prompt = live.client.post("/api/ask", json=body | {"prompt": True}).json()["prompt"]
    assert prompt[-1]["content"].endswith(QUESTION)
