"""Answers to many prompts at once, greedy: what the gate compares before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, PreTrainedModel

from models.tokenizer import ChatTokenizer

PROMPTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Generated:
    """A text, and whether the model ended it by itself."""

    text: str
    stopped: bool


@torch.inference_mode()
def generate(
    network: PreTrainedModel,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    at_once: int = PROMPTS_AT_ONCE,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Generated]:
    """
    Continue each prompt with the likeliest tokens.

    Args:
        network: in evaluation mode.
        tokenizer: the network's.
        prompts: token ids.
        max_tokens: most new tokens of each.
        at_once: prompts that are continued side by side.
        on_progress: called with the number of prompts that are done.

    Returns:
        One for each prompt, in their order.
    """
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=sorted(tokenizer.end_ids),
        pad_token_id=tokenizer.pad_id,
    )
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    found: dict[int, Generated] = {}
    for begin in range(0, len(order), at_once):
        chosen = order[begin : begin + at_once]
        longest = max(len(prompts[number]) for number in chosen)
        ids = torch.full((len(chosen), longest), tokenizer.pad_id)
        mask = torch.zeros_like(ids)
        for line, number in enumerate(chosen):
            length = len(prompts[number])
            ids[line, longest - length :] = torch.tensor(prompts[number])
            mask[line, longest - length :] = 1
        output = network.generate(
            input_ids=ids.to(network.device), attention_mask=mask.to(network.device), generation_config=settings
        )
        for number, new in zip(chosen, output[:, longest:].tolist(), strict=True):
            found[number] = _ended(new, tokenizer)
        on_progress(len(found))
    return [found[number] for number in range(len(prompts))]


def _ended(new: list[int], tokenizer: ChatTokenizer) -> Generated:
    end = next((at for at, token in enumerate(new) if token in tokenizer.end_ids), None)
    return Generated(tokenizer.text(new if end is None else new[:end]), end is not None)
