"""Adapter directories: what the manifest records, and that every difference is named before an adapter is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from models import adapter_store, adapters
from models.adapters import Adapter
from models.base import ModelError
from models.store import Model

BASE = Model("tiny", "generator", Path("nowhere"), "b" * 64, "MIT", 128)
TEMPLATE = "c" * 64
CONFIG: dict[str, object] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["q_proj"],
    "auto_mapping": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "loftq_config": {},
    "use_dora": False,
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROUND_ADAPTERS_DIR", str(tmp_path / "adapters"))
    monkeypatch.setattr(adapter_store, "SHIPPED", tmp_path / "none")
    return tmp_path / "adapters"


def tokenize(text: str) -> list[int]:
    return list(text.encode())


def write_files(directory: Path, **config: object) -> Path:
    directory.mkdir(parents=True)
    (directory / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    save_file({"lora_A": np.zeros((4, 2), np.float32)}, directory / "adapter_model.safetensors")
    return directory


def write(directory: Path, base: Model = BASE, **config: object) -> Adapter:
    return describe(write_files(directory, **config), base)


def describe(directory: Path, base: Model = BASE) -> Adapter:
    return adapters.write_manifest(
        directory,
        base=base,
        prompt_format=3,
        chat_template_sha256=TEMPLATE,
        golden_text="A sample.",
        golden_ids=tokenize("A sample."),
        data_sha256="d" * 64,
        recipe={"lr": 2e-4, "modules": ["q_proj"], "nested": {"epochs": 2}},
        scores={"before": {"f1": 0.1}, "after": {"f1": 0.5}},
        trained_with_context=True,
        gate_passed=True,
        licence="Apache-2.0",
    )


def check(
    adapter: Adapter, base: Model = BASE, prompt_format: int = 3, template: str = TEMPLATE, tokens: Any = tokenize
) -> None:
    adapters.verify(adapter, base=base, prompt_format=prompt_format, chat_template_sha256=template, tokenize=tokens)


def test_adapter_is_read_as_it_was_written(home: Path) -> None:
    written = write(home / "house-style")
    assert adapters.read(home / "house-style") == written
    assert (written.name, written.base, written.base_weights_hash) == ("house-style", "tiny", "b" * 64)
    assert (written.golden_ids, written.scores["after"]) == (tuple(tokenize("A sample.")), {"f1": 0.5})
    check(written)


def test_adapter_keeps_its_place_out_of_the_manifest(home: Path) -> None:
    write(home / "one")
    (home / "one").rename(home / "two")
    moved = adapters.read(home / "two")
    assert (moved.name, moved.directory) == ("two", home / "two")
    check(moved)


def test_adapters_are_listed_and_found_by_name(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert adapter_store.installed() == []
    other = replace(BASE, weights_hash="e" * 64)
    write(home / "b")
    write(home / "a", base=other)
    write(home / "broken")
    (home / "broken" / "manifest.json").write_text("{")
    (home / "unfinished").mkdir()
    assert [adapter.name for adapter in adapter_store.installed()] == ["a", "b"]
    assert [adapter.name for adapter in adapter_store.installed(other)] == ["a"]
    assert "broken" in caplog.text
    assert adapter_store.locate("b").name == "b"


def test_unknown_adapter_is_an_error_with_the_closest_names(home: Path) -> None:
    with pytest.raises(ModelError, match=r"no adapter named 'x'.*python -m finetune\.train"):
        adapter_store.locate("x")
    write(home / "house-style")
    with pytest.raises(ModelError, match=r"no adapter named 'house_stile'.*Closest: house-style"):
        adapter_store.locate("house_stile")


@pytest.mark.parametrize("name", ["..", ".", "../a", "a/../a", "", "A"])
def test_adapter_name_never_becomes_a_path(home: Path, name: str) -> None:
    write(home / "a")
    with pytest.raises(ModelError, match="no adapter named"):
        adapter_store.locate(name)


def test_every_difference_is_named_at_once(home: Path) -> None:
    adapter = write(home / "a")

    def other_tokenizer(text: str) -> Sequence[int]:
        return [1, *tokenize(text)[1:]]

    base = replace(BASE, name="other", weights_hash="f" * 64)
    with pytest.raises(ModelError, match="adapter 'a' does not fit") as error:
        check(adapter, base=base, prompt_format=4, template="0" * 64, tokens=other_tokenizer)
    for part in (
        "trained on 'tiny' with weights bbbbbbbbbbbb, this is 'other' with weights ffffffffffff",
        "trained with prompt format 3, in use is 4",
        "trained with chat template cccccccccccc, in use is 000000000000",
        "otherwise than in training, from token 0 on",
    ):
        assert part in str(error.value)


def test_base_under_another_name_fits_when_its_weights_are_the_same(home: Path) -> None:
    check(write(home / "a"), base=replace(BASE, name="renamed"))


def test_tokenizer_that_adds_a_token_is_noticed(home: Path) -> None:
    with pytest.raises(ModelError, match=r"in length \(10, 9\)"):
        check(write(home / "a"), tokens=lambda text: [*tokenize(text), 0])


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_changed_or_missing_file_is_named(home: Path, name: str) -> None:
    adapter = write(home / "a")
    path = adapter.directory / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match=f"{name} has changed since training"):
        check(adapter)
    path.unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        check(adapter)


def test_weights_that_lie_about_their_size_are_refused(home: Path) -> None:
    directory = write(home / "a").directory
    path = directory / "adapter_model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    adapter = describe(directory)
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors: the tensors claim 32 bytes, the file has 28"):
        check(adapter)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"peft_type": "IA3"}, "expected a LoRA adapter"),
        ({"auto_mapping": {"parent_library": "evil", "base_model_class": "X"}}, "'auto_mapping' is set"),
        ({"megatron_config": {"x": 1}}, "'megatron_config' is set"),
        ({"corda_config": {"cache_file": "x"}}, "'corda_config' is set"),
        ({"anything_new": "x"}, "'anything_new' is set"),
    ],
)
def test_adapter_that_is_no_plain_lora_is_refused(home: Path, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelError, match=f"adapter_config.json: .*{problem}"):
        check(write(home / "a", **config))


def test_manifest_is_not_written_without_peft_s_files(home: Path) -> None:
    directory = write_files(home / "a")
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"is no adapter: adapter_model\.safetensors missing"):
        describe(directory)


def test_manifest_is_not_written_into_a_directory_whose_name_cannot_be_an_adapter_s(home: Path) -> None:
    with pytest.raises(ModelError, match="'My Adapter' cannot be an adapter's name"):
        write(home / "My Adapter")


def test_manifest_problems_are_listed_at_once(home: Path) -> None:
    directory = write(home / "a").directory
    content = json.loads((directory / "manifest.json").read_text())
    del content["licence"]
    (directory / "manifest.json").write_text(json.dumps(content | {"extra": 1, "base_weights_hash": "short"}))
    with pytest.raises(ModelError, match="not an adapter's manifest") as error:
        adapters.read(directory)
    for part in ("base_weights_hash", "licence", "extra"):
        assert part in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "3", '{"name": "x"}', '{"directory": "/"}'])
def test_manifest_of_another_shape_is_refused(home: Path, content: str) -> None:
    directory = write(home / "a").directory
    (directory / "manifest.json").write_text(content)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        adapters.read(directory)


def test_manifest_that_names_other_files_is_refused(home: Path) -> None:
    directory = write(home / "a").directory
    content = json.loads((directory / "manifest.json").read_text())
    content["files"]["../outside"] = "0" * 64
    (directory / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="its manifest names"):
        check(adapters.read(directory))


def test_adapter_saved_by_peft_verifies(home: Path) -> None:
    from peft import LoraConfig

    directory = write_files(home / "a")
    LoraConfig(r=4, task_type="CAUSAL_LM", target_modules=["q_proj"]).save_pretrained(str(directory))
    check(describe(directory))


def test_shipped_adapters_are_there_and_give_way_to_ones_of_their_name(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_store, "SHIPPED", tmp_path / "shipped")
    shipped = write(tmp_path / "shipped" / "grounded")
    write(home / "mine")
    assert [adapter.name for adapter in adapter_store.offered(BASE)] == ["grounded", "mine"]
    assert adapter_store.locate("grounded") == shipped
    assert adapter_store.for_passages(["grounded", "mine"]) == "grounded"
    assert adapter_store.for_passages(["mine"]) is None
    own = write(home / "grounded")
    assert adapter_store.locate("grounded") == own
    assert adapter_store.for_passages(["grounded", "mine"]) is None
