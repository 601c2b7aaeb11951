"""Answers to several requests at once with the reference engine: rows of one batch, each with its own adapter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedModel

from models import lora, rows
from models.adapters import WEIGHTS, Adapter
from models.base import ConfigError, Message, ModelError, SamplingParams
from models.engines import load_generator
from models.generator import LocalGenerator
from models.network import load_network
from models.store import Model
from models.tokenizer import ChatTokenizer
from models.torch_engine import TransformersEngine
from tests.fakes import resigned, write_tiny_adapter, write_tiny_generator
from tests.serving import Live, serving

MANY = 4
GREEDY = SamplingParams(max_tokens=24)
QUESTIONS = ["hello", "Who may read?", "中文 😀 naïve", "badge", "x", "What else is there to be said about it?"]

Asked = tuple[str, str | None]
Answer = TypeVar("Answer")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    directory = write_tiny_generator(tmp_path_factory.mktemp("tiny"))
    return Model("tiny", "generator", directory, "0" * 64, "Apache-2.0", 512)


@pytest.fixture
def adapters(model: Model, tmp_path: Path) -> list[Adapter]:
    return [write_tiny_adapter(tmp_path / name, model, seed) for seed, name in enumerate(("terse", "formal"))]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each step had."""
    seen: list[int] = []
    read = rows.read

    def watched(network: PreTrainedModel, caches: Sequence[object], tokens: Sequence[int]) -> torch.Tensor:
        seen.append(len(tokens))
        return read(network, caches, tokens)

    monkeypatch.setattr(rows, "read", watched)
    return seen


def loaded(model: Model, offered: Callable[[], Sequence[Adapter]] = tuple, places: int = MANY) -> LocalGenerator:
    return load_generator(model, "transformers", "cpu", offered, places)


def answer(generator: LocalGenerator, asked: Asked, scope: str | None = None) -> list[int]:
    question, adapter = asked
    return [token.id for token in generator.stream([Message("user", question)], GREEDY, adapter, scope)]


def at_once(work: Callable[[Asked], Answer], asked: Sequence[Asked], threads: int = MANY) -> list[Answer]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, asked))


def test_answers_at_once_are_those_that_each_gets_alone(
    model: Model, adapters: list[Adapter], batches: list[int]
) -> None:
    generator = loaded(model, lambda: adapters)
    asked = [(question, adapter) for question in QUESTIONS for adapter in (None, "terse", "formal")]
    alone = [answer(generator, each) for each in asked]
    batches.clear()
    assert at_once(lambda each: answer(generator, each), asked) == alone
    assert max(batches) == MANY
    assert len({tuple(tokens) for tokens in alone}) > len(QUESTIONS)  # the adapters do change what is said


