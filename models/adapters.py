"""
Adapter directories: PEFT's two files, and a manifest that says which model, prompt and tokenizer they were trained for.

An adapter on another base, under another chat template or with a prompt worded otherwise still produces text, only
worse. So all of it is written down when training ends, and compared before an adapter is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from models import vetting
from models.base import ModelError
from models.catalog import NAME_PATTERN, Sha256
from models.manifest import file_sha256
from models.store import Model

MANIFEST = "manifest.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
FILES = (CONFIG, WEIGHTS)
REPORT = "report.html"

Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
"""Text that may be shown in a terminal."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """
    A LoRA adapter on this machine; what its manifest says, and where it is.

    Attributes:
        name: the directory's name.
        directory: holds the two PEFT files and the manifest.
        base: name of the model that it was trained on.
        base_weights_hash: that model's weights hash; this decides, not the name.
        prompt_format: number of the prompt wording that it was trained with.
        chat_template_sha256: SHA-256 of the chat template, UTF-8.
        golden_text: a sample text.
        golden_ids: the ids that the tokenizer of the training gave it.
        data_sha256: SHA-256 of the training data.
        recipe: the settings of the training.
        scores: ``before`` and ``after`` by metric.
        trained_with_context: True when the examples held retrieved passages.
        gate_passed: whether the checks after training let it through.
        accepted: whether somebody let it through in spite of them.
        licence: SPDX identifier, or ``unknown``.
        files: SHA-256 of the PEFT files, by name.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    directory: Path
    base: Line
    base_weights_hash: Sha256
    prompt_format: int
    chat_template_sha256: Sha256
    golden_text: Annotated[str, Field(max_length=10_000)]
    golden_ids: tuple[int, ...]
    data_sha256: Sha256
    recipe: Mapping[str, JsonValue]
    scores: Mapping[str, Mapping[str, float]]
    trained_with_context: bool
    gate_passed: bool
    licence: Line
    files: Mapping[str, Sha256]
    accepted: bool = False

    @property
    def is_offered(self) -> bool:
        """Whether requests may ask for it."""
        return self.gate_passed or self.accepted


_SCHEMA = TypeAdapter(Adapter)
_NOT_IN_THE_FILE = {"name", "directory"}


def write_manifest(
    directory: Path,
    *,
    base: Model,
    prompt_format: int,
    chat_template_sha256: str,
    golden_text: str,
    golden_ids: Sequence[int],
    data_sha256: str,
    recipe: Mapping[str, JsonValue],
    scores: Mapping[str, Mapping[str, float]],
    trained_with_context: bool,
    gate_passed: bool,
    licence: str,
) -> Adapter:
    """
    Write the manifest beside the PEFT files in a directory; see :class:`Adapter` for the arguments.

    Returns:
        the adapter, as :func:`read` would.

    Raises:
        ModelError: a PEFT file is missing, or the directory's name cannot be an adapter's.
    """
    missing = [name for name in FILES if not (directory / name).is_file()]
    if missing:
        raise ModelError(f"{directory} is no adapter: {' and '.join(missing)} missing; save it with PEFT first.")
    content = {
        "base": base.name,
        "base_weights_hash": base.weights_hash,
        "prompt_format": prompt_format,
        "chat_template_sha256": chat_template_sha256,
        "golden_text": golden_text,
        "golden_ids": list(golden_ids),
        "data_sha256": data_sha256,
        "recipe": dict(recipe),
        "scores": {when: dict(values) for when, values in scores.items()},
        "trained_with_context": trained_with_context,
        "gate_passed": gate_passed,
        "licence": licence,
        "files": {name: file_sha256(directory / name) for name in FILES},
    }
    adapter = _validate(directory, content)
    _write(adapter)
    # safetensors writes for the owner's eyes only; a server under another account is to read both or neither.
    (directory / WEIGHTS).chmod((directory / CONFIG).stat().st_mode)
    return adapter


def accept(adapter: Adapter) -> Adapter:
    """Let an adapter be offered although it did not pass its gate; return it as it is now."""
    accepted = replace(adapter, accepted=True)
    _write(accepted)
    return accepted


