"""The remote generator, against a server that answers as vLLM does and one that answers as llama.cpp does."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from models.base import ConfigError, Generator, InputError, Message, ModelError, SamplingParams
from models.remote import UNKNOWN_ID, RemoteGenerator
from rag.config import load
from rag.loaded import LoadedModels

ASKED = [Message("user", "Where?")]
WORDS = ["In", " room", " 7."]


class _Server(BaseHTTPRequestHandler):
    """Both servers' answers, as their documentation shows them; what was asked is kept."""

    kind: ClassVar[str] = "vllm"
    asked: ClassVar[list[dict[str, Any]]] = []
    keys: ClassVar[list[str | None]] = []
    breaks_off: ClassVar[bool] = False

    def do_GET(self) -> None:
        if self.path == "/v1/models" and self.kind == "vllm":
            base = {"id": "qwen", "object": "model", "max_model_len": 4096, "parent": None}
            adapter = {"id": "terse", "object": "model", "parent": "qwen"}
            self._send({"data": [base, adapter, {"id": "other", "parent": "llama"}]})
        elif self.path == "/v1/models":
            self._send({"data": [{"id": "qwen", "meta": {"n_ctx_train": 32768}}]})
        elif self.path == "/props" and self.kind == "llama.cpp":
            self._send({"default_generation_settings": {"n_ctx": 2048}})
        else:
            self._send({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, **body})
        self.keys.append(self.headers.get("Authorization"))
        if self.path == "/tokenize" and self.kind == "vllm":
            self._send({"count": sum(len(turn["content"]) for turn in body["messages"]) + 4, "max_model_len": 4096})
        elif self.path == "/apply-template" and self.kind == "llama.cpp":
            self._send({"prompt": "".join(f"<|{turn['role']}|>{turn['content']}" for turn in body["messages"])})
        elif self.path == "/tokenize" and self.kind == "llama.cpp":
            self._send({"tokens": list(range(len(body["content"])))})
        elif self.path == "/v1/chat/completions" and body["temperature"] > 2:
            self._send({"error": {"message": "temperature is too high"}}, 400)
        elif self.path == "/v1/chat/completions":
            self._stream(body)
        else:
            self._send({"error": "not found"}, 404)

    def _stream(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        events: list[dict[str, Any]] = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
        for number, word in enumerate(WORDS):
            token = f"token_id:{number}" if body.get("return_tokens_as_token_ids") else word
            logprobs = {"content": [{"token": token, "logprob": -0.5}]}
            events.append({"choices": [{"delta": {"content": word}, "logprobs": logprobs, "finish_reason": None}]})
        if not self.breaks_off:
            events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        for event in events:
            self.wfile.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
        if not self.breaks_off:
            self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, answer: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    _Server.kind, _Server.breaks_off = "vllm", False
    _Server.asked.clear()
    _Server.keys.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def test_vllm_is_asked_for_counts_tokens_and_adapters(url: str) -> None:
    generator: Generator = RemoteGenerator(url, "qwen", key="secret")
    assert (generator.name, generator.engine, generator.context_length) == ("qwen", "remote", 4096)
    assert generator.adapters == ("terse",)
    assert generator.count_tokens(ASKED) == len("Where?") + 4
    params = SamplingParams(max_tokens=9, temperature=0.5, seed=3, stop=("\n",))
    tokens = list(generator.stream(ASKED, params, "terse"))
    assert [(token.id, token.text, token.logprob) for token in tokens] == [
        (number, word, -0.5) for number, word in enumerate(WORDS)
    ]
    assert [token.finish_reason for token in tokens] == [None, None, "stop"]
    asked = _Server.asked[-1]
    assert (asked["model"], asked["max_tokens"], asked["seed"], asked["stop"]) == ("terse", 9, 3, ["\n"])
    assert set(_Server.keys) == {"Bearer secret"}


def test_control_tokens_in_a_document_are_taken_apart(url: str) -> None:
    generator = RemoteGenerator(url, "qwen")
    text = "a <|im_end|> <|im_start|>system </s> <end_of_turn> [INST] x < y <b>bold</b> 1<2>1 [1]"
    list(generator.stream([Message("user", text)], SamplingParams(max_tokens=1)))
    for asked in _Server.asked[-2:]:
        sent = asked["messages"][0]["content"]
        assert sent.replace("\u2060", "") == text
        for token in ("<|im_end|>", "<|im_start|>", "</s>", "<end_of_turn>", "[INST]"):
            assert token not in sent
        assert "x < y" in sent
        assert "[1]" in sent


def test_an_answer_is_never_asked_to_be_longer_than_the_context(url: str) -> None:
    generator = RemoteGenerator(url, "qwen")
    list(generator.stream(ASKED, SamplingParams(max_tokens=100_000)))
    assert _Server.asked[-1]["max_tokens"] == 4096 - len("Where?") - 4
    with pytest.raises(InputError, match="leaves no room"):
        generator.stream([Message("user", "x" * 5000)], SamplingParams())


def test_line_separators_in_an_answer_end_no_event(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "WORDS", ["a\u2028b", "\x85", "c"])
    tokens = list(RemoteGenerator(url, "qwen").stream(ASKED, SamplingParams()))
    assert "".join(token.text for token in tokens) == "a\u2028b\x85c"


def test_llama_cpp_is_asked_in_its_own_way(url: str) -> None:
    _Server.kind = "llama.cpp"
    generator = RemoteGenerator(url, "qwen")
    assert generator.context_length == 2048
    assert generator.count_tokens(ASKED) == len("<|user|>Where?")
    assert generator.adapters == ()
    tokens = list(generator.stream(ASKED, SamplingParams()))
    assert "".join(token.text for token in tokens) == "In room 7."
    assert {token.id for token in tokens} == {UNKNOWN_ID}
    assert _Server.asked[-1].get("return_tokens_as_token_ids") is None


def test_what_the_server_refuses_or_breaks_off_is_said(url: str) -> None:
    generator = RemoteGenerator(url, "qwen")
    with pytest.raises(InputError, match="temperature is too high"):
        list(generator.stream(ASKED, SamplingParams(temperature=3)))
    with pytest.raises(ModelError, match="no adapter 'none' is offered for 'qwen'; offered: terse"):
        generator.stream(ASKED, SamplingParams(), "none")
    _Server.breaks_off = True
    stream = generator.stream(ASKED, SamplingParams())
    with pytest.raises(ModelError, match="ended its answer without a reason"):
        list(stream)


def test_server_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(ModelError, match="serves other, qwen, terse, not 'llama'"):
        RemoteGenerator(url, "llama")
    _Server.kind = "neither"
    with pytest.raises(ConfigError, match="does not tell how long its context is"):
        RemoteGenerator(url, "qwen")
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9/v1 cannot be used"):
        RemoteGenerator("http://127.0.0.1:9/v1", "qwen")


def test_settings_choose_the_remote_generator(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROUND_REMOTE_KEY", "secret")
    settings = load(environment={"HOMEGROUND_REMOTE__URL": url, "HOMEGROUND_GENERATOR": "qwen"})
    assert LoadedModels(settings).generator.engine == "remote"
    assert _Server.keys[-1] == "Bearer secret"
