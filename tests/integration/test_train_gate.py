"""The gate: what it measures is what serving does, and what the held-out rows cannot show is not let through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune import scores
from finetune.config import GateSettings
from finetune.encode import Row
from finetune.examples import Example
from finetune.gate import Exam, Measured, compare, general_text, interval, judge
from finetune.generate import Generated, generate
from models.base import ConfigError, Message, ModelError, SamplingParams
from models.engines import load_generator
from models.network import load_network
from models.prompt import REFUSAL
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.fakes import write_tiny_adapter
from tests.training import encoded, questions, tiny_model

CPU = torch.device("cpu")
EXAMPLES = [Example(f"line {number}", (), f"q{number}", "a") for number in range(40)]


def side(loss: float, general: float = 3.0, stops: float = 1.0, score: float | None = None, rows: int = 40) -> Measured:
    answers = [Generated("a", number < stops * rows) for number in range(rows)]
    found = {} if score is None else {"f1": (np.arange(rows) < score * rows).astype(float)}
    return Measured(np.full(rows, loss) + np.linspace(0, 0.1, rows), general, answers, found)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (side(2), side(1), None),
        (side(1), side(1), "the held-out loss is not shown to fall"),
        (side(1), side(2), "the held-out loss is not shown to fall"),
        (side(2), side(1, general=3.2), "general text became 0.200 nats a token harder to predict; 0.05 are allowed"),
        (side(2), side(1, general=2.9), None),
        (side(2), side(1, stops=0.9), "90.0% of the answers end by themselves; 95.0% must"),
        (side(2, rows=8), side(1, rows=8), "8 held-out rows are too few"),
    ],
)
def test_gate_without_a_score_looks_at_the_loss(before: Measured, after: Measured, reason: str | None) -> None:
    verdict = compare(before, after, EXAMPLES[: len(before.answers)], GateSettings(), None)
    assert verdict.passed == (reason is None)
    assert (not verdict.reasons) if reason is None else reason in verdict.reasons[0]


@pytest.mark.parametrize(
    ("before", "after", "passes"),
    [
        (0.0, 0.5, True),
        (0.5, 0.5, False),
        (0.5, 0.525, False),
        (0.5, 0.3, False),
        (1.0, 1.0, True),
        (1.0, 0.7, False),
        (1.0, 0.95, False),
    ],
)
def test_gate_with_a_score_wants_it_shown_to_rise(before: float, after: float, passes: bool) -> None:
    verdict = compare(side(2, score=before), side(1, score=after), EXAMPLES, GateSettings(), "f1")
    assert verdict.passed == passes
    assert verdict.scores["after"]["f1"] == pytest.approx(after)
    low, high = verdict.intervals["f1"]
    assert low <= after - before <= high


def test_interval_narrows_with_rows_and_is_repeatable() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=20), rng.normal(size=2000)
    assert np.ptp(interval(many)) < np.ptp(interval(few)) / 4
    assert interval(few) == interval(few)
    assert interval(np.zeros(5)) == (0, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tokenizer(model: Model) -> ChatTokenizer:
    return ChatTokenizer(model)


@pytest.fixture
def rows(tokenizer: ChatTokenizer, tmp_path: Path) -> list[Row]:
    return encoded(tokenizer, questions(12), tmp_path)


@pytest.fixture(scope="module")
def general(tokenizer: ChatTokenizer) -> list[Row]:
    return general_text(None, tokenizer, 512)


def test_gate_answers_as_the_server_answers(model: Model, tokenizer: ChatTokenizer) -> None:
    asked = [[Message("user", text)] for text in ("hello", "a longer question about badges", "x")]
    together = generate(load_network(model, torch.float32), tokenizer, [tokenizer.prompt_ids(m) for m in asked], 24)
    server = load_generator(model, "transformers", "cpu")
    for messages, answer in zip(asked, together, strict=True):
        tokens = list(server.stream(messages, SamplingParams(max_tokens=24)))
        assert answer.text == "".join(token.text for token in tokens)
        assert answer.stopped == (tokens[-1].finish_reason == "stop")


def test_gate_judges_what_would_be_served(
    model: Model, tokenizer: ChatTokenizer, general: list[Row], rows: list[Row], tmp_path: Path
) -> None:
    adapter = write_tiny_adapter(tmp_path / "terse", model)
    exam = Exam(rows, general, GateSettings(max_tokens=8), scores.choose(GateSettings(score="f1")))
    verdict = judge(adapter, exam, model, tokenizer, CPU)
    server = load_generator(model, "transformers", "cpu", lambda: [adapter])
    for example, before, after in verdict.rows:
        for name, text in ((None, before), ("terse", after)):
            tokens = server.stream(example.prompt, SamplingParams(max_tokens=8), name)
            assert "".join(token.text for token in tokens) == text
    assert {"loss", "general_loss", "stops", "f1", "exact_match"} == set(verdict.scores["before"])
    assert verdict.forgetting_nats == pytest.approx(
        verdict.scores["after"]["general_loss"] - verdict.scores["before"]["general_loss"]
    )


def test_gate_scores_grounded_rows(model: Model, tokenizer: ChatTokenizer, general: list[Row], tmp_path: Path) -> None:
    context = [{"text": "One.", "evidence": True}, "Two."]
    grounded = [{"question": f"q{n}", "context": context, "answer": "One [1]."} for n in range(6)]
    refused = [{"question": f"r{n}", "context": ["Two."], "answer": REFUSAL} for n in range(4)]
    exam = Exam(encoded(tokenizer, [*grounded, *refused], tmp_path), general, GateSettings(max_tokens=4), None)
    verdict = judge(write_tiny_adapter(tmp_path / "a", model), exam, model, tokenizer, CPU)
    assert {"refused", "answered", "grounded_f1", "cited"} <= set(verdict.scores["after"])
    assert not verdict.passed


def test_gate_refuses_an_adapter_that_the_server_would_refuse(
    model: Model, tokenizer: ChatTokenizer, general: list[Row], rows: list[Row], tmp_path: Path
) -> None:
    adapter = write_tiny_adapter(tmp_path / "terse", model)
    path = adapter.directory / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(ModelError, match="has changed since training"):
        judge(adapter, Exam(rows, general, GateSettings(max_tokens=4), None), model, tokenizer, CPU)


def test_general_text_may_be_ones_own(model: Model, tokenizer: ChatTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("One paragraph.\nGoes on.\n\nAnother.\n\n\n\n")
    paragraphs = general_text(path, tokenizer, 512)
    assert [tokenizer.text(row.ids.tolist()) for row in paragraphs] == ["One paragraph.\nGoes on.", "Another."]
    assert all(not row.learnt[0] and row.learnt[1:].all() for row in paragraphs)
    path.write_text("\n\n")
    with pytest.raises(ConfigError, match="holds no paragraph"):
        general_text(path, tokenizer, 512)
    assert len(general_text(None, tokenizer, 512)) > 20
