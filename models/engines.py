"""
Which engine runs a model here, and the generator on it.

Importing this module is cheap; :func:`load_generator` imports torch or OpenVINO (seconds).
"""

from __future__ import annotations

import importlib.util
import logging
import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from models import export
from models.adapters import Adapter
from models.base import ConfigError, ModelError
from models.engine import EngineName
from models.store import Model

if TYPE_CHECKING:
    from models.generator import LocalGenerator

logger = logging.getLogger(__name__)

NEEDED = ("openvino", "numba")
MACHINES = ("x86_64", "amd64", "aarch64", "arm64")
"""Processors that OpenVINO has kernels for."""


def load_generator(
    model: Model,
    engine: EngineName = "auto",
    device: str | None = None,
    offered: Callable[[], Sequence[Adapter]] = tuple,
    places: int | None = None,
) -> LocalGenerator:
    """
    Load a generator.

    Args:
        model: where it lies.
        engine: ``auto`` takes OpenVINO on a CPU where it is installed and the model was exported for it.
        device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.
        offered: tells, at each request, which adapters may be asked for.
        places: how many answers are made at once; None leaves it to engine and device.

    Raises:
        ModelError: the model, or its export, is missing or damaged.
        ConfigError: the engine is not installed, cannot use the device, or has not so many places.
    """
    from models.generator import LocalGenerator
    from models.lora import verifier
    from models.network import best_device
    from models.tokenizer import ChatTokenizer

    on_cpu = best_device(device).type == "cpu"
    exported = _export(model, engine, on_cpu=on_cpu)
    tokenizer = ChatTokenizer(model)
    if exported is None:
        from models.torch_engine import TransformersEngine

        return LocalGenerator(model, tokenizer, TransformersEngine(model, tokenizer, device, places), offered)
    if places is not None and places > 1:
        raise ConfigError(
            f"{places} answers at once are asked for, but the engine openvino makes one after another; "
            "set server.slots to 1, or the engine to transformers."
        )
    from models.openvino_engine import OpenVinoEngine

    fast = OpenVinoEngine(model, exported.graph_file, verifier(model, tokenizer), exported.anatomy)
    return LocalGenerator(model, tokenizer, fast, offered)


def is_installed() -> bool:
    """Return whether OpenVINO, and what generates beside it, is installed on a processor that it has kernels for."""
    return platform.machine().lower() in MACHINES and all(importlib.util.find_spec(name) for name in NEEDED)


def _export(model: Model, engine: EngineName, *, on_cpu: bool) -> export.Export | None:
    """Return the export that the engine needs; None where transformers is to run the model."""
    if engine == "transformers" or (engine == "auto" and not (on_cpu and is_installed())):
        return None
    if not on_cpu:
        raise ConfigError("the engine openvino runs on a CPU; set the device to cpu, or the engine to transformers.")
    if not is_installed():
        raise ConfigError(
            "the engine openvino is asked for, but OpenVINO is not installed here; "
            "`pip install 'homeground[openvino]'` brings it, or set the engine to transformers."
        )
    found = export.find(model)
    if found is None and engine == "openvino":
        raise ModelError(
            f"{model.name!r} was not exported for OpenVINO yet; run `python -m models.export {model.name}`."
        )
    if found is None:
        logger.warning(
            "%s runs with transformers; `python -m models.export %s` makes it several times faster", *[model.name] * 2
        )
    return found
