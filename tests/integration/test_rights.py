"""
Nobody sees what is not theirs: a long random life of users, groups, shares and deletions, a canary in each document.

Every document holds a word of its own in its text, its title and its name. After whatever happened, no answer of the
server to somebody may hold the word of a document that he may not read at that moment, and what he may read is found.
``HOMEGROUND_TEST_STEPS=100000`` makes the life longer.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest

from rag.access import Level
from rag.config import load
from rag.types import Document, Hit
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator
from tests.serving import Live, serving
from tests.team import client_with, key_of

STEPS = int(os.environ.get("HOMEGROUND_TEST_STEPS", "600"))
USERS, GROUPS, COLLECTIONS = ("ann", "bob", "eve"), ("team", "board"), ("one", "two", "three")
MOST_DOCUMENTS = 12
CANARY = re.compile(r"cnry[0-9a-f]{12}")
WORDS = ("badge", "umbrella", "boiler", "salary", "meeting", "garden")


class Life:
    """The server, and beside it what ought to be true."""

    def __init__(self, live: Live, clients: dict[str, httpx.Client], chance: random.Random) -> None:
        self.live, self.clients, self.chance = live, clients, chance
        self.documents: dict[tuple[str, str], str] = {}
        self.grants: dict[tuple[str, str, str], Level] = {}
        self.members: dict[str, set[str]] = {group: set() for group in GROUPS}
        self.suspended: set[str] = set()
        self.seen = 0

    def readable(self, user: str) -> set[str]:
        subjects = {user} | {group for group in GROUPS if user in self.members[group]}
        return {
            word
            for (collection, source), canary in self.documents.items()
            if any(self.grants.get((collection, part, who), 0) for part in ("", source) for who in subjects)
            for word in (canary, *CANARY.findall(source))  # a replaced document keeps its name
        }

    def step(self) -> None:
        doing = self.chance.choices(
            (self.add, self.delete, self.share, self.regroup, self.suspend, self.look), (8, 4, 14, 3, 3, 68)
        )[0]
        doing()

    def add(self) -> None:
        collection = self.chance.choice(COLLECTIONS)
        here = [source for place, source in self.documents if place == collection]
        canary = f"cnry{self.chance.getrandbits(48):012x}"
        if len(here) >= MOST_DOCUMENTS or (here and self.chance.random() < 0.2):
            source = self.chance.choice(here)  # replaced; what was given for it stays
        else:
            source = f"{canary}.md"
        said = " ".join(self.chance.choices(WORDS, k=12))
        document = Document(source, f"{canary} {said}.", f"About {canary}")
        self.live.service.workspace.collection(collection, create=True).add_documents([document])
        self.documents[collection, source] = canary

    def delete(self) -> None:
        if not self.documents:
            return
        collection, source = self.chance.choice(list(self.documents))
        base = self.live.service.workspace.collection(collection)
        assert self.live.client.delete(f"/api/documents/{collection}/{base.sources()[source]}").status_code == 204
        del self.documents[collection, source]
        self.grants = {key: level for key, level in self.grants.items() if key[:2] != (collection, source)}

    def share(self) -> None:
        if not self.documents:
            return
        collection, source = self.chance.choice(list(self.documents))
        part = source if self.chance.random() < 0.6 else ""
        kind, who = self.chance.choice([*(("user", name) for name in USERS), *(("group", name) for name in GROUPS)])
        level = self.chance.choice((Level.NONE, Level.NONE, Level.READ, Level.WRITE))
        body = {"source": part, kind: who, "level": level.name.lower()}
        assert self.live.client.put(f"/api/collections/{collection}/grants", json=body).status_code == 204
        self.grants[collection, part, who] = level

    def regroup(self) -> None:
        group = self.chance.choice(GROUPS)
        self.members[group] = set(self.chance.sample(USERS, self.chance.randint(0, len(USERS))))
        body = {"members": sorted(self.members[group])}
        assert self.live.client.put(f"/api/groups/{group}", json=body).status_code == 204

    def suspend(self) -> None:
        user = self.chance.choice(USERS)
        self.suspended ^= {user}
        self.live.client.patch(f"/api/users/{user}", json={"is_suspended": user in self.suspended})

    def look(self) -> None:
        user, collection = self.chance.choice(USERS), self.chance.choice(COLLECTIONS)
        response = self.ask(user, collection)
        if user in self.suspended:
            assert response.status_code == 401
            return
        readable = self.readable(user)
        found = set(CANARY.findall(response.text))
        assert found <= readable
        self.seen += len(found)

    def ask(self, user: str, collection: str) -> httpx.Response:
        client, chance = self.clients[user], self.chance
        asked = chance.choice([*WORDS, *self.documents.values()])
        body = {"question": f"About {asked}", "collection": collection}
        match chance.randrange(8):
            case 0:
                return client.get("/api/collections")
            case 1:
                return client.get("/api/documents", params={"collection": collection, "contains": asked[:6]})
            case 2:
                return client.get(f"/api/documents/{collection}/{chance.randint(1, 200)}")
            case 3:
                # The model repeats what it was given, so that a leak into the prompt would show.
                return client.post("/api/ask", json=body)
            case 4:
                model = f"scripted@{collection}"
                return client.post("/v1/chat/completions", json={"model": model, "messages": [turn(asked)]})
            case _:
                response = client.post("/api/search", json=body)
                if user not in self.suspended and asked in self.readable(user) & self.here(collection):
                    assert asked in response.text
                return response

    def here(self, collection: str) -> set[str]:
        return {canary for (place, _), canary in self.documents.items() if place == collection}


def turn(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


class Repeater(ScriptedGenerator):
    """Says every canary that it was given to read."""

    def stream(self, messages, params, adapter=None, scope=None):  # type: ignore[no-untyped-def]
        said = " ".join(CANARY.findall(" ".join(message.content for message in messages[:1])))
        sources = " ".join(CANARY.findall(messages[-1].content.partition("Question:")[0]))
        self.replies = [f"{said} {sources} end."]
        return super().stream(messages, params, adapter, scope)


def test_no_canary_is_ever_seen_by_whom_it_is_not_for(tmp_path: Path) -> None:
    chance = random.Random(7)
    with serving(tmp_path / "data", Repeater([""]), requests_per_minute=1_000_000) as live, ExitStack() as stack:
        clients = {}
        for name in USERS:
            live.service.workspace.store.people.add_user(name, "", is_admin=name == "eve")
            clients[name] = stack.enter_context(client_with(live, key_of(live, name)))
        for group in GROUPS:
            live.client.put(f"/api/groups/{group}", json={"members": []})
        for collection in COLLECTIONS:
            live.client.post("/api/collections", json={"name": collection})
        life = Life(live, clients, chance)
        for _ in range(STEPS):
            life.step()
        assert life.seen > STEPS / 4


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    settings = load(data_dir=tmp_path / "data", environment={})
    with Workspace(settings, embedder=HashEmbedder(), generator=ScriptedGenerator(["Yes [1]."])) as opened:
        yield opened


def test_results_are_the_same_with_and_without_what_may_not_be_read(workspace: Workspace) -> None:
    """Rows, order, scores, copies and counts, of every kind of search; the foreign documents say nearly the same."""
    chance = random.Random(3)

    def some(name: str, number: int) -> list[Document]:
        return [
            Document(f"{name}{at}.md", f"{' '.join(chance.choices(WORDS, k=20))}. {name}{at}.", f"{name} {at}")
            for at in range(number)
        ]

    base = workspace.collection("shared", create=True)
    base.add_documents(some("mine", 30))
    mine = np.array(sorted(base.sources().values()))
    questions = ["badge", "umbrella boiler", "salary meeting garden badge", "mine7", "foreign7"]

    def looked() -> list[list[Hit]]:
        seen = base.restricted(lambda _: mine)
        return [seen.search(question, k) for question in questions for k in (1, 5, 40)]

    before = looked()
    base.add_documents(some("foreign", 300))
    assert looked() == before
    base.remove(*[row for source, row in base.sources().items() if source.startswith("foreign")])
    assert looked() == before
