"""Where a run computes, in which numbers, and how much memory it has taken there."""

from __future__ import annotations

import resource
import sys

import torch

from finetune.config import TrainConfig
from models.base import ConfigError
from models.network import best_device, best_dtype


def device_of(config: TrainConfig) -> torch.device:
    """
    Return where a run computes.

    Raises:
        ConfigError: the device is not there, or cannot do what is asked of it.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: cuda is asked for, but torch finds no CUDA device here; use device: cpu or auto.")
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device: mps is asked for, but torch finds none here; use device: cpu or auto.")
    device = best_device(None if config.device == "auto" else config.device)
    if config.quantize and device.type != "cuda":
        raise ConfigError(f"quantize: 4-bit weights need CUDA, and this run is on {device.type}; leave it out.")
    return device


def weights_dtype(config: TrainConfig, device: torch.device) -> torch.dtype:
    """Return the number format of the weights; a CPU's are always float32."""
    return torch.float32 if config.precision == "fp32" else best_dtype(device)


def is_mixed(config: TrainConfig, device: torch.device) -> bool:
    """Return whether a run multiplies in bf16 what the optimizer keeps in float32."""
    return config.precision == "bf16" or (config.precision == "auto" and device.type != "cpu")


def peak_mib(device: torch.device) -> float:
    """Return the most memory used so far, MiB: of the accelerator, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
