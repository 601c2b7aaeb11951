"""The server as a process, with the default models, through the clients that people have already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

ROOT = Path(__file__).parent.parent.parent
HANDBOOK = ROOT / "docs" / "samples" / "handbook"
GENERATOR, EMBEDDER = "smollm2-135m-instruct", "all-minilm-l6-v2"
KEY = "hg-end-to-end-0123456789"
QUESTION: list[Any] = [{"role": "user", "content": "What is the extension of the Duty Manager?"}]
LONG: list[Any] = [{"role": "user", "content": "Tell me a long story about a ferry."}]
# Counting goes on for a thousand tokens on every processor; where a story ends hangs on the last bits of its sums.
ENDLESS: list[Any] = [{"role": "user", "content": "Write all whole numbers from 1 to 1000, separated by commas."}]
PATIENCE_S = 120

pytestmark = pytest.mark.weights


@dataclass
class Server:
    """A running process, where it is, and what it printed until it was ready."""

    process: subprocess.Popen[str]
    url: str
    printed: list[str]

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False)

    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE_S)

    def metric(self, name: str) -> float:
        with self.http() as client:
            lines = client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def start(directory: Path, *options: str) -> Server:
    command = [sys.executable, "-m", "rag.serve", "--port", "0", "--data-dir", str(directory), *options]
    environment = os.environ | {"HOMEGROUND_API_KEY": KEY}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    printed: list[str] = []
    assert process.stdout
    for line in process.stdout:
        printed.append(line)
        if line.startswith("Ready"):
            break
    url = printed[0].split("listens on ")[1].split(";")[0]
    return Server(process, url, printed)


def end(server: Server) -> None:
    server.process.kill()
    server.process.wait()
    assert server.process.stdout
    server.process.stdout.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("serve") / "data"
    command = [sys.executable, "-m", "rag.ingest", str(HANDBOOK), "--collection", "handbook"]
    subprocess.run([*command, "--data-dir", str(directory)], check=True, cwd=ROOT)
    return directory


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[Server]:
    started = start(data_dir, "--collection", "handbook")
    yield started
    end(started)


def test_start_says_where_how_and_when(server: Server) -> None:
    text = "".join(server.printed)
    assert f"Sign in: {server.url}/sign-in?token=" in text
    assert "API key: the one in HOMEGROUND_API_KEY" in text
    assert KEY not in text
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        assert browser.get("/healthz").status_code == browser.get("/readyz").status_code == 200
        assert browser.get("/api/about").status_code == 401
        link = text.split("Sign in: ")[1].split()[0]
        assert browser.get(link).status_code == 303
        assert browser.get("/api/about").json()["generator"] == GENERATOR


def test_used_link_is_followed_by_a_fresh_one(server: Server) -> None:
    assert server.process.stdout
    assert server.process.stdout.readline().startswith(f"Sign in: {server.url}/sign-in?token=")


def test_openai_client_chats(server: Server) -> None:
    with server.openai() as client:
        names = [model.id for model in client.models.list()]
        shipped = f"{GENERATOR}:grounded"
        assert names == [GENERATOR, f"{GENERATOR}@handbook", shipped, f"{shipped}@handbook", EMBEDDER]
        plain = client.chat.completions.create(model=GENERATOR, messages=LONG, max_tokens=12)
        assert plain.choices[0].message.content
        assert plain.choices[0].finish_reason == "length"
        assert plain.usage
        assert plain.usage.completion_tokens == 12
        grounded = client.chat.completions.create(model=f"{GENERATOR}@handbook", messages=QUESTION, max_tokens=48)
        assert grounded.model_extra
        assert "222" in "".join(hit["text"] for hit in grounded.model_extra["homeground"]["hits"])
        for annotation in grounded.choices[0].message.annotations or []:
            assert annotation.url_citation.url.startswith("/#/document/handbook/")


def test_openai_client_streams_what_it_would_have_got_whole(server: Server) -> None:
    with server.openai() as client:
        request: dict[str, Any] = {"model": GENERATOR, "messages": LONG, "max_tokens": 24}
        whole = client.chat.completions.create(**request)
        chunks = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
        pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(pieces).rstrip() == whole.choices[0].message.content
        assert chunks[-1].usage == whole.usage


def test_openai_client_embeds(server: Server) -> None:
    with server.openai() as client:
        found = client.embeddings.create(model=EMBEDDER, input=["a lost badge", "my badge is gone", "the weather"])
        first, second, third = (item.embedding for item in found.data)
        assert len(first) == 384
        assert sum(a * b for a, b in zip(first, second, strict=True)) > sum(
            a * b for a, b in zip(first, third, strict=True)
        )


def test_openai_client_gets_its_own_errors(server: Server) -> None:
    with server.openai() as client:
        with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4'"):
            client.chat.completions.create(model="gpt-4", messages=QUESTION)
        tools: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
        with pytest.raises(openai.BadRequestError, match="tools is not supported"):
            client.chat.completions.create(model=GENERATOR, messages=QUESTION, tools=tools)
        with pytest.raises(openai.BadRequestError, match="the question needs"):
            client.chat.completions.create(model=GENERATOR, messages=[{"role": "user", "content": "word " * 12_000}])
        with pytest.raises(openai.AuthenticationError, match="sign in with your name and password or with the link"):
            client.with_options(api_key="wrong").models.list()


HUGGING_FACE = """
import sys
from huggingface_hub import InferenceClient

