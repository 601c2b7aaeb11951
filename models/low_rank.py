"""An adapter's matrices, read without torch."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from models.adapters import CONFIG, WEIGHTS, Adapter
from models.base import ModelError

PREFIX = "base_model.model."
Array = npt.NDArray[np.float32]
LowRank = dict[str, tuple[Array, Array]]
"""A of shape ``(r, in)`` and B of ``(out, r)``, B already scaled, by the name of the linear layer."""


def low_rank(adapter: Adapter) -> LowRank:
    """
    Return what an adapter adds: ``B @ A`` to the weights of each linear layer.

    Args:
        adapter: a verified one.

    Raises:
        ModelError: it changes more than that (DoRA), or a matrix has no partner.
    """
    settings = json.loads((adapter.directory / CONFIG).read_text(encoding="utf-8"))
    if settings.get("use_dora"):
        raise ModelError(
            f"the adapter {adapter.name!r} is a DoRA, which OpenVINO does not apply. Use --engine transformers, or "
            f"merge it: `python -m finetune.export {adapter.name} --out DIRECTORY`."
        )
    rank, alpha = settings["r"], settings["lora_alpha"]
    scale = alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    weights = load_file(adapter.directory / WEIGHTS)
    found: LowRank = {}
    for name in sorted(weights):
        module, _, kind = name.removeprefix(PREFIX).partition(".lora_")
        if kind == "A.weight":
            partner = weights.get(name.replace(".lora_A.", ".lora_B."))
            if partner is None:
                raise ModelError(f"the adapter {adapter.name!r} lacks the second matrix of {module}.")
            if weights[name].shape[0] != rank or partner.shape[1] != rank:
                raise ModelError(f"the adapter {adapter.name!r} does not fit: {module} is not of rank {rank}.")
            found[module] = weights[name].astype(np.float32), partner.astype(np.float32) * np.float32(scale)
    _require_named(adapter, settings["target_modules"], found)
    if 2 * len(found) != len(weights):
        raise ModelError(f"the adapter {adapter.name!r} holds {len(weights) - 2 * len(found)} weights of another kind.")
    return found


def _require_named(adapter: Adapter, targets: str | list[str], found: LowRank) -> None:
    """Refuse matrices of other layers than the settings name; whether all of these exist, only the model can tell."""
    if isinstance(targets, str):  # "all-linear"
        return
    strangers = [name for name in found if not any(f".{name}".endswith(f".{target}") for target in targets)]
    missing = [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in found)]
    if strangers or missing:
        named, held = ", ".join(sorted(targets)), ", ".join(sorted(found)[:3])
        raise ModelError(
            f"the adapter {adapter.name!r} does not fit: its adapter_config.json names {named}, but it holds {held} ..."
        )
