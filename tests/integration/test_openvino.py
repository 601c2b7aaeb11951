"""Exports for the fast engine, adapters merged in the background, and which engine is chosen; on a two-layer model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models import export, graph, lowering
from models.base import ConfigError, ModelError
from models.engines import load_generator
from models.lora import verifier
from models.network import load_network
from models.openvino_engine import MERGED, OpenVinoEngine
from models.quiet_openvino import openvino
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.fakes import resigned, write_tiny_adapter, write_tiny_generator

IDS = list(range(40, 90))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    directory = write_tiny_generator(tmp_path_factory.mktemp("tiny"))
    return Model("tiny", "generator", directory, "0" * 64, "Apache-2.0", 512)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def exported(model: Model, home: Path) -> export.Export:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(export.DIRECTORY_VARIABLE, str(home))
        return export.export(model)


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv(export.DIRECTORY_VARIABLE, str(home))


@pytest.fixture
def engine(model: Model, exported: export.Export) -> OpenVinoEngine:
    return OpenVinoEngine(model, exported.graph_file, verifier(model, ChatTokenizer(model)))


def test_export_is_found_again_and_says_what_rounding_costs(model: Model, exported: export.Export, home: Path) -> None:
    assert export.find(model) == exported
    assert exported.fidelity["prompts"] == 50
    assert abs(exported.fidelity["rise"]) < 0.02
    assert export.find(replace(model, weights_hash="1" * 64)) is None
    assert [path.name for path in home.iterdir()] == [exported.directory.name]


def test_export_of_changed_files_is_refused(model: Model, exported: export.Export, tmp_path: Path) -> None:
    weights = exported.directory / export.WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"graph\.bin has changed since it was made.*--again"):
        export.find(model)
    weights.write_bytes(whole)
    facts = exported.directory / export.FACTS
    text = facts.read_text()
    facts.write_text(text[:-10])
    with pytest.raises(ModelError, match="is damaged"):
        export.find(model)
    facts.write_text(json.dumps({**json.loads(text), "files": {}}))
    with pytest.raises(ModelError, match="a file has changed"):
        export.find(model)
    facts.write_text(text)


def test_export_takes_the_place_of_one_of_an_older_format(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(export.DIRECTORY_VARIABLE, str(tmp_path))
    with pytest.MonkeyPatch.context() as before:
        before.setattr(export, "FORMAT", 0)
        old = export.export(model)
    assert export.find(model) is None
    new = export.export(model)
    assert list(tmp_path.iterdir()) == [new.directory] != [old.directory]


def test_export_that_rounds_too_much_is_not_kept(model: Model, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_RISE", -1.0)
    other = replace(model, weights_hash="2" * 64)
    with pytest.raises(ModelError, match="loses too much in int8"):
        export.export(other)
    assert export.find(other) is None
    assert not any(path.name.startswith(".") for path in home.iterdir())


def test_engine_is_chosen_by_what_is_there(model: Model, exported: export.Export) -> None:
    assert load_generator(model, "auto", "cpu").engine == "openvino"
    assert load_generator(model, "openvino", "cpu").engine == "openvino"
    assert load_generator(model, "transformers", "cpu").engine == "transformers"
    other = replace(model, weights_hash="3" * 64)
    assert load_generator(other, "auto", "cpu").engine == "transformers"
    with pytest.raises(ModelError, match=r"not exported for OpenVINO yet; run `python -m models.export tiny`"):
        load_generator(other, "openvino", "cpu")
    with pytest.raises(ConfigError, match="runs on a CPU"):
        load_generator(model, "openvino", "mps")


def test_adapter_that_is_asked_for_often_is_merged(model: Model, engine: OpenVinoEngine, tmp_path: Path) -> None:
    adapter = write_tiny_adapter(tmp_path / "terse", model)
    base = engine.begin(None).read(IDS)
    applied = [engine.begin(adapter).read(IDS) for _ in range(3)]
    assert engine.key(adapter) == (adapter.name, *sorted(adapter.files.values())) or engine.is_merging
    engine.wait()
    assert engine.key(adapter)[-1] == MERGED
    merged = engine.begin(adapter).read(IDS)
    assert all((one == applied[0]).all() for one in applied)
    changed = np.abs(applied[0] - base).max()
    assert changed > 0
    assert np.abs(merged - applied[0]).max() < changed / 4
    assert (engine.begin(None).read(IDS) == base).all()


def test_reading_goes_on_in_its_own_network_when_its_adapter_is_merged_meanwhile(
    model: Model, engine: OpenVinoEngine, tmp_path: Path
) -> None:
    adapter = write_tiny_adapter(tmp_path / "terse", model)
    head = engine.begin(adapter)
    head.read(IDS[:10])
    expected = engine.begin(adapter, head, 10).read(IDS[10:])
    engine.begin(adapter)
    engine.wait()
    assert engine.key(adapter)[-1] == MERGED
    assert (engine.begin(adapter, head, 10).read(IDS[10:]) == expected).all()


def test_merged_adapters_are_bounded(model: Model, engine: OpenVinoEngine, tmp_path: Path) -> None:
    adapters = [write_tiny_adapter(tmp_path / f"a{seed}", model, seed) for seed in range(3)]
    for adapter in adapters:
        for _ in range(3):
            engine.begin(adapter)
        engine.wait()
    assert [engine.key(adapter)[-1] == MERGED for adapter in adapters] == [False, True, True]


def test_products_of_the_same_input_are_joined(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "SMALLEST", 1)  # the layers of the test model are tiny
    apart = lowering.lower(load_network(model, torch.float32))
    graph.to_int8(apart)
    joined = apart.clone()
    graph.join(joined)

    def products(network: graph.Graph) -> list[int]:
        found = [node for node in network.get_ops() if node.get_type_name() == "MatMul"]
        return sorted(node.input_value(1).get_partial_shape()[0].get_length() for node in found if _has_weights(node))

    def scores(network: graph.Graph) -> npt.NDArray[np.float32]:
        compiled = openvino.Core().compile_model(network, "CPU", graph.SETTINGS | graph.EXACT)
        told: npt.NDArray[np.float32] = compiled([np.array([IDS]), np.arange(len(IDS))[None]])[0]
        return told

    separate, together = products(apart), products(joined)
    assert len(together) == len(separate) - 2 * 3  # in each of two layers: two with the queries, one with the gate
    assert sum(together) == sum(separate)
    assert np.abs(scores(joined) - scores(apart)).max() < 0.05 * np.abs(scores(apart)).max()


def _has_weights(node: openvino.Node) -> bool:
    return bool(node.input_value(1).get_node().get_type_name() == "Multiply")


def test_dora_is_refused_by_name(model: Model, engine: OpenVinoEngine, tmp_path: Path) -> None:
    adapter = resigned(write_tiny_adapter(tmp_path / "terse", model), use_dora=True)
    with pytest.raises(ModelError, match=r"'terse' is a DoRA.*--engine transformers"):
        engine.begin(adapter)


def test_command_exports_once_and_reports(model: Model, tmp_path: Path) -> None:
    environment = {**os.environ, export.DIRECTORY_VARIABLE: str(tmp_path / "exports")}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "models.export", str(model.directory), "--json", *more]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    first, second = run(), run()
    (told,) = json.loads(first.stdout)["exports"]
    assert json.loads(second.stdout)["exports"] == [told]
    assert "exported in" in first.stderr
    assert "exported in" not in second.stderr
    assert "greedy answers are the same" in second.stderr


def test_model_that_does_not_fit_in_memory_is_not_exported(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BYTES_FOR_EACH", 2**40)
    with pytest.raises(ModelError, match="GiB of memory are needed"):
        export.export(replace(model, weights_hash="4" * 64))


def test_import_sends_no_telemetry() -> None:
    code = (
        "import sys; from models.quiet_openvino import openvino; from openvino.tools import ovc; "
        "print(sys.modules['openvino_telemetry'], ovc.telemetry.__class__.__module__)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["None", "openvino.tools.ovc.telemetry_stub"]
