"""The OpenAI-compatible API through the official client, and what it refuses."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from models.prompt import REFUSAL
from rag.api import answers
from tests.fakes import HashEmbedder, ScriptedGenerator
from tests.serving import API_KEY, BADGES, REPLY, Beat, Live, serving, wait_until

QUESTION: list[Any] = [{"role": "user", "content": "What does a lost badge cost?"}]


def official(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key=API_KEY, max_retries=0)


@pytest.fixture
def client(shared_live: Live) -> Iterator[openai.OpenAI]:
    with official(shared_live) as made:
        yield made


def test_models_are_every_combination_and_the_embedder(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [
        "scripted",
        "scripted@handbook",
        "scripted:house-style",
        "scripted:house-style@handbook",
        "hash",
    ]
    for model in client.models.list():
        assert client.models.retrieve(model.id).id == model.id


@pytest.mark.parametrize(
    "model",
    ["gpt-4", "", "scripted:", "scripted@", "scripted:x", "scripted@x", "scripted:house-style@x", "scripted:x@handbook",
     "scripted@handbook:house-style", "Scripted", "scripted@handbook@handbook", "../scripted", "scripted@HANDBOOK"],
)  # fmt: skip
def test_unknown_name_is_never_another_model(client: openai.OpenAI, shared_live: Live, model: str) -> None:
    asked = len(shared_live.generator.asked)
    with pytest.raises(openai.NotFoundError, match="GET /v1/models lists") as refused:
        client.chat.completions.create(model=model, messages=QUESTION)
    assert refused.value.code == "model_not_found"
    assert refused.value.param == "model"
    with pytest.raises(openai.NotFoundError, match="GET /v1/models lists"):
        client.embeddings.create(model=model, input="x")
    assert len(shared_live.generator.asked) == asked


def test_base_asks_for_no_adapter(client: openai.OpenAI, shared_live: Live) -> None:
    client.chat.completions.create(model="scripted:base@handbook", messages=QUESTION)
    assert shared_live.generator.asked[-1].adapter is None


def test_completion_with_a_collection_answers_from_it(client: openai.OpenAI, shared_live: Live) -> None:
    history: list[Any] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    history += [{"role": "assistant", "content": "Hi"}, *QUESTION]
    model = "scripted:house-style@handbook"
    completion = client.chat.completions.create(model=model, messages=history, temperature=0.5)
    asked = shared_live.generator.asked[-1]
    assert asked.adapter == "house-style"
    assert asked.params.temperature == 0.5
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "user"]
    assert "Be kind." in asked.messages[0].content
    assert "A lost badge is replaced" in asked.messages[1].content

    choice = completion.choices[0]
    assert (completion.model, choice.message.content, choice.finish_reason) == (model, REPLY, "stop")
    assert completion.usage
    assert completion.usage.prompt_tokens == shared_live.generator.count_tokens(asked.messages)
    assert completion.usage.completion_tokens == len(REPLY.split()) + 1
    assert choice.message.annotations
    place = choice.message.annotations[0].url_citation
    assert REPLY[place.start_index : place.end_index] == "[1]"
    assert place.title == "Badges"
    assert place.url == "/#/document/handbook/1?start=10&end=69"
    assert completion.model_extra
    assert completion.model_extra["homeground"]["citations"][0]["quote"] == BADGES[10:69]


def test_completion_without_a_collection_has_no_sources(client: openai.OpenAI, shared_live: Live) -> None:
    completion = client.chat.completions.create(model="scripted", messages=QUESTION)
    assert completion.choices[0].message.content == REPLY
    assert completion.choices[0].message.annotations == []
    assert "Sources:" not in shared_live.generator.asked[-1].messages[-1].content


def test_completion_of_a_question_without_an_answer_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedGenerator([REFUSAL])) as live:
        body = {"model": "scripted@handbook", "messages": QUESTION}
        found = live.client.post("/v1/chat/completions", json=body).json()
    assert found["homeground"]["abstained"] is True
    assert found["choices"][0]["message"]["annotations"] == []
    assert [hit["source"] for hit in found["homeground"]["hits"]] == ["badges.md"]


def test_text_parts_are_one_turn(client: openai.OpenAI, shared_live: Live) -> None:
    parts: list[Any] = [{"type": "text", "text": "What does"}, {"type": "text", "text": "it cost?"}]
    client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": parts}])
    assert shared_live.generator.asked[-1].messages[-1].content == "What does\nit cost?"


def test_stream_is_the_completion_in_pieces(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="scripted@handbook", messages=QUESTION)
    chunks = list(
        client.chat.completions.create(
            model="scripted@handbook", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == REPLY
    last = chunks[-2].choices[0]
    assert last.finish_reason == "stop"
    assert last.delta.model_extra
    assert last.delta.model_extra["annotations"][0]["url_citation"]["title"] == "Badges"
    assert chunks[-2].model_extra
    assert chunks[-2].model_extra["homeground"]["answer"] == REPLY
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage


def test_stream_ends_with_done(shared_live: Live) -> None:
    body = {"model": "scripted", "messages": QUESTION, "stream": True}
    response = shared_live.client.post("/v1/chat/completions", json=body)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.text.endswith("data: [DONE]\n\n")
    assert "usage" not in response.text


def test_max_tokens_and_stop_end_the_answer(client: openai.OpenAI, shared_live: Live) -> None:
    short = client.chat.completions.create(model="scripted", messages=QUESTION, max_completion_tokens=3, max_tokens=8)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("You pay five", "length")
    assert short.usage
    assert short.usage.completion_tokens == 3
    for stop in ("for", ["lost", "for"]):
        stopped = client.chat.completions.create(model="scripted", messages=QUESTION, stop=stop)
        assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("You pay five pounds", "stop")
    client.chat.completions.create(model="scripted", messages=QUESTION, seed=-1, top_p=0.5)
    params = shared_live.generator.asked[-1].params
    assert (params.seed, params.top_p, params.temperature, params.max_tokens) == (2**64 - 1, 0.5, 0, 128)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "required"),
        ("functions", [{"name": "f"}]),
        ("response_format", {"type": "json_object"}),
        ("logit_bias", {"1": 1}),
        ("logprobs", True),
        ("n", 2),
        ("n", 1_000_000),
        ("presence_penalty", 0.5),
        ("modalities", ["audio"]),
        ("top_k", 4),
        ("temprature", 0.5),
    ],
)
def test_field_that_would_change_the_result_is_refused(shared_live: Live, field: str, value: object) -> None:
    body = {"model": "scripted", "messages": QUESTION, field: value}
    response = shared_live.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "unsupported_parameter", field)


def test_fields_that_ask_for_nothing_are_ignored(shared_live: Live) -> None:
    harmless = {
        "tools": [], "tool_choice": "auto", "n": 1, "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {},
        "response_format": {"type": "text"}, "logprobs": False, "user": "u", "metadata": {"a": "b"}, "store": False,
        "seed": None, "stop": None, "temperature": None, "max_tokens": None, "top_p": None, "stream": None,
        "service_tier": "auto", "audio": None,
    }  # fmt: skip
    body = {"model": "scripted", "messages": [{**QUESTION[0], "name": "me"}], **harmless}
    assert shared_live.client.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 8193}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"seed": 2**64}, "seed"),
        ({"messages": []}, "messages"),
        ({"messages": QUESTION * 201}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x" * 100_001}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x" * 90_000}] * 5}, "the conversation has 450000 characters"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "x"}]}, "the last message is the assistant's"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, "the question needs"),
        ({"model": "hash"}, "send it to /v1/embeddings"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_field_out_of_bounds_is_a_bad_request(
    shared_live: Live, change: dict[str, object], problem: str, stream: bool
) -> None:
    body = {"model": "scripted", "messages": QUESTION, "stream": stream, **change}
    response = shared_live.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert problem in response.json()["error"]["message"]
    assert "xxx" not in response.text


def test_embeddings_are_the_embedders(client: openai.OpenAI) -> None:
    texts = ["a lost badge", "annual leave"]
    expected = HashEmbedder().embed(texts)
    for encoding in ({}, {"encoding_format": "float"}):
        found = client.embeddings.create(model="hash", input=texts, **encoding)  # type: ignore[arg-type]  # two literals
        np.testing.assert_allclose([item.embedding for item in found.data], expected, rtol=1e-6)
        assert [item.index for item in found.data] == [0, 1]
        assert found.usage.prompt_tokens == found.usage.total_tokens == 5
    np.testing.assert_allclose(client.embeddings.create(model="hash", input=texts[0]).data[0].embedding, expected[0])


def test_embeddings_in_base64_are_little_endian_floats(shared_live: Live) -> None:
    body = {"model": "hash", "input": "a lost badge", "encoding_format": "base64"}
    encoded = shared_live.client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    np.testing.assert_array_equal(
        np.frombuffer(base64.b64decode(encoded), "<f4"), HashEmbedder().embed(["a lost badge"])[0]
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"input": []}, "input"),
        ({"input": ["a"] * 257}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": "x" * 20_001}, "input"),
        ({"input": ["a", "word " * 300]}, "text 1 has 300 tokens, but 'hash' reads 256"),
        ({"dimensions": 32}, "has 64 dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"truncate": True}, "truncate"),
    ],
)
def test_embeddings_out_of_bounds_are_a_bad_request(shared_live: Live, change: dict[str, Any], problem: str) -> None:
    response = shared_live.client.post("/v1/embeddings", json={"model": "hash", "input": "a", **change})
    assert response.status_code == 400
    assert problem in response.json()["error"]["message"]


def test_queue_that_is_full_is_429_and_the_others_finish(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate), queue_length=1) as live:
        body = {"model": "scripted", "messages": QUESTION}
        answered: list[int] = []

        def ask() -> None:
            with httpx.Client(base_url=live.url, headers=live.client.headers, timeout=30, trust_env=False) as own:
                answered.append(own.post("/v1/chat/completions", json=body).status_code)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        threads[0].start()
        wait_until(lambda: live.generator.asked)
        threads[1].start()
        wait_until(lambda: live.service.worker.waiting == 1)
        with official(live) as client:
            with pytest.raises(openai.RateLimitError, match="all places in the queue are taken") as full:
                client.chat.completions.create(model="scripted", messages=QUESTION)
            assert 1 <= int(full.value.response.headers["Retry-After"]) <= 60
        gate.set()
        for thread in threads:
            thread.join()
        assert answered == [200, 200]


LONG = ["word " * 300, REPLY]  # at a tenth of a second a word, half a minute for the first


def test_client_that_leaves_frees_the_generator(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedGenerator(LONG, gate=Beat())) as live:
        body = {"model": "scripted", "messages": QUESTION}
        with live.impatient() as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chat/completions", json=body)
        wait_until(lambda: live.generator.closed)
        assert live.generator.steps < 300
        assert live.client.post("/v1/chat/completions", json=body).status_code == 200


def test_client_that_leaves_a_stream_frees_the_generator(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedGenerator(LONG, gate=Beat())) as live:
        body = {"model": "scripted", "messages": QUESTION, "stream": True}
        with live.client.stream("POST", "/v1/chat/completions", json=body) as response:
            next(response.iter_lines())
        wait_until(lambda: live.generator.closed)
        assert live.generator.steps < 300
        assert live.client.post("/v1/chat/completions", json=body).status_code == 200


def test_client_that_leaves_the_queue_is_never_served(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate)) as live:
        body = {"model": "scripted", "messages": QUESTION}
        first = threading.Thread(target=lambda: live.client.post("/v1/chat/completions", json=body))
        first.start()
        wait_until(lambda: live.generator.asked)
        with live.impatient() as client, pytest.raises(httpx.ReadTimeout):
            client.post("/v1/chat/completions", json=body)
        wait_until(lambda: live.service.worker.waiting == 0)
        gate.set()
        first.join()
        assert len(live.generator.asked) == 1


def test_silence_is_filled_with_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "HEARTBEAT_S", 0.05)
    gate = threading.Event()
    with serving(tmp_path, ScriptedGenerator([REPLY], gate=gate)) as live:
        body = {"model": "scripted", "messages": QUESTION, "stream": True}
        lines: list[str] = []
        with live.client.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                lines.append(line)
                if lines.count(": waiting") == 3:
                    gate.set()
    texts = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in texts) == REPLY
    assert lines.count(": waiting") >= 3


def test_error_in_the_middle_of_a_stream_is_raised_by_the_client(tmp_path: Path) -> None:
    class Failing(ScriptedGenerator):
        def stream(self, *args: Any) -> Any:
            yield from list(super().stream(*args))[:3]
            raise RuntimeError("memory")

    with serving(tmp_path, Failing([REPLY])) as live, official(live) as client:
        stream = client.chat.completions.create(model="scripted", messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError, match="the server made a mistake"):
            list(stream)
