"""How far a graph's answers are from those of the network that it was made from. Imports torch and OpenVINO."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from transformers import PreTrainedModel

from models import general, graph
from models.base import Message
from models.tokenizer import ChatTokenizer

PROMPTS, NEW_TOKENS = 50, 12
MOST_TOKENS, MOST_CHARACTERS = 512, 150
"""How much of a paragraph is read, and how much of it stands in a prompt."""

ASKED = (
    "Say in one sentence what this is about:",
    "Ask one question that this answers:",
    "Which word matters most here, and why?",
)

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """
    A graph beside its network.

    Attributes:
        perplexity: of plain text, with the network.
        perplexity_int8: with the graph.
        prompts: how many were answered greedily by both.
        same_answers: how many of these answers, cut after 12 tokens, are the same token by token.
    """

    perplexity: float
    perplexity_int8: float
    prompts: int
    same_answers: int

    @property
    def rise(self) -> float:
        """How much of its perplexity the graph adds, for example .01."""
        return self.perplexity_int8 / self.perplexity - 1


def measure(network: PreTrainedModel, lowered: graph.Graph, tokenizer: ChatTokenizer) -> Fidelity:
    """Compare a graph that scores every position with its network, on our plain text."""
    request = graph.compiled(lowered).create_infer_request()

    def its(ids: Sequence[int], at: int = 0) -> Scores:
        if at == 0:
            request.reset_state()
        positions = np.arange(at, at + len(ids), dtype=np.int64)[None]
        request.infer({"input_ids": np.array([ids], np.int64), "position_ids": positions})
        scores: Scores = request.get_tensor(graph.LOGITS).data[0].copy()
        return scores

    @torch.inference_mode()
    def own(ids: Sequence[int]) -> Scores:
        scores: Scores = network(input_ids=torch.tensor([list(ids)])).logits[0].numpy()
        return scores

    def answer(prompt: list[int]) -> list[int]:
        tokens, unread, read = [], prompt, 0
        for _ in range(NEW_TOKENS):
            tokens.append(int(its(unread, read)[-1].argmax()))
            read, unread = read + len(unread), tokens[-1:]
        return tokens

    texts = general.paragraphs()
    nats: tuple[list[Scores], list[Scores]] = [], []
    for text in texts:
        ids = tokenizer.token_ids(text)[:MOST_TOKENS]
        for side, scores in zip(nats, (own(ids), its(ids)), strict=True):
            side.append(-log_softmax(scores[:-1], axis=-1)[np.arange(len(ids) - 1), ids[1:]])
    same = 0
    for number in range(PROMPTS):
        asked, text = ASKED[number // len(texts) % len(ASKED)], texts[number % len(texts)]
        prompt = tokenizer.prompt_ids([Message("user", f"{asked} {text[:MOST_CHARACTERS]}")])
        tokens = answer(prompt)
        expected = own(prompt + tokens[:-1])[len(prompt) - 1 :].argmax(axis=-1)
        same += expected.tolist() == tokens
    perplexity, rounded = (math.exp(np.concatenate(side).mean(dtype=np.float64)) for side in nats)
    return Fidelity(perplexity, rounded, prompts=PROMPTS, same_answers=same)
