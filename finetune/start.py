"""Going on from an adapter: a run that begins with its weights in place of drawn ones."""

from __future__ import annotations

import json
from typing import Any

from peft import PeftModel, set_peft_model_state_dict

from finetune.config import LoraSettings, TrainConfig
from models.adapter_store import locate
from models.adapters import CONFIG, Adapter
from models.base import ConfigError
from models.lora import verifier, weights_of
from models.store import Model
from models.tokenizer import ChatTokenizer


def adapter_to_start_from(config: TrainConfig, model: Model, tokenizer: ChatTokenizer) -> Adapter | None:
    """
    Return the adapter that a run begins with; None where it begins afresh.

    Raises:
        ConfigError: it was trained with other ``lora`` settings.
        ModelError: there is none of that name, it is damaged, or it is another model's.
    """
    if config.start is None:
        return None
    adapter = locate(config.start)
    verifier(model, tokenizer)(adapter)
    had = json.loads((adapter.directory / CONFIG).read_bytes())
    for setting, theirs, ours in _shape(had, config.lora):
        if theirs != ours:
            raise ConfigError(f"lora.{setting}: {ours}, but the adapter {adapter.name!r} to start from has {theirs}.")
    return adapter


def _shape(had: dict[str, Any], lora: LoraSettings) -> list[tuple[str, Any, Any]]:
    """Return the settings that must agree: their name, the adapter's value and the run's."""
    return [
        ("r", had["r"], lora.r),
        ("alpha", had["lora_alpha"], lora.alpha),
        ("rslora", had["use_rslora"], lora.rslora),
        ("dora", had["use_dora"], lora.dora),
    ]


def begin_with(adapter: Adapter | None, network: PeftModel) -> None:
    """
    Put an adapter's weights in the place of the drawn ones; None leaves these.

    Raises:
        ConfigError: it changes other modules than the run does.
    """
    if adapter is None:
        return
    result = set_peft_model_state_dict(network, weights_of(adapter))
    strangers = [*result.unexpected_keys, *(name for name in result.missing_keys if ".lora_" in name)]
    if strangers:
        raise ConfigError(
            f"lora.targets: the adapter {adapter.name!r} to start from changes other modules, for example "
            f"{strangers[0]}."
        )
