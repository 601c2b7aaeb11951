"""The plan of a run, before it is run: its rows and masks, and the memory and time of a probe of its longest step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.text import Text

from finetune.anchor import TOKENS, Anchor
from finetune.batch import on
from finetune.device import is_mixed, peak_mib
from finetune.encode import Row
from finetune.fit import cutter, lora_network, planned
from finetune.loss import SelectiveHead
from finetune.setup import Setup
from models.tokenizer import ChatTokenizer

LEARNT, READ = "bold green", "dim"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do: numbers, and one example with what is read and what is learnt."""

    facts: dict[str, Any]
    example: Text

    def show(self, console: Console) -> None:
        """Print it."""
        for name, value in self.facts.items():
            console.print(f"{name.replace('_', ' '):<24}{value}")
        console.print("\nan example; green is learnt, the rest is read:\n", style="bold")
        console.print(self.example)


def make(setup: Setup) -> Plan:
    """
    Make the plan; the model is loaded, and computes the step with the most tokens and one of middling size.

    Raises:
        HomegroundError: the model cannot be loaded, or has no modules of the names in ``lora.targets``.
    """
    config, rows = setup.config, setup.data.train
    lengths = [len(row.ids) for row in rows]
    steps = planned(config, rows)
    tokens = [sum(lengths[number] for number in step) for step in steps]
    middling = steps[int(np.argsort(tokens)[len(tokens) // 2])]
    probe = _Probe(setup, tokens)
    longest = probe.seconds(steps[int(np.argmax(tokens))])
    rate = sum(lengths[number] for number in middling) / probe.seconds(middling)
    facts: dict[str, Any] = {
        "base": setup.model.name,
        "adapter": config.name,
        "device": str(setup.device),
        "rows": len(rows),
        "held_out_rows": len(setup.data.held_out),
        "skipped_rows": len(setup.data.bad),
        "repeated_rows": sum(len(group) - 1 for group in setup.data.duplicates),
        "leaked_rows": len(setup.data.leaks),
        "shortened_rows": sum(row.left_out > 0 for row in rows),
        "tokens": sum(lengths),
        "learnt_tokens": sum(int(row.learnt.sum()) for row in rows),
        "longest_row_tokens": max(lengths),
        "steps": len(steps),
        "passes": round(sum(len(step) for step in steps) / len(rows), 2),
        "trained_tokens": sum(tokens),
        "trainable_weights": probe.trainable,
        "tokens_per_s": round(rate, 1),
        "longest_step_s": round(longest, 2),
        "training_min": round(sum(tokens) / rate / 60, 1),
        "peak_memory_mib": round(peak_mib(setup.device)),
    }
    return Plan(facts, colored(rows[0], setup.tokenizer))


class _Probe:
    """The network of a run, which computes gradients as the run would, and learns nothing."""

    def __init__(self, setup: Setup, step_tokens: Sequence[int]) -> None:
        config, self._rows, self._device = setup.config, setup.data.train, setup.device
        self._network = lora_network(config, setup.model, setup.device).to(setup.device).train()
        if config.gradient_checkpointing:
            how = {"use_reentrant": False}
            self._network.get_base_model().activation_checkpointing_enable(activation_checkpointing_kwargs=how)
        self._mixed = is_mixed(config, setup.device)
        self._head = SelectiveHead(self._network.get_base_model())
        self._cut = cutter(config, max(len(row.ids) for row in self._rows), setup.device, setup.tokenizer.pad_id)
        texts = torch.zeros((1, TOKENS), dtype=torch.long, device=setup.device)
        self._anchor = Anchor(texts, step_tokens) if config.kl_weight else None
        self.trainable = sum(weight.numel() for weight in self._network.parameters() if weight.requires_grad)

    def seconds(self, step: Sequence[int]) -> float:
        """Return how long the gradient of a step takes."""
        started = time.perf_counter()
        for batch in self._cut([self._rows[number] for number in step]):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
                losses, _ = self._head.token_losses(self._network, on(self._device, batch))
            torch.autograd.backward(losses.sum())
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            divergence = self._anchor.divergence(self._network, self._network, 0) if self._anchor else None
        if divergence is not None:
            torch.autograd.backward(divergence)
        if self._device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - started


def colored(row: Row, tokenizer: ChatTokenizer) -> Text:
    """Return a row's text, control tokens included, in two colours: what is learnt, and what is only read."""
    text = Text()
    borders = [0, *(np.flatnonzero(np.diff(row.learnt)) + 1).tolist(), len(row.ids)]
    for begin, end in itertools.pairwise(borders):
        style = LEARNT if row.learnt[begin] else READ
        text.append(tokenizer.text(row.ids[begin:end].tolist(), control=True), style=style)
    return text
