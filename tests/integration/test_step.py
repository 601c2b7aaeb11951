"""The step that generates: its scores beside the graph's for every family, its cache, and where it must not be used."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from models import export, graph, lowering, openmp
from models.anatomy import anatomy
from models.base import ModelError
from models.lora import verifier
from models.network import load_network
from models.openvino_engine import MERGED, OpenVinoEngine
from models.openvino_network import GraphReading, OpenVinoNetwork, SteppedReading
from models.quiet_openvino import openvino
from models.step import Cache
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.fakes import write_tiny_adapter, write_tiny_generator

LONG = [3 + (7 * number) % 290 for number in range(300)]
SHAPE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,  # wider ones blow the last bit of a bf16 up
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
FAMILIES = {
    "llama": ("Llama", {}),
    "llama with biases": ("Llama", {"attention_bias": True}),
    "llama, stretched": ("Llama", {"rope_parameters": LLAMA3}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "qwen3, yarn": ("Qwen3", {"rope_parameters": YARN}),
    "smollm3": ("SmolLM3", {"pad_token_id": 0, "no_rope_layers": [1, 0, 1, 0]}),
    "granite": (
        "Granite",
        {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "logits_scaling": 4.0},
    ),
}


@pytest.fixture(autouse=True)
def _rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round tiny weights as well, and let nothing else be inexact."""
    monkeypatch.setattr(graph, "SMALLEST", 1)
    monkeypatch.setattr(graph, "ROUGH", graph.EXACT)
    monkeypatch.setitem(graph.SETTINGS, "DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")


def write(directory: Path, kind: str, more: dict[str, Any]) -> Model:
    """Write a random network of a family; its norms and biases are not what they are initialised with."""
    config = getattr(transformers, f"{kind}Config")(**SHAPE | more)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = getattr(transformers, f"{kind}ForCausalLM")(config)
        for name, weights in network.named_parameters():
            if weights.ndim == 1:
                weights.data = torch.randn_like(weights) * 0.3 + (1 if "norm" in name else 0)
        network.save_pretrained(directory)
    return Model("tiny", "generator", directory, "0" * 64, "Apache-2.0", 512)


def networks(model: Model, work: Path) -> tuple[OpenVinoNetwork, OpenVinoNetwork]:
    """Return a model's graph with a step and without one."""
    network = load_network(model, torch.float32)
    lowered, its = lowering.lower(network), anatomy(network)
    graph.to_int8(lowered)
    openvino.save_model(lowered, work / "graph.xml", compress_to_fp16=False)
    assert its is not None

    def read() -> graph.Graph:
        return openvino.Core().read_model(work / "graph.xml")

    return OpenVinoNetwork(read(), model, its), OpenVinoNetwork(read(), model)


@pytest.mark.parametrize("family", FAMILIES)
def test_step_agrees_with_the_graph(family: str, tmp_path: Path) -> None:
    stepping, alone = networks(write(tmp_path, *FAMILIES[family]), tmp_path)
    one, other = stepping.begin({}), alone.begin({})
    one.read(LONG[:40])
    other.read(LONG[:40])
    for token in LONG[40:]:
        scores, expected = one.read([token]), other.read([token])
        assert np.abs(scores - expected).max() < 0.015 * np.abs(expected).max()


def test_reading_goes_on_behind_generated_tokens_and_other_readings(tmp_path: Path) -> None:
    stepping, alone = networks(write(tmp_path, "Llama", {}), tmp_path)

    def scores(network: OpenVinoNetwork) -> list[Any]:
        first, second = network.begin({}), network.begin({})
        found = [first.read(LONG[:30]), second.read(LONG[100:120])]
        found += [first.read([token]) for token in LONG[30:34]]
        found += [second.read(LONG[120:125]), first.read(LONG[34:50])]
        third = first.beginning(32)
        return [*found, third.read([9]), third.read(LONG[:3]), first.read([7])]

    for one, other in zip(scores(stepping), scores(alone), strict=True):
        assert np.abs(one - other).max() < 0.015 * np.abs(other).max()


def test_scores_do_not_depend_on_how_many_threads_compute_them(tmp_path: Path) -> None:
    stepping, _ = networks(write(tmp_path, "Qwen3", {"head_dim": 32}), tmp_path)
    reading = stepping.begin({})
    reading.read(LONG[:50])
    assert isinstance(reading, SteppedReading)
    step, cache = stepping._step, reading._cache
    assert step is not None
    assert step._threads == step._room.parts.shape[0] > 1 or os.cpu_count() == 1
    one, all_ = (step._read(7, cache.beginning(50), threads) for threads in (1, step._threads))
    assert (one == all_).all()


def test_cache_grows_and_begins_anew() -> None:
    cache = Cache()
    for count in (1, 3, 700):
        numbers = np.arange(count, dtype=np.uint16)[None, None, :, None] + np.zeros((1, 2, 1, 5), np.uint16)
        cache.append([numbers, numbers + 1])
    assert cache.length == 704
    assert cache.arrays[0][1, :6, 0].tolist() == [0, 0, 1, 2, 0, 1]
    begun = cache.beginning(5)
    begun.append([each[None, :, :1] * 0 + 9 for each in cache.arrays])
    assert (begun.length, begun.arrays[1][0, :6, 4].tolist()) == (6, [1, 1, 2, 3, 1, 9])
    assert [each[0, 1, :, 0].tolist() for each in begun.all()] == [[0, 0, 1, 2, 0, 9], [1, 1, 2, 3, 1, 9]]
    assert cache.arrays[1][0, 5, 4] == 2
    assert cache.beginning(0).length == 0