client = InferenceClient(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2])
request = dict(messages=[{"role": "user", "content": "Tell me a story."}], model=sys.argv[3], max_tokens=16)
whole = client.chat_completion(**request).choices[0].message.content.strip()
pieces = [chunk.choices[0].delta.content or "" for chunk in client.chat_completion(**request, stream=True)]
assert whole and "".join(pieces).rstrip() == whole, (whole, pieces)
"""


def test_hugging_face_client_chats_and_streams(server: Server) -> None:
    # In a process of its own: in offline mode, which tests have, this client talks to nobody, not even to loopback.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    command = [sys.executable, "-c", HUGGING_FACE, server.url, KEY, GENERATOR]
    subprocess.run(command, check=True, env=environment, timeout=PATIENCE_S)


def test_client_that_leaves_frees_the_generator(server: Server) -> None:
    before = server.metric("homeground_new_tokens_total")
    body = {"model": GENERATOR, "messages": ENDLESS, "max_tokens": 1500}
    with server.http() as client:
        with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
            next(response.iter_lines())
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chat/completions", json=body, timeout=1)
    with server.openai() as client:
        client.chat.completions.create(model=GENERATOR, messages=QUESTION, max_tokens=4)
    # The answers that were left are not counted, and there was no waiting for their 1500 tokens.
    assert server.metric("homeground_new_tokens_total") == before + 4


def test_queue_that_is_full_is_429_and_everyone_in_it_is_served(data_dir: Path, server: Server) -> None:
    end(server)
    (data_dir / "homeground.yaml").write_text("server: {queue_length: 2}\n")
    small = start(data_dir)
    try:
        statuses: list[int] = []

        def ask() -> None:
            with small.http() as client:
                body = {"model": GENERATOR, "messages": ENDLESS, "max_tokens": 40}
                statuses.append(client.post("/v1/chat/completions", json=body).status_code)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 3
    finally:
        end(small)
        (data_dir / "homeground.yaml").unlink()


def test_signal_during_a_stream_lets_it_end_whole_and_exits_0(data_dir: Path, server: Server) -> None:
    end(server)
    mine = start(data_dir)
    try:
        with mine.openai() as client:
            stream = client.chat.completions.create(model=GENERATOR, messages=LONG, max_tokens=64, stream=True)
            pieces, reason = [], None
            for number, chunk in enumerate(stream):
                if number == 2:
                    mine.process.send_signal(signal.SIGTERM)
                pieces.append(chunk.choices[0].delta.content or "")
                reason = chunk.choices[0].finish_reason or reason
        assert reason in ("stop", "length")
        assert mine.process.wait(PATIENCE_S) == 0
    finally:
        end(mine)


def test_signal_while_the_models_are_loading_exits_0(data_dir: Path, server: Server) -> None:
    end(server)
    command = [sys.executable, "-m", "rag.serve", "--port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        url = process.stdout.readline().split("listens on ")[1].split(";")[0]
        for _ in range(200):
            try:
                assert httpx.get(f"{url}/readyz", trust_env=False).json() == {"status": "loading"}
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_listening_for_other_machines_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rag.serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: the server cannot listen on '0.0.0.0': there are no users")
    assert result.stdout == ""


def test_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "rag.serve", "--port", port, "--data-dir", str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 2
    assert f"127.0.0.1 port {port} cannot be listened on" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_model_that_is_missing_ends_the_server_with_its_reason(tmp_path: Path) -> None:
    environment = os.environ | {"HOMEGROUND_MODELS_DIR": str(tmp_path / "none")}
    command = [sys.executable, "-m", "rag.serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False, timeout=PATIENCE_S
    )
    assert result.returncode == 2
    assert "python -m models.fetch" in result.stderr
