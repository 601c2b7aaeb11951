"""Users of a running server, with clients that hold their keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from rag.access import Level
from rag.access.credentials import new_key
from tests.serving import Live


def key_of(live: Live, user: str, level: Level = Level.MANAGE, collections: list[str] | None = None) -> str:
    """Make a key for a user who exists."""
    key, digest = new_key()
    live.service.workspace.store.people.add_key(user, digest, "test", level, collections, None)
    return key


@contextmanager
def client_with(live: Live, key: str) -> Iterator[httpx.Client]:
    """Give a client that sends a key."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=live.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@contextmanager
def user(live: Live, name: str, *, is_admin: bool = False) -> Iterator[httpx.Client]:
    """Make a user, and give a client that holds a key of hers."""
    live.service.workspace.store.people.add_user(name, "", is_admin=is_admin)
    with client_with(live, key_of(live, name)) as client:
        yield client


def upload(client: httpx.Client, collection: str, name: str, text: str) -> httpx.Response:
    """Put a file into a collection."""
    return client.post("/api/documents", files={"files": (name, text.encode())}, data={"collection": collection})