@pytest.fixture
def model(tmp_path: Path) -> Model:
    directory = write_tiny_generator(tmp_path / "tiny")
    return Model("tiny", "generator", directory, "0" * 64, "Apache-2.0", 512)


@pytest.fixture
def exported(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], export.Export]:
    monkeypatch.setenv(export.DIRECTORY_VARIABLE, str(tmp_path / "exports"))
    monkeypatch.setattr(export, "MAX_RISE", 1.0)  # rounding such small matrices costs much
    return lambda: export.export(model)


def test_export_tells_the_anatomy_and_the_engine_steps_by_it(
    model: Model, exported: Callable[[], export.Export], tmp_path: Path
) -> None:
    made = exported()
    assert made.anatomy is not None
    assert made.fidelity["drift"] < 0.05
    found = export.find(model)
    assert found is not None
    assert found.anatomy == made.anatomy
    engine = OpenVinoEngine(model, found.graph_file, verifier(model, ChatTokenizer(model)), found.anatomy)
    adapter = write_tiny_adapter(tmp_path / "terse", model)
    for _ in range(3):
        applied = engine.begin(adapter)
        applied.read(LONG[:20])
        last = applied.read([5])
    engine.wait()
    assert engine.key(adapter)[-1] == MERGED
    merged = engine.begin(adapter)
    merged.read(LONG[:20])
    stepped = merged.read([5])
    base = engine.begin(None)
    base.read(LONG[:20])
    assert type(merged) is type(base) is not type(applied)
    assert np.abs(stepped - last).max() < np.abs(base.read([5]) - last).max() / 4


def test_export_without_a_step_that_agrees_leaves_generating_to_the_graph(
    exported: Callable[[], export.Export], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export, "anatomy", lambda network: replace(anatomy(network), attention=0.9))
    assert exported().anatomy is None
    assert "its graph generates, which takes longer: a step of ours differs from it" in caplog.text


def test_export_of_weights_that_are_not_rounded_has_no_step(
    exported: Callable[[], export.Export], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(graph, "SMALLEST", 4096)
    assert exported().anatomy is None
    assert "'tiny' has no rounded weights of the name 'model.layers.0.self_attn.q_proj'" in caplog.text


def test_without_openmp_the_graph_generates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openmp, "LAYER", "numba.np.ufunc.of_no_machine")
    openmp.is_there.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            stepping, alone = networks(write(tmp_path, "Llama", {}), tmp_path)
    finally:
        openmp.is_there.cache_clear()
    assert "tiny: numba finds no OpenMP" in caplog.text
    assert type(stepping.begin({})) is type(alone.begin({})) is GraphReading


def test_export_without_openmp_tells_no_anatomy_because_no_step_was_tried(
    exported: Callable[[], export.Export], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openmp, "is_there", lambda: False)
    assert exported().anatomy is None


def test_openmp_of_the_kernels_spins_and_all_others_sleep() -> None:
    """In a process of its own, because libraries read the variables once, when they are loaded."""
    code = """
import os
from models.command import keep_threads_quiet
keep_threads_quiet()
import torch
from models import openmp
os.environ["OMP_DISPLAY_ENV"] = "VERBOSE"
assert openmp.is_there()
print(os.environ["OMP_WAIT_POLICY"], os.environ.get("GOMP_SPINCOUNT"))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["PASSIVE", "None"]
    if sys.platform == "linux":
        assert "OMP_WAIT_POLICY = 'ACTIVE'" in told.stderr


def test_weights_of_other_names_are_told(tmp_path: Path) -> None:
    model = write(tmp_path, "Llama", {})
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    network = load_network(model, torch.float32)
    lowered = lowering.lower(network)
    graph.to_int8(lowered)
    weights["model.last_norm.weight"] = weights.pop("model.norm.weight")
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"no rounded weights of the name 'model\.norm\.weight'"):
        OpenVinoNetwork(lowered, model, anatomy(network))


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = write(tmp_path, "Qwen2", {})
    network = load_network(model, torch.float32)
    lowered, its = lowering.lower(network), anatomy(network)
    assert its is not None
    graph.to_int8(lowered)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.1.self_attn.q_proj.bias"] = torch.zeros(10_000)
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelError, match="do not fit each other"):
        OpenVinoNetwork(lowered, model, its)
    with pytest.raises(ModelError, match="do not fit each other"):
        OpenVinoNetwork(lowered, model, replace(its, head_size=7))


def test_vectors_that_the_network_does_not_have_are_not_read(tmp_path: Path) -> None:
    model = write(tmp_path, "Llama", {})
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.0.self_attn.q_proj.bias"] = torch.full((10_000,), 9.0)
    save_file(weights, file, {"format": "pt"})
    stepping, alone = networks(model, tmp_path)
    one, other = stepping.begin({}), alone.begin({})
    scores, expected = ([reading.read(LONG[:20]), reading.read([4])][1] for reading in (one, other))
    assert np.abs(scores - expected).max() < 0.015 * np.abs(expected).max()


def test_other_families_have_no_anatomy() -> None:
    config = transformers.OlmoConfig(**SHAPE)
    assert anatomy(transformers.OlmoForCausalLM(config)) is None
    biased = transformers.LlamaConfig(**SHAPE | {"mlp_bias": True})
    assert anatomy(transformers.LlamaForCausalLM(biased)) is None
    dynamic = transformers.LlamaConfig(
        **SHAPE | {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}
    )
    assert anatomy(transformers.LlamaForCausalLM(dynamic)) is None
