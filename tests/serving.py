"""The real server on loopback around scripted models: in a thread, or as the program of a process of its own."""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from models.base import Embedder, Generator
from rag.access import Access
from rag.api.service import Service
from rag.config import Settings, load
from rag.serve import create_app, run
from rag.types import Document, Heading
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator

API_KEY = "hg-test-key-0123456789"
BADGES = "# Badges\n\nA lost badge is replaced at the front desk for five pounds. Bring an identity card.\n"
LEAVE = "# Leave\n\nEverybody has 25 days of annual leave.\n\n## Sickness\n\nRing the duty manager before nine.\n"
HASHES = HashEmbedder()
REPLY = "You pay five pounds for a lost badge [1]."
BADGE_QUESTION: dict[str, Any] = {
    "id": "badge",
    "question": "What does a lost badge cost?",
    "answer": "five pounds",
    "evidence": [{"source": "badges.md", "quote": "replaced at the front desk for five pounds"}],
}
LEAVE_QUESTION: dict[str, Any] = {
    "id": "leave",
    "question": "How many days of annual leave are there?",
    "answer": "25 days",
    "evidence": [{"source": "leave.md", "quote": "25 days of annual leave"}],
}


@dataclass
class Live:
    """A running server, and a client that holds its API key."""

    url: str
    app: FastAPI
    generator: Any
    client: httpx.Client
    tokens: list[str]

    @property
    def service(self) -> Service:
        """The server's state."""
        service: Service = self.app.state.service
        return service

    def stranger(self) -> httpx.Client:
        """Return a client without credentials."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def impatient(self) -> httpx.Client:
        """Return a client that holds the key and leaves after half a second of silence."""
        return httpx.Client(base_url=self.url, headers=self.client.headers, trust_env=False, timeout=0.5)

    @contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        """Give a client that has signed in as a browser does."""
        with self.stranger() as browser:
            assert browser.get("/sign-in", params={"token": self.tokens[-1]}).headers["Location"] == "/"
            sends_csrf_token(browser)
            yield browser


def sends_csrf_token(browser: httpx.Client) -> None:
    """Let a client that has signed in send what the page would."""
    (token,) = (cookie.value for cookie in browser.cookies.jar if cookie.name.startswith("homeground-csrf-"))
    browser.headers["X-CSRF-Token"] = token or ""


@contextmanager
def serving(
    directory: Path,
    generator: Generator | None = None,
    *,
    ready: bool = True,
    watch: Sequence[Mapping[str, object]] = (),
    port: int = 0,
    base: str = "smollm2-135m-instruct",
    embedder: Embedder | None = HASHES,
    **server: object,
) -> Iterator[Live]:
    """
    Run the real application in a thread, over a data directory with the two documents above in ``handbook``.

    Args:
        directory: where the data goes.
        generator: what answers.
        ready: wait until it is ready.
        watch: the folders that it watches.
        port: where it listens; 0 takes any free one.
        base: the model that the settings name; trainings are for it, whatever answers here.
        embedder: what embeds; None for the default one.
        server: settings of the server.
    """
    generator = generator or ScriptedGenerator([REPLY], adapters=("house-style",))
    with socket.create_server(("127.0.0.1", port)) as listener:
        port = listener.getsockname()[1]
        settings = load(
            data_dir=directory,
            environment={},
            collection="handbook",
            generator=base,
            server={"port": port, **server},
            watch=list(watch),
        )
        with filled(settings, generator, embedder) as workspace:
            tokens: list[str] = []
            access = Access(API_KEY, workspace.store.people, on_token=tokens.append)
            access.issue_token()
            app = create_app(workspace, access)
            config = uvicorn.Config(app, http="h11", ws="none", log_config=None, access_log=False)
            uvicorn_server = uvicorn.Server(config)
            thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [listener]})
            thread.start()
            url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {API_KEY}"}
            try:
                with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
                    if ready:
                        wait_until(lambda: client.get("/readyz").status_code == 200)
                    yield Live(url, app, generator, client, tokens)
            finally:
                uvicorn_server.should_exit = True
                thread.join()


def routes(live: Live) -> Iterator[tuple[str, str]]:
    """Return method and path of every route, as the application lists them."""
    for route in iter_route_contexts(live.app.routes):
        assert route.path, "a route of a kind that this function does not know"
        assert route.methods, "a route of a kind that this function does not know"
        for method in route.methods:
            yield method, route.path


def filled(settings: Settings, generator: Generator, embedder: Embedder | None = HASHES) -> Workspace:
    """Return an open workspace whose collection ``handbook`` holds two documents."""
    workspace = Workspace(settings, embedder=embedder, generator=generator)
    handbook = workspace.collection("handbook", create=True)
    handbook.add_documents(
        [
            Document("badges.md", BADGES, "Badges", "text/markdown", (Heading(0, 1, "Badges"),)),
            Document("leave.md", LEAVE, "Leave", "text/markdown", (Heading(0, 1, "Leave"),)),
        ]
    )
    return workspace


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until a condition holds; an error says that it never did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition was not met in time")


class Beat(threading.Event):
    """A gate that lets a token through every tenth of a second, or every ``seconds``."""

    def __init__(self, seconds: float = 0.1) -> None:
        super().__init__()
        self._seconds = seconds

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next beat."""
        time.sleep(self._seconds)
        return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate")
    parser.add_argument("--private-key")
    parser.add_argument("--repeat", type=int, default=1, help="how often it says its ten words")
    given = parser.parse_args()
    words = " ".join(["one two three four five six seven eight nine ten."] * given.repeat)
    slow = ScriptedGenerator([words], gate=Beat())
    with socket.create_server(("127.0.0.1", given.port)) as own_listener:
        own_port = own_listener.getsockname()[1]
        own_server: dict[str, object] = {"port": own_port}
        if given.certificate:
            own_server |= {"certificate": given.certificate, "private_key": given.private_key}
        own_settings = load(data_dir=given.directory, environment={}, server=own_server)
        with Workspace(own_settings, embedder=HashEmbedder(), generator=slow) as own_workspace:
            run(own_workspace, own_listener)
