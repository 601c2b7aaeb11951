"""A model's weights as a transformers network, read from its verified directory and nowhere else."""

from __future__ import annotations

import textwrap
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from models.base import ModelError
from models.store import Model
from models.tokenizer import LOCAL


def best_device(name: str | None = None) -> torch.device:
    """Return the device of this name, or an accelerator where there is one, else the CPU."""
    return torch.device(name or torch.accelerator.current_accelerator(check_available=True) or "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """
    Return the number format for a device.

    float32 on a CPU: without bf16 instructions, bf16 is two to three times slower there. On an accelerator bf16 halves
    memory; fp16 is not used, because models trained in bf16 overflow in it.
    """
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def load_network(
    model: Model,
    dtype: torch.dtype,
    **more: Any,  # noqa: ANN401 - a quantization_config of transformers
) -> PreTrainedModel:
    """
    Read a causal language model into memory, ready to be moved to its device.

    Args:
        model: where it lies.
        dtype: number format of the weights.
        more: passed on to transformers.

    Raises:
        ModelError: it cannot be loaded, or lacks weights.
    """
    transformers_logging.disable_progress_bar()
    try:
        network, report = AutoModelForCausalLM.from_pretrained(
            str(model.directory), dtype=dtype, use_safetensors=True, output_loading_info=True, **LOCAL, **more
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{model.name!r} in {model.directory} could not be loaded: {textwrap.shorten(str(error), 300)} Expected a "
            "causal language model as safetensors; fetch one with `python -m models.fetch`."
        ) from error
    if report["missing_keys"]:
        raise ModelError(
            f"{model.name!r} in {model.directory} lacks {len(report['missing_keys'])} weights, for example "
            f"{min(report['missing_keys'])}; fetch it again with `python -m models.fetch`."
        )
    return network.eval()
