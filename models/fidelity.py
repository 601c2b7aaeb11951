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
from models.openvino_network import OpenVinoNetwork, scores
from models.quiet_openvino import openvino
from models.tokenizer import ChatTokenizer

PROMPTS, NEW_TOKENS = 50, 12
TAIL = 16
"""So many tokens of a paragraph are read one by one."""

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
        drift: nats that a token's score differs by, in the mean, where it is generated and where it is read.
        prompts: how many were answered greedily by both.
        same_answers: how many of these answers, cut after 12 tokens, are the same token by token.
    """

    perplexity: float
    perplexity_int8: float
    drift: float
    prompts: int
    same_answers: int

    @property
    def rise(self) -> float:
        """How much of its perplexity the graph adds, for example .01."""
        return self.perplexity_int8 / self.perplexity - 1


def measure(
    network: PreTrainedModel, lowered: graph.Graph, served: OpenVinoNetwork, tokenizer: ChatTokenizer
) -> Fidelity:
    """
    Compare what serves a network with it, on our plain text.

    Args:
        network: the model itself.
        lowered: its graph, which scores every position.
        served: the same graph, as it reads prompts and generates.
        tokenizer: the model's.
    """
    request = graph.compiled(lowered).create_infer_request()
    texts = general.paragraphs()
    sides: tuple[list[Scores], list[Scores], list[Scores]] = [], [], []
    for text in texts:
        ids = tokenizer.token_ids(text)[:MOST_TOKENS]
        for side, told in zip(sides, (_own(network, ids), _its(request, ids), _generated(served, ids)), strict=True):
            side.append(_nats(told[:-1], ids[len(ids) - len(told) + 1 :]))
    same = 0
    for number in range(PROMPTS):
        asked, text = ASKED[number // len(texts) % len(ASKED)], texts[number % len(texts)]
        prompt = tokenizer.prompt_ids([Message("user", f"{asked} {text[:MOST_CHARACTERS]}")])
        tokens = _answer(served, prompt)
        expected = _own(network, prompt + tokens[:-1])[len(prompt) - 1 :].argmax(axis=-1)
        same += expected.tolist() == tokens
    perplexity, rounded = (math.exp(np.concatenate(side).mean(dtype=np.float64)) for side in sides[:2])
    drift = np.abs(np.concatenate([nats[-len(told) :] - told for nats, told in zip(*sides[1:], strict=True)])).mean()
    return Fidelity(perplexity, rounded, drift=float(drift), prompts=PROMPTS, same_answers=same)


def _nats(scores: Scores, following: Sequence[int]) -> Scores:
    """Return how unlikely each of some tokens is, by the scores behind the token before it."""
    nats: Scores = -log_softmax(scores, axis=-1)[np.arange(len(following)), following]
    return nats


@torch.inference_mode()
def _own(network: PreTrainedModel, ids: Sequence[int]) -> Scores:
    scores: Scores = network(input_ids=torch.tensor([list(ids)])).logits[0].numpy()
    return scores


def _its(request: openvino.InferRequest, ids: Sequence[int]) -> Scores:
    request.reset_state()
    return scores(request, ids)


def _generated(served: OpenVinoNetwork, ids: Sequence[int]) -> Scores:
    """Return the scores behind the last tokens, which are read one by one."""
    reading, first = served.begin({}), len(ids) - TAIL
    return np.stack([reading.read(ids[:first]), *(reading.read([token]) for token in ids[first:])])


def _answer(served: OpenVinoNetwork, prompt: list[int]) -> list[int]:
    reading, unread, tokens = served.begin({}), prompt, []
    for _ in range(NEW_TOKENS):
        tokens.append(int(reading.read(unread).argmax()))
        unread = tokens[-1:]
    return tokens
