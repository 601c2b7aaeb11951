"""
What a model's files may hold, checked before any library reads them.

``weights_only`` and ``trust_remote_code=False`` have both been bypassed by a file's contents (CVE-2025-32434,
CVE-2026-4372), so nothing that can carry code is let near a loader: weights are safetensors whose header agrees with
the file's size, and no configuration may name code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from models.base import ModelError

SAFE_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja", ".md"})
LICENCE_NAME = re.compile(r"(LICEN[CS]E|NOTICE|COPYING)(\.[A-Za-z0-9]+)?", re.IGNORECASE)
# Vocabularies and shard lists: their keys are tokens and tensor names, not settings.
NOT_SETTINGS = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"})
FORBIDDEN_KEYS = frozenset(
    {
        "auto_map",
        "attn_implementation",
        "auto_mapping",
        "custom_generate",
        "custom_pipelines",
        "experts_implementation",
        "kernel_config",
        "trust_remote_code",
        "use_kernels",
    }
)
# Keys with a leading underscore set a library's internals; these few are what published models carry.
HARMLESS_PRIVATE_KEYS = frozenset(
    {
        "__version__",
        "_commit_hash",
        "_flash_attn_2_enabled",
        "_from_model_config",
        "_model_name_or_path",
        "_name_or_path",
        "_num_labels",
        "_remove_final_layer_norm",
        "_sliding_window_pattern",
    }
)
# Settings of a plain LoRA. Any other setting of PEFT must be left unset: some train more than the low-rank update, and
# some are regular expressions.
LORA_SETTINGS = frozenset(
    {
        "base_model_name_or_path",
        "bias",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "lora_alpha",
        "lora_dropout",
        "megatron_core",  # PEFT's default names a package; it is imported only where megatron_config is set
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "revision",
        "target_modules",
        "task_type",
        "use_dora",
        "use_rslora",
    }
)
MODULE_PREFIX = "sentence_transformers."
ACTIVATIONS = "torch.nn."  # sentence-transformers imports a dotted activation by its path
INDEX_SUFFIX = ".safetensors.index.json"
MAX_SETTINGS_BYTES = 16 * 2**20
MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


def is_safe_kind(path: str) -> bool:
    """Return whether a file of this name can be data only: weights, settings, a tokenizer, or text for people."""
    pure = PurePosixPath(path)
    return pure.suffix.lower() in SAFE_SUFFIXES or LICENCE_NAME.fullmatch(pure.name) is not None


def check(directory: Path, files: Iterable[str]) -> None:
    """
    Refuse a model directory that could run code, or whose weights do not have the size that they claim.

    Args:
        directory: where the files are.
        files: their paths in it, with ``/``.

    Raises:
        ModelError: every problem found, file by file.
    """
    names = sorted(files)
    problems = [problem for name in names for problem in _problems(directory, name, names)]
    if not any(name.endswith(".safetensors") for name in names):
        problems.append("no .safetensors weights")
    if problems:
        raise ModelError(
            f"{directory} is not loaded: {'; '.join(problems)}. Expected safetensors weights, tokenizer files and "
            "settings that name no code."
        )


def _problems(directory: Path, name: str, names: Sequence[str]) -> Iterator[str]:
    path = directory / name
    base = PurePosixPath(name).name
    if not path.is_file():
        yield f"{name} is not a file"
    elif not is_safe_kind(name):
        yield f"{name} is a kind of file that can carry code"
    elif base == "adapter_config.json":
        yield f"{name} belongs to an adapter, which would be applied without being asked for"
    elif name.endswith(".safetensors"):
        yield from (f"{name}: {problem}" for problem in safetensors_problems(path))
    elif name.endswith(".json") and base not in NOT_SETTINGS:
        yield from (f"{name}: {problem}" for problem in _settings_problems(path, names))


def _settings_problems(path: Path, names: Sequence[str]) -> Iterator[str]:
    try:
        settings = read_settings(path)
    except ModelError as error:
        yield str(error)
        return
    if path.name.endswith(INDEX_SUFFIX):
        shards = settings.get("weight_map") if isinstance(settings, dict) else None
        values = shards.values() if isinstance(shards, dict) else ("nothing",)
        yield from (f"lists {value!r}, which is not here" for value in sorted({str(v) for v in values} - {*names}))
        return
    yield from code_keys(settings)
    if path.name == "modules.json":
        yield from _module_problems(settings)


def read_settings(path: Path) -> object:
    """
    Parse a JSON file of bounded size.

    Raises:
        ModelError: it is too large, or not JSON.
    """
    if path.stat().st_size > MAX_SETTINGS_BYTES:
        raise ModelError(f"larger than {MAX_SETTINGS_BYTES} bytes")
    try:
        value: object = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"not JSON ({type(error).__name__})") from error
    return value


def code_keys(value: object) -> Iterator[str]:
    """Yield a sentence for each key, at any depth, through which settings could name code to run."""
    if isinstance(value, dict):
        for key, inner in value.items():
            private = key.startswith("_") and key not in HARMLESS_PRIVATE_KEYS
            if (key in FORBIDDEN_KEYS or private) and inner is not None:
                yield f"the key {key!r} could name code to run"
            if "activation" in key and isinstance(inner, str) and "." in inner and not inner.startswith(ACTIVATIONS):
                yield f"the key {key!r} names {inner!r}, which is not in {ACTIVATIONS}"
            yield from code_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from code_keys(inner)


def _module_problems(modules: object) -> Iterator[str]:
    for module in modules if isinstance(modules, list) else [modules]:
        kind = module.get("type") if isinstance(module, dict) else None
        path = PurePosixPath(str(module.get("path", ""))) if isinstance(module, dict) else PurePosixPath()
        if not isinstance(kind, str) or not kind.startswith(MODULE_PREFIX):
            yield f"the module type {kind!r} is not one of sentence-transformers"
        if path.is_absolute() or ".." in path.parts:
            yield f"the module path {str(path)!r} leads outside"


def lora_problems(path: Path) -> Iterator[str]:
    """Yield what keeps an ``adapter_config.json`` from being a plain LoRA."""
    try:
        config = read_settings(path)
    except ModelError as error:
        yield str(error)
        return
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        yield "expected a LoRA adapter, peft_type LORA"
        return
    modules = config.get("target_modules")
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        yield "'target_modules' is no list of names"
    for key in ("r", "lora_alpha", "lora_dropout"):
        if isinstance(config.get(key, 1), bool) or not isinstance(config.get(key, 1), int | float):
            yield f"{key!r} is no number"
    if config.get("bias", "none") != "none" or config.get("init_lora_weights", True) not in (True, False, "gaussian"):
        yield "it changes the base model's own weights; expected bias='none' and init_lora_weights=True"
    if config.get("alora_invocation_tokens"):
        yield "it is an activated LoRA; expected one that is always on"
    for key, value in config.items():
        if key not in LORA_SETTINGS and value not in (None, False, {}, []):
            yield f"{key!r} is set, which a plain LoRA does not need"


def safetensors_problems(path: Path) -> Iterator[str]:
    """Yield what is wrong with a safetensors header: it must describe exactly the bytes that follow it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            yield f"the header claims {length} bytes, the file has {size}"
            return
        raw = file.read(length)
    try:
        header = json.loads(raw)
        spans = sorted(_span(tensor) for name, tensor in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        yield "the header cannot be read"
        return
    end = 0
    for start, stop, expected in spans:
        if start != end or stop - start != expected:
            yield f"a tensor claims bytes {start} to {stop}, expected {end} to {end + expected}"
            return
        end = stop
    if end != size - 8 - length:
        yield f"the tensors claim {end} bytes, the file has {size - 8 - length}"


def _span(tensor: dict[str, list[int]]) -> tuple[int, int, int]:
    """Return where a tensor begins and ends, in bytes after the header, and how many bytes its shape needs."""
    start, stop = tensor["data_offsets"]
    shape = tensor["shape"]
    if not all(isinstance(n, int) and n >= 0 for n in (start, stop, *shape)):
        raise ValueError("offsets and shapes are whole numbers")
    return start, stop, math.ceil(math.prod(shape) * BITS[str(tensor["dtype"])] / 8)
