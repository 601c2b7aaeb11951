"""The model store: names become verified directories; damage and anything that could run code is refused."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from models import store, vetting
from models.base import ModelError
from models.manifest import MANIFEST, read_manifest, write_manifest

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 128}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "models"
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(directory))
    return directory


def write_model(directory: Path, **config: object) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(CONFIG | config))
    (directory / "tokenizer.json").write_text('{"model": {"vocab": {"_internal": 0, "auto_map": 1}}}')
    save_file({"a": np.zeros((3, 2), np.float32), "b": np.ones(5, np.float16)}, directory / "model.safetensors")
    return directory


def install(home: Path, name: str = "tiny", **config: object) -> Path:
    directory = write_model(home / name, **config)
    manifest = store.describe(directory, name, "generator", store.stamp_path(name))
    write_manifest(directory, manifest.model_copy(update={"licence": "MIT"}))
    return directory


def test_locate_returns_a_model_by_name(home: Path) -> None:
    directory = install(home)
    model = store.locate("tiny", "generator")
    assert (model.name, model.role, model.directory) == ("tiny", "generator", directory)
    assert (model.licence, model.context_length) == ("MIT", 128)
    assert model.weights_hash == read_manifest(directory).weights_hash


def test_weights_hash_follows_the_weights_alone(home: Path) -> None:
    first = store.describe(install(home, "one"), "one", "generator", home / "s1").weights_hash
    other = write_model(home / "two", hidden_size=7)
    assert store.describe(other, "two", "generator", home / "s2").weights_hash == first
    save_file({"a": np.ones(3, np.float32)}, other / "model.safetensors")
    assert store.describe(other, "two", "generator", home / "s3").weights_hash != first


def test_installed_lists_models_and_leaves_unreadable_ones_out(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert store.installed() == []
    install(home, "b")
    install(home, "a")
    (install(home, "broken") / MANIFEST).write_text("{}")
    assert [model.name for model in store.installed()] == ["a", "b"]
    assert "broken" in caplog.text


def test_locate_says_how_to_fetch_a_catalog_model_that_is_not_here() -> None:
    with pytest.raises(ModelError, match=r"python -m models\.fetch smollm2-135m-instruct"):
        store.locate("smollm2-135m-instruct", "generator")


def test_locate_offers_the_closest_names_for_an_unknown_one() -> None:
    with pytest.raises(ModelError, match=r"no model named 'smolm2-135m'.*smollm2-135m-instruct"):
        store.locate("smolm2-135m", "generator")


@pytest.mark.parametrize("name", ["tiny", "smollm2-135m-instruct"])
def test_locate_says_when_a_model_has_another_role(home: Path, name: str) -> None:
    install(home)
    with pytest.raises(ModelError, match=f"'{name}' is a generator, a embedder|an embedder is needed"):
        store.locate(name, "embedder")


@pytest.mark.parametrize("name", ["..", ".", "../tiny", "tiny/", "~", "", ".stamps", "tiny\0", "TINY"])
def test_locate_never_makes_a_path_of_a_name(home: Path, name: str) -> None:
    install(home / "outside")
    install(home)
    with pytest.raises(ModelError, match=r"model"):
        store.locate(name, "generator")


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_locate_refuses_a_changed_file_and_names_it(home: Path, file: str) -> None:
    path = install(home) / file
    store.locate("tiny", "generator")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelError, match=rf"{file} has changed.*python -m models\.fetch tiny"):
        store.locate("tiny", "generator")


def test_locate_names_missing_and_foreign_files_at_once(home: Path) -> None:
    directory = install(home)
    (directory / "config.json").unlink()
    (directory / "generation_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json is missing; generation_config\.json does not belong"):
        store.locate("tiny", "generator")


def test_locate_refuses_a_manifest_whose_weights_hash_was_edited(home: Path) -> None:
    directory = install(home)
    write_manifest(directory, read_manifest(directory).model_copy(update={"weights_hash": "0" * 64}))
    with pytest.raises(ModelError, match="weights hash does not match"):
        store.locate("tiny", "generator")


def test_locate_does_not_hash_unchanged_files_again(home: Path) -> None:
    path = install(home) / "model.safetensors"
    store.locate("tiny", "generator")
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    store.locate("tiny", "generator")  # the trade-off that the docstring states
    store.stamp_path("tiny").unlink()
    with pytest.raises(ModelError, match="has changed"):
        store.locate("tiny", "generator")


def test_locate_survives_a_damaged_stamp(home: Path) -> None:
    install(home)
    for content in ("", "[]", '{"config.json": [1]}', '{"config.json": 3}', "\xff"):
        store.stamp_path("tiny").write_text(content, encoding="latin-1")
        assert store.locate("tiny", "generator").name == "tiny"


def test_locate_hashes_when_the_stamp_cannot_be_written(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(home)
    store.stamp_path("tiny").unlink()
    store.stamp_path("tiny").parent.rmdir()
    store.stamp_path("tiny").parent.write_text("in the way")
    assert store.locate("tiny", "generator").name == "tiny"
    assert "hashed again" in caplog.text


def test_locate_takes_a_directory_of_the_user_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "My Model")
    (directory / ".git").mkdir()
    (directory / ".git" / "hook.py").write_text("")
    before = sorted(directory.rglob("*"))
    model = store.locate(str(directory), "generator")
    assert (model.name, model.directory, model.licence) == ("my-model", directory, "unknown")
    assert sorted(directory.rglob("*")) == before
    save_file({"a": np.ones(4, np.float32)}, directory / "model.safetensors")
    assert store.locate(str(directory), "generator").weights_hash != model.weights_hash


def test_locate_reads_the_context_of_an_embedder_from_its_own_limit(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "e", architectures=["BertModel"])
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    assert store.locate(str(directory), "embedder").context_length == 32


def test_locate_refuses_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no directory"):
        store.locate(str(tmp_path / "none"), "generator")


def test_locate_refuses_an_embedder_s_directory_as_generator(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "e", architectures=["BertModel"])
    with pytest.raises(ModelError, match="not a generator"):
        store.locate(str(directory), "generator")


@pytest.mark.parametrize(
    "file", ["pytorch_model.bin", "model.pt", "x.pth", "x.pkl", "x.ckpt", "modeling_x.py", "onnx/model.onnx", "x.so"]
)
def test_locate_refuses_files_that_could_carry_code(tmp_path: Path, file: str) -> None:
    directory = write_model(tmp_path / "m")
    (directory / file).parent.mkdir(exist_ok=True)
    (directory / file).write_bytes(b"x")
    with pytest.raises(ModelError, match=rf"could carry code: {file}.*python -m models\.fetch .* --role generator"):
        store.locate(str(directory), "generator")


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"trust_remote_code": True},
        {"text_config": {"deep": [{"auto_map": {}}]}},
        {"_attn_implementation_internal": "evil/kernel"},
        {"attn_implementation": "evil/kernel"},
        {"_anything": 1},
        {"custom_generate": "evil"},
        {"use_kernels": True},
        {"sentence_transformers": {"activation_fn": "evil.Identity"}},
    ],
)
def test_locate_refuses_settings_that_name_code(tmp_path: Path, config: dict[str, object]) -> None:
    directory = write_model(tmp_path / "m", **config)
    with pytest.raises(ModelError, match=r"config\.json: the key .* (could name code to run|names 'evil\.Identity')"):
        store.locate(str(directory), "generator")


def test_locate_checks_every_settings_file_and_lists_all_problems(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "m")
    (directory / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.T", null]}}')
    (directory / "modules.json").write_text('[{"type": "evil.Module", "path": "../.."}]')
    (directory / "generation_config.json").write_text("{")
    (directory / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="auto_map") as error:
        store.locate(str(directory), "generator")
    for part in ("evil.Module", "leads outside", "generation_config.json: not JSON", "belongs to an adapter"):
        assert part in str(error.value)


def test_locate_takes_settings_that_published_models_carry(tmp_path: Path) -> None:
    config: dict[str, object] = {
        "_name_or_path": "x",
        "_commit_hash": "x",
        "__version__": {"transformers": "4"},
        "auto_map": None,
        "activation_function": "gelu_new",
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    }
    assert store.locate(str(write_model(tmp_path / "m", **config)), "generator").name == "m"


def test_locate_refuses_shards_outside_the_directory(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "m")
    index = {"weight_map": {"a": "../../elsewhere.safetensors", "b": "model.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"lists '\.\./\.\./elsewhere\.safetensors', which is not here"):
        store.locate(str(directory), "generator")


def test_locate_refuses_a_directory_without_weights_or_config(tmp_path: Path) -> None:
    directory = write_model(tmp_path / "m")
    (directory / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        store.locate(str(directory), "generator")
    (directory / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        store.locate(str(directory), "generator")


def _safetensors(header: object, data: bytes, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def _tensor(dtype: str, shape: list[object], start: int, stop: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "header claims 0 bytes, the file has 0"),
        (_safetensors({}, b"", length=2**63), "header claims 9223372036854775808 bytes"),
        (_safetensors({}, b"", length=10), "header claims 10 bytes"),
        (_safetensors(b"{", b""), "cannot be read"),
        (_safetensors([1], b""), "cannot be read"),
        (_safetensors({"a": 1}, b""), "cannot be read"),
        (_safetensors({"a": _tensor("X9", [1], 0, 1)}, b"0"), "cannot be read"),
        (_safetensors({"a": _tensor("F32", [-1], 0, 4)}, b"0000"), "cannot be read"),
        (_safetensors({"a": _tensor("F32", ["1"], 0, 4)}, b"0000"), "cannot be read"),
        (_safetensors({"a": _tensor("F32", [2], 0, 4)}, b"0000"), "claims bytes 0 to 4, expected 0 to 8"),
        (_safetensors({"a": _tensor("F32", [2**40], 0, 2**42)}, b"0000"), "claim 4398046511104 bytes, the file has 4"),
        (_safetensors({"a": _tensor("U8", [4], 4, 8)}, b"00000000"), "claims bytes 4 to 8, expected 0 to 4"),
        (_safetensors({"a": _tensor("U8", [4], 0, 4), "b": _tensor("U8", [4], 2, 6)}, b"0" * 6), "claims bytes 2 to 6"),
        (_safetensors({"a": _tensor("U8", [4], 0, 4)}, b"0" * 9), "claim 4 bytes, the file has 9"),
    ],
)
def test_safetensors_with_a_lying_header_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    directory = write_model(tmp_path / "m")
    (directory / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.safetensors: .*{problem}"):
        store.locate(str(directory), "generator")


def test_safetensors_of_every_width_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    header = {"__metadata__": {"format": "pt"}, "a": _tensor("F4", [3], 0, 2), "s": _tensor("BF16", [], 2, 4)}
    path.write_bytes(_safetensors(header, b"0" * 4))
    assert list(vetting.safetensors_problems(path)) == []


@pytest.mark.parametrize(
    ("text", "name"), [("Qwen3-0.6B", "qwen3-0.6b"), ("My Model!", "my-model-"), ("__x", "x"), ("a" * 70, "a" * 64)]
)
def test_name_from_makes_a_valid_name(text: str, name: str) -> None:
    assert store.name_from(text) == name


def test_name_from_refuses_what_leaves_nothing() -> None:
    with pytest.raises(ModelError, match="gives no name"):
        store.name_from("日本")


@pytest.mark.weights
@pytest.mark.parametrize(("name", "role"), [("all-minilm-l6-v2", "embedder"), ("smollm2-135m-instruct", "generator")])
def test_fetched_default_models_verify(name: str, role: store.ModelRole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model = store.locate(name, role)
    assert model.licence == "Apache-2.0"
    assert (model.directory / MANIFEST).is_file()
