"""
The base model's own words hold an adapter near it, so that a narrow task does not cost what the model knew before.

Before the run, the base model continues some openings. In the run, a few of these texts are read beside the rows, with
the adapter and without it, and how far the next-token distributions diverge is part of the loss. This is learning
without forgetting (Li and Hoiem, arXiv 1606.09282) on text that needs no data. Measured: on a task of JSON records,
general text became 0.16 nats a token harder to predict without it, and no harder with it, at a sixth more time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import nn
from torch.nn import functional
from transformers import GenerationConfig

from models.base import Message
from models.tokenizer import ChatTokenizer

OPENINGS = (
    "The history of", "In the morning", "Dear Mr Brown,", "def ", "According to the report,", "Ingredients:\n",
    "Chapter 3\n\n", "import ", "Once upon a time", "The committee", "She opened the door", "# ", "Water is",
    "Researchers have found", "Yesterday", "There are three", "He said:", "The price of", "Step 1:", "Our company",
    "On the other hand,", "A:", "We were walking", "for i in",
)  # fmt: skip
REQUESTS = (
    "Write a short poem about the sea.", "Explain how a bicycle stays upright.", "What is the capital of France?",
    "Give me three tips for a better sleep.", "What is 17 times 4?", "Write a letter to a landlord.",
    "Name five animals.", "How do I boil an egg?",
)  # fmt: skip

TOKENS = 64
"""Of each text."""

AT_ONCE = 4
"""Texts of a step at most: all of them are read at once, with the whole vocabulary."""

SHARE = 0.05
"""Of the tokens that a step reads; more held nothing better."""


def own_words(network: PeftModel, tokenizer: ChatTokenizer, seed: int) -> torch.Tensor:
    """
    Let a model that has learnt nothing yet continue the openings.

    Args:
        network: the base model with fresh LoRA layers, which change nothing.
        tokenizer: the model's.
        seed: of the draws.

    Returns:
        Token ids, shape ``(texts, 64)``, on the network's device.
    """
    begun = [tokenizer.plain_ids(opening) for opening in OPENINGS]
    begun += [tokenizer.prompt_ids([Message("user", request)]) for request in REQUESTS]
    longest = max(len(ids) for ids in begun)
    ids = torch.full((len(begun), longest), tokenizer.pad_id)
    for line, opening in enumerate(begun):
        ids[line, longest - len(opening) :] = torch.tensor(opening)
    mask = torch.stack([(torch.arange(longest) >= longest - len(opening)).long() for opening in begun])
    settings = GenerationConfig(
        do_sample=True, top_k=0, max_new_tokens=TOKENS, min_new_tokens=TOKENS, pad_token_id=tokenizer.pad_id
    )
    device, was_training = network.device, network.training
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        written = network.eval().generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=settings
        )
    network.train(was_training)
    return torch.stack(
        [line[longest - len(opening) :][:TOKENS] for line, opening in zip(written, begun, strict=True)]
    ).clone()


class Anchor:
    """
    What holds an adapter near its base model.

    Args:
        texts: token ids, shape ``(texts, length)``.
        step_tokens: how many tokens each step of the run reads.
    """

    def __init__(self, texts: torch.Tensor, step_tokens: Sequence[int]) -> None:
        self._texts = texts
        wanted = SHARE * sum(step_tokens) / len(step_tokens) / texts.shape[1]
        self._every, self._at_once = max(1, round(1 / wanted)), min(AT_ONCE, max(1, round(wanted)))

    def divergence(self, network: nn.Module, peft: PeftModel, step: int) -> torch.Tensor | None:
        """
        Return the mean divergence KL(base ‖ adapter) in nats a token on the texts whose turn it is.

        Args:
            network: the network, or what wraps it for several processes.
            peft: the network without a wrapper.
            step: counted from 0.

        Returns:
            A scalar that gradients flow through; None in a step without a text.
        """
        if step % self._every:
            return None
        first = step // self._every * self._at_once
        chosen = self._texts[[(first + number) % len(self._texts) for number in range(self._at_once)]]
        with torch.no_grad(), peft.disable_adapter():
            wanted = functional.log_softmax(network(input_ids=chosen, use_cache=False).logits.float(), -1)
        found = functional.log_softmax(network(input_ids=chosen, use_cache=False).logits.float(), -1)
        return functional.kl_div(found, wanted, log_target=True, reduction="sum") / chosen.numel()
