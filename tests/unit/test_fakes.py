"""The stand-ins keep the promises of the protocols that they implement."""

from __future__ import annotations

from contextlib import closing
from threading import Event, Thread

import numpy as np
import pytest

from models.base import Embedder, Generator, InputError, Message, ModelError, SamplingParams
from tests.fakes import HashEmbedder, ScriptedGenerator

_ASK = [Message("user", "Who may read?")]


def test_hash_embedder_ranks_shared_words_first() -> None:
    embedder: Embedder = HashEmbedder()
    passages = embedder.embed(["the badge is reset here", "lunch is at noon", "..."])
    assert int((passages @ embedder.embed_query("Reset my badge!")).argmax()) == 0
    assert np.linalg.norm(passages, axis=1) == pytest.approx(1)
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_hash_embedder_reads_max_tokens() -> None:
    embedder = HashEmbedder()
    read = " ".join(["word"] * embedder.max_tokens)
    assert len(embedder.token_starts(read)) == embedder.max_tokens
    assert (embedder.embed_query(read + " unread") == embedder.embed_query(read)).all()


def test_hash_embedder_marks_words_and_punctuation() -> None:
    assert HashEmbedder().token_starts("Ask, please").tolist() == [0, 3, 5]


def test_scripted_generator_says_its_replies_in_turn() -> None:
    generator: Generator = ScriptedGenerator(["one two", "three"])
    said = ["".join(token.text for token in generator.stream(_ASK, SamplingParams())) for _ in range(3)]
    assert said == ["one two", "three", "three"]


@pytest.mark.parametrize(
    ("params", "text", "count", "reason"),
    [
        (SamplingParams(), "one two three", 4, "stop"),
        (SamplingParams(max_tokens=2), "one two ", 2, "length"),
        (SamplingParams(stop=("o th",)), "one tw", 3, "stop"),
        (SamplingParams(stop=("three!",)), "one two three", 4, "stop"),
    ],
)
def test_scripted_generator_honours_its_parameters(params: SamplingParams, text: str, count: int, reason: str) -> None:
    generator = ScriptedGenerator(["one two three"])
    tokens = list(generator.stream(_ASK, params))
    assert "".join(token.text for token in tokens) == text
    assert (len(tokens), generator.steps) == (count, count)
    assert [token.finish_reason for token in tokens] == [None] * (count - 1) + [reason]


def test_scripted_generator_stops_when_closed() -> None:
    generator = ScriptedGenerator(["one two three"])
    with closing(generator.stream(_ASK, SamplingParams())) as stream:
        next(stream)
    assert (generator.steps, generator.closed) == (1, 1)


def test_scripted_generator_waits_at_its_gate() -> None:
    gate = Event()
    generator = ScriptedGenerator(["one two three"], gate=gate)
    stream = generator.stream(_ASK, SamplingParams())
    next(stream)
    reader = Thread(target=lambda: list(stream))
    reader.start()
    reader.join(timeout=0.2)
    assert generator.steps == 1
    gate.set()
    reader.join(timeout=10)
    assert generator.steps == 4


def test_scripted_generator_records_what_it_was_asked() -> None:
    generator = ScriptedGenerator(["yes"], adapters=("style",))
    generator.stream(_ASK, SamplingParams(seed=3), "style")
    assert [(asked.messages, asked.params.seed, asked.adapter) for asked in generator.asked] == [
        (tuple(_ASK), 3, "style")
    ]


def test_scripted_generator_refuses_what_the_real_one_refuses() -> None:
    generator = ScriptedGenerator(["yes"], adapters=("style",), context_length=6)
    with pytest.raises(ModelError, match="no adapter 'other' is offered for 'scripted'; offered: style"):
        generator.stream(_ASK, SamplingParams(), "other")
    with pytest.raises(InputError, match="has 8 tokens of 6"):
        generator.stream([*_ASK, Message("user", "")], SamplingParams())