def read(directory: Path) -> Adapter:
    """
    Read an adapter's manifest; the files are checked by :func:`verify`.

    Raises:
        ModelError: there is no manifest, or it is not valid; every problem is listed.
    """
    try:
        content = vetting.read_settings(directory / MANIFEST)
    except (OSError, ModelError) as error:
        raise ModelError(
            f"{directory / MANIFEST} cannot be read ({type(error).__name__}). An adapter is made with "
            "`python -m finetune.train --config CONFIG`."
        ) from error
    return _validate(directory, content)


def verify(
    adapter: Adapter,
    *,
    base: Model,
    prompt_format: int,
    chat_template_sha256: str,
    tokenize: Callable[[str], Sequence[int]],
) -> None:
    """
    Check that an adapter is undamaged, cannot run code, and was trained for exactly this model and prompt.

    Args:
        adapter: what :func:`read` returned.
        base: the model that it would be loaded on.
        prompt_format: number of the prompt wording in use.
        chat_template_sha256: SHA-256 of the chat template in use.
        tokenize: the tokenizer in use, text to ids without special tokens.

    Raises:
        ModelError: everything that differs.
    """
    problems = [*_file_problems(adapter)]
    if adapter.base_weights_hash != base.weights_hash:
        problems.append(
            f"it was trained on {adapter.base!r} with weights {adapter.base_weights_hash[:12]}, this is "
            f"{base.name!r} with weights {base.weights_hash[:12]}"
        )
    if adapter.prompt_format != prompt_format:
        problems.append(f"it was trained with prompt format {adapter.prompt_format}, in use is {prompt_format}")
    if adapter.chat_template_sha256 != chat_template_sha256:
        problems.append(
            f"it was trained with chat template {adapter.chat_template_sha256[:12]}, in use is "
            f"{chat_template_sha256[:12]}"
        )
    ids = tuple(tokenize(adapter.golden_text))
    if ids != adapter.golden_ids:
        first = next((i for i, (a, b) in enumerate(zip(ids, adapter.golden_ids, strict=False)) if a != b), None)
        where = f"from token {first} on" if first is not None else f"in length ({len(ids)}, {len(adapter.golden_ids)})"
        problems.append(f"the tokenizer reads the sample text otherwise than in training, {where}")
    if problems:
        raise ModelError(
            f"The adapter {adapter.name!r} does not fit: {'; '.join(problems)}. Train it again with "
            "`python -m finetune.train`, or choose the model that it was made for."
        )


def _write(adapter: Adapter) -> None:
    path = adapter.directory / MANIFEST
    beside = path.with_suffix(".tmp")
    beside.write_bytes(_SCHEMA.dump_json(adapter, indent=2, exclude=_NOT_IN_THE_FILE) + b"\n")
    os.replace(beside, path)


def _validate(directory: Path, content: object) -> Adapter:
    name = directory.resolve().name
    if not re.fullmatch(NAME_PATTERN, name):
        raise ModelError(f"{name!r} cannot be an adapter's name: use lower-case letters, digits, '.', '_' and '-'.")
    if not isinstance(content, dict) or _NOT_IN_THE_FILE & content.keys():
        raise ModelError(f"{directory / MANIFEST} is not an adapter's manifest.")
    try:
        return _SCHEMA.validate_python(content | {"name": name, "directory": directory})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ModelError(f"{directory / MANIFEST} is not an adapter's manifest: {problems}.") from error


def _file_problems(adapter: Adapter) -> Iterator[str]:
    if set(adapter.files) != set(FILES):
        yield f"its manifest names {sorted(adapter.files)}, expected {sorted(FILES)}"
        return
    for name in FILES:
        path = adapter.directory / name
        if not path.is_file():
            yield f"{name} is missing"
        elif file_sha256(path) != adapter.files[name]:
            yield f"{name} has changed since training"
        elif name == CONFIG:
            yield from (f"{name}: {problem}" for problem in vetting.lora_problems(path))
        else:
            yield from (f"{name}: {problem}" for problem in vetting.safetensors_problems(path))
