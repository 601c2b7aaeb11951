"""Alive, ready, counted, and ended in good order."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.base import StoreError
from rag.api.service import Service
from tests.fakes import ScriptedGenerator
from tests.serving import REPLY, Live, serving, wait_until

ROOT = Path(__file__).parent.parent.parent
TEXT = "one two three four five six seven eight nine ten."


def test_alive_and_ready_need_no_credentials(shared_live: Live) -> None:
    with shared_live.stranger() as stranger:
        assert stranger.get("/healthz").json() == {"status": "alive"}
        assert stranger.get("/readyz").json() == {"status": "ready"}


def test_metrics_count_by_route_template_and_hold_no_text(live: Live) -> None:
    live.client.post("/api/ask", json={"question": "What does a lost badge cost?", "collection": "handbook"})
    live.client.get("/api/documents/handbook/1")
    live.client.request("BREW", "/api/documents/canary-path")
    text = live.client.get("/metrics").text
    assert 'homeground_requests_total{method="POST",route="/api/ask",status="200"} 1.0' in text
    assert 'route="/api/documents/{collection}/{document_id}",status="200"} 1.0' in text
    assert 'homeground_requests_total{method="other",route="unmatched",status="404"} 1.0' in text
    assert f"homeground_new_tokens_total {len(REPLY.split()) + 1}.0" in text
    assert "homeground_first_token_seconds_count 1.0" in text
    assert "homeground_queue_length 0.0" in text
    for secret in ("badge", "handbook", "canary", "BREW"):
        assert secret not in text


def test_draining_refuses_new_questions_and_finishes_the_old(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate)) as live:
        answers: list[httpx.Response] = []
        body = {"question": "Hello?"}
        asking = threading.Thread(target=lambda: answers.append(live.client.post("/api/ask", json=body)))
        asking.start()
        wait_until(lambda: live.generator.asked)
        draining = threading.Thread(target=drain, args=(live.service,))
        draining.start()
        with live.stranger() as other:
            wait_until(lambda: other.get("/readyz").json() == {"status": "stopping"})
            assert other.get("/readyz").status_code == 503
            refused = other.post("/api/ask", json=body, headers=live.client.headers)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
            assert refused.json()["error"]["code"] == "shutting_down"
        gate.set()
        asking.join()
        draining.join()
        assert (answers[0].status_code, answers[0].json()["answer"]) == (200, REPLY)


def drain(service: Service) -> None:
    import asyncio

    asyncio.run(service.drain())


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMEGROUND_")}
    command = [sys.executable, "-m", "tests.serving", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as started:
        yield started
        started.kill()


def connect(process: subprocess.Popen[str]) -> httpx.Client:
    """Return a client for a server that prints where it is and what its key is, once it is ready."""
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ready"):
            break
    text = "".join(lines)
    url = text.split("listens on ")[1].split(";")[0]
    key = text.split("API key: ")[1].split(" ")[0]
    assert f"Sign in: {url}/sign-in?token=" in text
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_during_a_stream_lets_it_end_whole_and_exits_0(process: subprocess.Popen[str], number: int) -> None:
    with connect(process) as client:
        lines: list[str] = []
        with client.stream("POST", "/api/ask", json={"question": "Count.", "stream": True}) as response:
            for line in response.iter_lines():
                lines.append(line)
                if line.startswith("event: token") and lines.count("event: token") == 1:
                    process.send_signal(number)
                    with httpx.Client(base_url=client.base_url, trust_env=False) as other:
                        wait_until(lambda: other.get("/readyz").status_code == 503, seconds=5)
                        assert other.get("/healthz").status_code == 200
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert "".join(piece.get("text", "") for piece in data) == TEXT
    assert data[-1]["answer"] == TEXT
    assert process.wait(timeout=30) == 0


def test_second_signal_breaks_the_answer_off_and_still_exits_0(process: subprocess.Popen[str]) -> None:
    with connect(process) as client:
        lines: list[str] = []
        with client.stream("POST", "/api/ask", json={"question": "Count.", "stream": True}) as response:
            for line in response.iter_lines():
                lines.append(line)
                if line.startswith("event: token") and lines.count("event: token") == 1:
                    process.send_signal(signal.SIGTERM)
                    wait_until(lambda: httpx.get(client.base_url.join("/readyz"), trust_env=False).status_code == 503)
                    process.send_signal(signal.SIGTERM)
    assert "event: error" in lines
    assert "shutting_down" in lines[-2] + lines[-1]
    assert process.wait(timeout=30) == 0


def test_signal_when_nothing_runs_exits_0_and_frees_the_directory(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    with connect(process) as client:
        assert client.get("/v1/models").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    with serving(tmp_path / "data") as live:
        assert live.client.get("/api/about").status_code == 200


def test_directory_in_use_is_refused(process: subprocess.Popen[str], tmp_path: Path) -> None:
    connect(process).close()
    with pytest.raises(StoreError, match="is in use by process"), serving(tmp_path / "data"):
        pass
