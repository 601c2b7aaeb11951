"""The real server within this process, over TCP, with the sample handbook; its engine is timed."""

from __future__ import annotations

import json
import secrets
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from models.adapters import Adapter
from models.engine import AdapterKey, Engine, EngineName, Logits, Reading
from rag.access import Access
from rag.config import load
from rag.serve import create_app
from rag.workspace import Workspace
from scripts.bench.endless import endless

HANDBOOK = Path(__file__).resolve().parents[2] / "docs" / "samples" / "handbook"
COLLECTION = "handbook"
LOADING_S = 120
CHARACTERS = 1000  # of a passage, as by default


class Clock:
    """
    An engine that is timed.

    Attributes:
        prompt_s: seconds spent on prompts since it was last set to nothing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.can_go_on, self.places = engine.name, engine.can_go_on, engine.places
        self.place = engine.place
        self.prompt_s = 0.0

    def pays(self, known: int, total: int) -> bool:
        """Return what the engine says."""
        return self._engine.pays(known, total)

    def key(self, adapter: Adapter | None) -> AdapterKey:
        """Return what readings have in common that can begin with each other's."""
        return self._engine.key(adapter)

    def begin(
        self, adapter: Adapter | None, known: Reading | None = None, length: int = 0, *, ours: bool = False
    ) -> Reading:
        """Begin to read; see :class:`models.engine.Engine`."""
        inner = known.inner if isinstance(known, _Timed) else known
        started = time.perf_counter()
        reading = self._engine.begin(adapter, inner, length, ours=ours)
        self.prompt_s += time.perf_counter() - started
        return _Timed(reading, self)


class _Timed:
    def __init__(self, inner: Reading, clock: Clock) -> None:
        self.inner, self._clock = inner, clock

    def read(self, ids: Sequence[int]) -> Logits:
        started = time.perf_counter()
        scores = self.inner.read(ids)
        if len(ids) > 1:  # one alone is a token of the answer
            self._clock.prompt_s += time.perf_counter() - started
        return scores


@dataclass(frozen=True, slots=True)
class Asked:
    """When an answer began and ended, seconds on ``time.perf_counter()``, and how many tokens it took."""

    asked: float
    first: float
    ended: float
    prompt_tokens: int
    new_tokens: int


class Served:
    """
    A server that runs.

    Attributes:
        clock: its engine's.
    """

    def __init__(self, address: str, key: str, clock: Clock) -> None:
        self._address, self._key, self.clock = address, key, clock

    def ask(self, question: str, new_tokens: int) -> Asked:
        """Ask about the handbook, and read the answer as it comes."""
        body = {
            "question": question,
            "collection": COLLECTION,
            "adapter": "base",
            "max_tokens": new_tokens,
            "stream": True,
        }
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._address}/api/ask", json.dumps(body).encode(), headers)
        asked, first, kind, answer = time.perf_counter(), 0.0, b"", {}
        with urllib.request.urlopen(request, timeout=600) as reply:
            for line in reply:
                if line.startswith(b"event: "):
                    kind = line[7:].strip()
                    first = first or (time.perf_counter() if kind == b"token" else 0.0)
                elif line.startswith(b"data: ") and kind == b"answer":
                    answer = json.loads(line[6:])
        timings = answer["timings"]
        return Asked(asked, first, time.perf_counter(), timings["prompt_tokens"], timings["new_tokens"])


@contextmanager
def served(
    generator: str, engine: EngineName = "auto", slots: int | None = None, passages: int = 3
) -> Iterator[Served]:
    """Serve the handbook with a model until the block ends; answers have as many tokens as are asked for."""
    key = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as scratch, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        listening = {"port": port, "slots": slots}
        settings = load(
            data_dir=Path(scratch),
            generator=generator,
            engine=engine,
            server=listening,
            answer={"passages": passages, "context_characters": CHARACTERS * passages},
            environment={},
        )
        with Workspace(settings) as workspace:
            workspace.collection(COLLECTION, create=True).add(HANDBOOK)
            loaded = endless(workspace.models.generator)
            loaded._engine = clock = Clock(loaded._engine)
            application = create_app(workspace, Access(key, workspace.store.people))
            server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False, lifespan="on"))
            running = threading.Thread(target=server.run, args=([listener],), daemon=True)
            running.start()
            _wait(address)
            yield Served(address, key, clock)
            server.should_exit = True
            running.join()


def _wait(address: str) -> None:
    end = time.monotonic() + LOADING_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise TimeoutError(f"the server was not ready within {LOADING_S} s")
