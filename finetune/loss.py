"""
The loss on what is learnt, computed for those positions only.

The output head is the largest layer of a small model, and its result the largest tensor of all: for SmolLM2-135M,
49,152 numbers for every token. In a prompt none of them is needed. So the head gets only the positions that predict a
learnt token; whatever a model does to its logits afterwards (scaling, soft caps) works on these as on all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from finetune.batch import IGNORED, Batch


class SelectiveHead:
    """Makes a network's output head compute the chosen positions only; without a choice, all."""

    def __init__(self, network: nn.Module) -> None:
        self._chosen: torch.Tensor | None = None
        head = network.get_output_embeddings()  # type: ignore[operator] # every causal model of transformers has it
        head.register_forward_pre_hook(self._select)

    def _select(self, module: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        if self._chosen is None:
            return None
        hidden, chosen = args[0], self._chosen
        return (hidden[chosen],)

    def token_losses(self, network: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Return the cross-entropy of every learnt token, and the row that it belongs to.

        Args:
            network: the network, or what wraps it for several processes.
            batch: on the network's device.

        Returns:
            Nats, float32, shape ``(learnt,)``, and row numbers of that shape.
        """
        labels = batch["labels"]
        predicted = labels[:, 1:] != IGNORED
        self._chosen = functional.pad(predicted, (0, 1))  # position t predicts token t + 1
        inputs: dict[str, Any] = {name: value for name, value in batch.items() if name != "labels"}
        try:
            logits = network(**inputs, use_cache=False).logits
        finally:
            self._chosen = None
        losses = functional.cross_entropy(logits.float(), labels[:, 1:][predicted], reduction="none")
        rows = predicted.nonzero()[:, 0]
        return losses, rows
