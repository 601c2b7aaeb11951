"""The arithmetic of training on a random model: losses, packing, accumulation, resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from torch.nn import functional

from finetune import checkpoints
from finetune.anchor import OPENINGS, REQUESTS, TOKENS, Anchor, own_words
from finetune.batch import IGNORED, Batch, batches, padded
from finetune.config import TrainConfig
from finetune.encode import Row
from finetune.fit import Fitted, fit, lora_network
from finetune.loss import SelectiveHead
from finetune.packing import packed, packs, require_packable
from finetune.trainer import held_out_losses
from models.adapters import CONFIG, WEIGHTS
from models.base import ConfigError, ModelError
from models.network import load_network
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.training import config, encoded, questions, tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tokenizer(model: Model) -> ChatTokenizer:
    return ChatTokenizer(model)


@pytest.fixture(scope="module")
def rows(tokenizer: ChatTokenizer, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return encoded(tokenizer, questions(40), tmp_path_factory.mktemp("rows"))


def train(
    settings: TrainConfig, model: Model, rows: Sequence[Row], directory: Path, resume: Path | None = None
) -> Fitted:
    return fit(settings, model, rows[8:], rows[:8], tokenizer=ChatTokenizer(model), directory=directory, resume=resume)


def weights(fitted: Fitted) -> dict[str, torch.Tensor]:
    return load_file(fitted.directory / WEIGHTS)


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_loss_is_that_of_all_logits(model: Model, tokenizer: ChatTokenizer, rows: list[Row]) -> None:
    network = load_network(model, torch.float32)
    batch = padded(rows[:5], tokenizer.pad_id)
    logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    labels = batch["labels"][:, 1:]
    expected = functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    losses, places = SelectiveHead(network).token_losses(network, batch)
    assert torch.allclose(losses.mean(), expected, atol=1e-6)
    assert torch.bincount(places).tolist() == [int(row.learnt.sum()) for row in rows[:5]]
    again = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert torch.equal(again, logits)  # without a choice, the head computes everything


def test_padding_and_batch_do_not_change_a_rows_loss(model: Model, tokenizer: ChatTokenizer, rows: list[Row]) -> None:
    network = load_network(model, torch.float32)
    head = SelectiveHead(network)
    by_length = sorted(rows, key=lambda row: len(row.ids))
    together, counts = held_out_losses(head, network, batches(rows, 7, tokenizer.pad_id), CPU)
    alone, _ = held_out_losses(head, network, [padded([row], tokenizer.pad_id) for row in by_length], CPU)
    assert torch.allclose(together, alone, atol=1e-5)
    assert counts.tolist() == [int(row.learnt.sum()) for row in by_length]


def test_packed_rows_get_the_losses_of_unpacked_ones(
    model: Model, tokenizer: ChatTokenizer, rows: list[Row], tmp_path: Path
) -> None:
    context = [{"title": "Ferry", "text": "The ferry leaves at nine. " * 8, "evidence": True}, "Dogs travel free."]
    asked = [{"question": f"{n} times what?", "context": context, "answer": f"{n} [1]."} for n in range(6)]
    repeated = [{"question": "4 times what?", "context": context, "answer": "Nobody knows [2]."}]
    family = encoded(tokenizer, asked + repeated, tmp_path)
    chosen = [*rows[:9], *family]
    network = load_network(model, torch.float32).requires_grad_(False)
    head = SelectiveHead(network)
    apart = [float(head.token_losses(network, padded([row], tokenizer.pad_id))[0].sum()) for row in chosen]
    filled = packs(chosen, 600)
    together = [head.token_losses(network, batch)[0] for batch in filled]
    assert sum(float(losses.sum()) for losses in together) == pytest.approx(sum(apart), rel=1e-5)
    assert sum(len(losses) for losses in together) == sum(int(row.learnt.sum()) for row in chosen)
    assert all(batch["input_ids"].shape[1] <= 600 for batch in filled)
    (one,) = packs(family, 10_000)
    assert one["input_ids"].shape[1] < sum(len(row.ids) for row in family) / 2
    assert float(head.token_losses(network, one)[0].sum()) == pytest.approx(sum(apart[9:]), rel=1e-5)


def test_family_is_cut_only_where_it_is_half_too_long(tokenizer: ChatTokenizer, tmp_path: Path) -> None:
    context = [{"title": "Ferry", "text": "The ferry leaves at nine. " * 8, "evidence": True}]
    family = encoded(
        tokenizer,
        [{"question": f"{n} times what?", "context": context, "answer": f"{n} [1]."} for n in range(40)],
        tmp_path,
    )
    longest = max(len(row.ids) for row in family)
    sizes = [batch["input_ids"].shape[1] for batch in packs(family, longest)]
    assert longest < sizes[0] <= longest * 3 // 2
    assert len(sizes) > 1


def test_packed_token_sees_its_own_row_only(model: Model, tokenizer: ChatTokenizer, rows: list[Row]) -> None:
    network = load_network(model, torch.float32)
    pack = packed(sorted(rows[:5], key=lambda row: row.ids.tolist()))
    changed = Batch(**pack)
    at = int((pack["labels"][0] != IGNORED).nonzero()[0])
    changed["input_ids"] = pack["input_ids"].clone()
    changed["input_ids"][0, at] += 1  # in the first row, behind what others share
    with torch.inference_mode():
        before, after = (
            network(**{name: value for name, value in batch.items() if name != "labels"}, use_cache=False).logits[0]
            for batch in (pack, changed)
        )
    differs = (before != after).any(-1)
    last_of_the_first = int((pack["position_ids"][0, 1:] <= pack["position_ids"][0, :-1]).nonzero()[0])
    assert differs[at : last_of_the_first + 1].all()
    assert not differs[last_of_the_first + 1 :].any()


def test_training_learns_and_changes_only_lora(model: Model, rows: list[Row], tmp_path: Path) -> None:
    before = {name: weight.clone() for name, weight in load_network(model, torch.float32).state_dict().items()}
    fitted = train(config(tmp_path, steps=30), model, rows, tmp_path / "run")
    losses = [entry["loss"] for entry in fitted.history if "loss" in entry]
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    held_out = [entry["eval_loss"] for entry in fitted.history if "eval_loss" in entry]
    assert held_out[-1] < held_out[0]
    assert all("lora_A" in name or "lora_B" in name for name in weights(fitted))
    assert json.loads((fitted.directory / CONFIG).read_text())["base_model_name_or_path"] == "tiny"
    after = load_network(model, torch.float32).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert fitted.tokens > 0
    assert fitted.peak_mib > 0


def test_packing_is_refused_where_attention_would_not_see_its_mask(model: Model, tmp_path: Path) -> None:
    network = lora_network(config(tmp_path, packing=True), model, CPU)
    require_packable(network)
    network.base_model.model.set_attn_implementation("eager")
    with pytest.raises(ConfigError, match="attention is 'eager'"):
        require_packable(network)
    network.base_model.model.set_attn_implementation("sdpa")
    network.base_model.model.config.sliding_window = 8
    with pytest.raises(ConfigError, match="looks at a window"):
        require_packable(network)


def test_weights_that_are_spread_over_processes_are_not_held_near_the_base(
    model: Model, rows: Sequence[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="kl_weight 0"):
        train(config(tmp_path, steps=1, kl_weight=1), model, rows, tmp_path)


@pytest.mark.parametrize("settings", [{"micro_batch": 1}, {"micro_batch": 3}, {"packing": True}])
def test_cut_of_a_step_does_not_change_what_is_learnt(
    model: Model, rows: list[Row], tmp_path: Path, settings: dict[str, object]
) -> None:
    whole = train(config(tmp_path, micro_batch=4), model, rows, tmp_path / "whole")
    cut = train(config(tmp_path, **settings), model, rows, tmp_path / "cut")
    assert largest_difference(weights(whole), weights(cut)) < 1e-4
    assert [entry["loss"] for entry in whole.history if "loss" in entry] == pytest.approx(
        [entry["loss"] for entry in cut.history if "loss" in entry], abs=1e-4
    )


def test_bf16_on_a_cpu_multiplies_roughly_and_keeps_exact_weights(
    model: Model, rows: list[Row], tmp_path: Path
) -> None:
    settings = config(tmp_path, steps=3)
    network = lora_network(settings.model_copy(update={"precision": "bf16"}), model, CPU)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    exact, rough = (
        train(settings.model_copy(update={"precision": name}), model, rows, tmp_path / name)
        for name in ("fp32", "bf16")
    )
    losses = [[entry["loss"] for entry in fitted.history if "loss" in entry] for fitted in (exact, rough)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
    assert {weight.dtype for weight in weights(rough).values()} == {torch.float32}


def test_gradient_checkpointing_does_not_change_what_is_learnt(model: Model, rows: list[Row], tmp_path: Path) -> None:
    plain = train(config(tmp_path), model, rows, tmp_path / "plain")
    saving = train(config(tmp_path, gradient_checkpointing=True), model, rows, tmp_path / "saving")
    assert largest_difference(weights(plain), weights(saving)) < 1e-4


@pytest.mark.parametrize(
    "lora",
    [
        {"r": 4, "dora": True},
        {"r": 4, "rslora": True},
        {"r": 4, "plus_ratio": 16},
        {"r": 4, "targets": ["q_proj"], "dropout": 0.1},
    ],
)
def test_kinds_of_lora_learn(model: Model, rows: list[Row], tmp_path: Path, lora: dict[str, object]) -> None:
    fitted = train(config(tmp_path, lora=lora, steps=20), model, rows, tmp_path / "run")
    losses = [entry["loss"] for entry in fitted.history if "loss" in entry]
    assert losses[-1] < losses[0]
    if "targets" in lora:
        assert all("q_proj" in name for name in weights(fitted))


def test_interrupted_run_ends_with_the_weights_of_the_uninterrupted_one(
    model: Model, rows: list[Row], tmp_path: Path
) -> None:
    settings = config(tmp_path, steps=9, checkpoint_every=2, lora={"r": 4, "dropout": 0.2}, early_stopping=5)
    straight = train(settings, model, rows, tmp_path / "straight")
    train(settings, model, rows, tmp_path / "broken")
    broken = tmp_path / "broken" / "checkpoints"
    newest = checkpoints.last(broken)
    assert newest is not None
    assert newest.name == "checkpoint-9"
    (newest / "optimizer.pt").write_bytes(b"half a file")
    older = checkpoints.last(broken)
    assert older is not None
    assert older.name == "checkpoint-8"
    again = train(settings, model, rows, tmp_path / "broken", resume=older)
    assert largest_difference(weights(straight), weights(again)) == 0
    assert [e for e in again.history if "loss" in e] == [e for e in straight.history if "loss" in e]


def test_early_stopping_keeps_the_best(model: Model, rows: list[Row], tmp_path: Path) -> None:
    settings = config(tmp_path, steps=60, learning_rate=0.3, schedule="constant", eval_every=1, early_stopping=2)
    fitted = train(settings, model, rows, tmp_path / "run")
    held_out = [entry["eval_loss"] for entry in fitted.history if "eval_loss" in entry]
    assert len(held_out) < 60
    assert min(held_out) == held_out[-3]
    network = lora_network(settings, model, CPU)
    set_peft_model_state_dict(network, weights(fitted))
    head = SelectiveHead(network.get_base_model())
    sums, counts = held_out_losses(head, network.eval(), batches(rows[:8], 8, 0), CPU)
    assert float(sums.sum() / counts.sum()) == pytest.approx(min(held_out), abs=1e-5)


def test_value_that_is_no_number_stops_the_run_with_its_rows(model: Model, rows: list[Row], tmp_path: Path) -> None:
    settings = config(
        tmp_path, steps=40, learning_rate=1.0, max_grad_norm=1000, schedule="constant", lora={"r": 4, "alpha": 4096}
    )
    with pytest.raises(ModelError, match=r"of step \d+ is not a finite number.*Its rows: rows\.jsonl, line \d+"):
        train(settings, model, rows, tmp_path / "run")


def test_device_and_targets_that_are_not_there_are_refused(model: Model, rows: list[Row], tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="cuda is asked for"):
            train(config(tmp_path, device="cuda"), model, rows, tmp_path / "run")
        with pytest.raises(ConfigError, match="4-bit weights need CUDA"):
            train(config(tmp_path, quantize="4bit", device="cpu"), model, rows, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"lora\.targets: .*nowhere"):
        train(config(tmp_path, lora={"targets": ["nowhere"]}), model, rows, tmp_path / "run")


def test_checkpoint_that_is_not_finished_is_none(tmp_path: Path) -> None:
    assert checkpoints.last(tmp_path) is None
    writing = checkpoints.begin(tmp_path)
    (writing / "checkpoint-3").mkdir()
    (writing / "checkpoint-3" / "a").write_text("a")
    assert checkpoints.last(tmp_path) is None
    final = checkpoints.finish(tmp_path)
    assert checkpoints.last(tmp_path) == final == tmp_path / "checkpoint-3"
    (final / "a").unlink()
    assert checkpoints.last(tmp_path) is None


def test_losses_are_measured_in_nats(model: Model, rows: list[Row], tokenizer: ChatTokenizer) -> None:
    network = load_network(model, torch.float32)
    with torch.no_grad():
        network.get_output_embeddings().weight.zero_()
    sums, counts = held_out_losses(SelectiveHead(network), network, [padded(rows, tokenizer.pad_id)], CPU)
    assert np.allclose((sums / counts).numpy(), math.log(network.config.vocab_size))


def test_anchor_holds_the_adapter_near_the_base_model(
    model: Model, rows: list[Row], tokenizer: ChatTokenizer, tmp_path: Path
) -> None:
    drifted = {}
    for weight in (0.0, 3.0):
        settings = config(tmp_path, steps=30, kl_weight=weight)
        fitted = train(settings, model, rows, tmp_path / f"run-{weight}")
        network = lora_network(settings, model, CPU)
        texts = own_words(network, tokenizer, seed=5)
        set_peft_model_state_dict(network, weights(fitted))
        divergence = Anchor(texts, [10_000]).divergence(network.eval(), network, 0)
        assert divergence is not None
        drifted[weight] = float(divergence.detach())
        held_out = [entry["eval_loss"] for entry in fitted.history if "eval_loss" in entry]
        assert held_out[-1] < held_out[0]
    assert 0 < drifted[3.0] < drifted[0.0] / 2


def test_own_words_are_those_of_the_seed_and_leave_the_source_of_chance_alone(
    model: Model, tokenizer: ChatTokenizer, tmp_path: Path
) -> None:
    network = lora_network(config(tmp_path), model, CPU)
    before = torch.random.get_rng_state()
    texts = own_words(network, tokenizer, seed=1)
    assert texts.shape == (len(OPENINGS) + len(REQUESTS), TOKENS)
    assert torch.equal(texts, own_words(network, tokenizer, seed=1))
    assert not torch.equal(texts, own_words(network, tokenizer, seed=2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.training


def test_anchor_takes_its_texts_in_turns_and_a_twentieth_of_the_tokens(
    model: Model, tokenizer: ChatTokenizer, tmp_path: Path
) -> None:
    network = lora_network(config(tmp_path), model, CPU).eval()
    texts = own_words(network, tokenizer, seed=1)
    rare = Anchor(texts, [400, 800])
    assert [rare.divergence(network, network, step) is None for step in range(4)] == [False, True, False, True]
    often = Anchor(texts, [20 * TOKENS * 3])
    divergence = often.divergence(network, network, 7)
    assert divergence is not None
    assert float(divergence.detach()) == pytest.approx(0, abs=1e-5)  # fresh LoRA layers change nothing