def test_follow_ups_at_once_go_on_from_the_same_reading(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    beginning = rows.beginning
    monkeypatch.setattr(rows, "beginning", lambda cache, length: begun.append(length) or beginning(cache, length))
    generator = loaded(model)
    start = [Message("user", "Who may read the documents?"), Message("assistant", "All who may.")]

    def follow(generator: LocalGenerator, asked: Asked) -> list[int]:
        messages = [*start, Message("user", asked[0])]
        return [token.id for token in generator.stream(messages, GREEDY, None, "somebody")]

    asked = [(question, None) for question in QUESTIONS]
    alone = [follow(loaded(model, places=1), each) for each in asked]
    begun.clear()
    list(generator.stream(start[:1], GREEDY, None, "somebody"))
    assert at_once(lambda each: follow(generator, each), asked) == alone
    assert len(begun) >= MANY
    assert min(begun) > 10


def test_more_requests_than_places_wait(model: Model, batches: list[int]) -> None:
    generator = loaded(model, places=2)
    assert generator.places == 2
    batches.clear()
    at_once(lambda each: answer(generator, each), [(question, None) for question in QUESTIONS], threads=6)
    assert max(batches) == 2


def test_adapter_that_is_damaged_fails_alone(model: Model, adapters: list[Adapter]) -> None:
    generator = loaded(model, lambda: adapters)
    expected = answer(generator, ("hello", "terse"))
    (adapters[1].directory / WEIGHTS).write_bytes(b"damaged")
    begun = threading.Barrier(2)

    def work(asked: Asked) -> list[int]:
        begun.wait(10)
        return answer(generator, asked)

    with ThreadPoolExecutor(2) as pool:
        good, bad = (pool.submit(work, ("hello", name)) for name in ("terse", "formal"))
    with pytest.raises(ModelError, match="formal"):
        bad.result()
    assert good.result() == expected


def test_adapter_that_is_trained_anew_meanwhile_is_another(model: Model, tmp_path: Path) -> None:
    first, second = (write_tiny_adapter(tmp_path / f"v{seed}" / "terse", model, seed) for seed in range(2))
    now = [first]
    generator = loaded(model, lambda: now)
    before = generator.stream([Message("user", "hello")], GREEDY, "terse")
    tokens = [next(before).id]
    now[0] = second
    after = answer(generator, ("hello", "terse"))
    tokens += [token.id for token in before]
    now[0] = first
    assert tokens == answer(generator, ("hello", "terse"))
    assert after == answer(loaded(model, lambda: [second]), ("hello", "terse"))
    assert tokens != after


def test_adapter_that_cannot_share_a_batch_is_read_beside_it(
    model: Model, adapters: list[Adapter], tmp_path: Path
) -> None:
    offered = [*adapters, write_tiny_adapter(tmp_path / "dora", model, seed=3, use_dora=True)]
    generator = loaded(model, lambda: offered)
    asked = [(question, adapter) for question in QUESTIONS for adapter in ("terse", "dora", None)]
    alone = [answer(generator, each) for each in asked]
    for _ in range(2):
        assert at_once(lambda each: answer(generator, each), asked) == alone


def test_step_that_fails_leaves_the_network_as_it_was(
    model: Model, adapters: list[Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = loaded(model, lambda: adapters)
    asked = [("hello", "terse"), ("hello", "formal")]
    expected = [answer(generator, each) for each in asked]
    read = rows.read

    def fail(*given: Any) -> torch.Tensor:
        read(*given)
        raise RuntimeError("out of memory")

    begun = threading.Barrier(2)

    def work(each: Asked) -> list[int]:
        begun.wait(10)
        return answer(generator, each)

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(rows, "read", fail)
        for future in [pool.submit(work, each) for each in asked]:
            with pytest.raises(RuntimeError, match="out of memory"):
                future.result()
    assert [answer(generator, each) for each in asked] == expected


def test_adapter_that_was_trained_with_dropout_drops_nothing(model: Model, tmp_path: Path) -> None:
    plain = write_tiny_adapter(tmp_path / "plain" / "terse", model)
    dropped = resigned(write_tiny_adapter(tmp_path / "dropped" / "terse", model), lora_dropout=0.9)
    expected = answer(loaded(model, lambda: [plain]), ("hello", "terse"))
    assert answer(loaded(model, lambda: [dropped]), ("hello", "terse")) == expected


def test_server_makes_several_answers_at_once(
    model: Model, adapters: list[Adapter], tmp_path: Path, batches: list[int]
) -> None:
    generator = loaded(model, lambda: adapters)
    asked = [(question, adapter) for question in QUESTIONS for adapter in ("terse", "formal")]
    with serving(tmp_path / "data", generator) as live, at_work(live) as ask:
        alone = [ask(each) for each in asked]
        generator.forget()
        batches.clear()
        assert at_once(ask, asked, threads=len(asked)) == alone
    assert max(batches) == MANY


@contextmanager
def at_work(live: Live) -> Iterator[Callable[[Asked], str]]:
    """Give what asks the model over the OpenAI-compatible interface, from any thread."""
    with httpx.Client(base_url=live.url, headers=live.client.headers, timeout=60, trust_env=False) as client:

        def ask(asked: Asked) -> str:
            messages = [{"role": "user", "content": asked[0]}]
            body = {"model": f"tiny:{asked[1]}", "messages": messages, "max_tokens": 24, "temperature": 0}
            text: str = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
            return text

        yield ask


def test_stream_that_is_closed_gives_its_place_back(model: Model) -> None:
    generator = loaded(model, places=2)
    for _ in range(5):
        stream = generator.stream([Message("user", "hello")], GREEDY)
        next(stream)
        stream.close()
    assert answer(generator, ("hello", None))


def test_rows_are_those_of_a_network_with_a_sliding_window(tmp_path: Path) -> None:
    config = MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=8,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        MistralForCausalLM(config).save_pretrained(tmp_path)
    network = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, local_files_only=True).eval()
    rows.require(network)
    prompts = [list(range(3, 3 + length)) for length in (4, 20, 11)]
    with torch.inference_mode():
        caches, expected = [], []
        for prompt in prompts:
            cache = rows.new_cache(network)
            network(input_ids=torch.tensor([prompt]), past_key_values=cache, use_cache=True)
            caches.append(cache)
            expected.append(network(input_ids=torch.tensor([[*prompt, 1]])).logits[0, -1])
        found = rows.read(network, caches, [1] * len(prompts))
    assert torch.allclose(found, torch.stack(expected), atol=1e-4)


def test_network_without_named_attention_is_refused(model: Model) -> None:
    network = load_network(model, torch.float32)
    network.config._attn_implementation = "eager"
    with pytest.raises(ModelError, match=r"several requests at once; set server\.slots to 1"):
        rows.require(network)
    assert network.config._attn_implementation == "eager"
    network.config._attn_implementation = "sdpa"
    network.config.rope_parameters = {"rope_type": "longrope"}
    with pytest.raises(ModelError, match="changes with the longest conversation"):
        rows.require(network)


def test_places_are_bounded_and_the_engines_own(model: Model) -> None:
    with pytest.raises(ConfigError, match=f"17 answers at once .* up to {lora.MAX_RESIDENT}"):
        loaded(model, places=17)
    assert TransformersEngine(model, ChatTokenizer(model), "cpu").places == 1
