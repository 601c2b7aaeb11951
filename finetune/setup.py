"""What a run works on: the model, its tokenizer, the rows, the score; found and checked before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from finetune import scores
from finetune.config import TrainConfig
from finetune.device import device_of
from finetune.encode import Row
from finetune.gate import general_text
from finetune.prepare import Prepared, prepare
from finetune.start import adapter_to_start_from
from models.adapters import Adapter
from models.base import ConfigError
from models.store import Model, locate
from models.tokenizer import ChatTokenizer


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run works on."""

    config: TrainConfig
    model: Model
    tokenizer: ChatTokenizer
    score: scores.Score | None
    general: list[Row]
    data: Prepared
    device: torch.device
    start: Adapter | None


def set_up(config: TrainConfig, *, skip_bad_rows: bool) -> Setup:
    """
    Find the model and read the data; nothing is trained or written.

    Raises:
        HomegroundError: the model, the device, the data or the score cannot be used.
    """
    device = device_of(config)
    model = locate(config.base, "generator")
    if config.max_length > model.context_length:
        raise ConfigError(
            f"max_length: {config.max_length} tokens, but {model.name!r} reads {model.context_length}; lower it."
        )
    tokenizer = ChatTokenizer(model)
    start = adapter_to_start_from(config, model, tokenizer)
    score = scores.choose(config.gate)
    general = general_text(config.gate.general, tokenizer, model.context_length)
    data = prepare(config, tokenizer, config.max_length, score, skip_bad_rows=skip_bad_rows)
    return Setup(config, model, tokenizer, score, general, data, device, start)
