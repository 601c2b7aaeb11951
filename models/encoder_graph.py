"""
A text encoder as an OpenVINO graph, for embedding many passages on a CPU: the same numbers in less time.

Importing this module imports torch and openvino (seconds).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from models.base import ModelError
from models.graph import compiled, to_int8
from models.lowering import convert

SAMPLE = ("A short one.", "A sentence that is longer, so that the first one is filled up behind its end.")
MAX_DISTANCE, MAX_DISTANCE_INT8 = 1e-5, 0.02
"""Cosine distance between a vector by torch and by the graph."""


def accelerated(encoder: SentenceTransformer, *, int8: bool = False) -> SentenceTransformer:
    """
    Return an encoder that computes the same vectors with OpenVINO; the one given stays as it is and shares its layers.

    Args:
        encoder: on the CPU.
        int8: round its weights, which gives nearly the same vectors.

    Raises:
        ModelError: its network cannot be lowered, or computes something else then.
    """
    first = copy.copy(encoder[0])
    first._modules = dict(encoder[0]._modules)
    first.model = _Lowered(encoder[0].model, encoder.tokenizer.model_input_names, int8=int8)
    fast = copy.copy(encoder)
    fast._modules = {**encoder._modules, next(iter(encoder._modules)): first}
    expected, found = (
        one.encode(list(SAMPLE), show_progress_bar=False, normalize_embeddings=True) for one in (encoder, fast)
    )
    distance = float(1 - (expected * found).sum(axis=1).min())
    if not distance <= (MAX_DISTANCE_INT8 if int8 else MAX_DISTANCE):
        raise ModelError(f"the lowered encoder computes other vectors, at a cosine distance of {distance:.2g}.")
    return fast


class _Lowered(nn.Module):
    """The network's place in a sentence-transformers model, taken by its graph."""

    def __init__(self, network: PreTrainedModel, names: Sequence[str], *, int8: bool) -> None:
        super().__init__()
        self.network = network  # its parameters say which device this is on
        self.config = network.config
        ones = torch.ones(2, 5, dtype=torch.int64)
        example = {name: torch.zeros_like(ones) if name == "token_type_ids" else ones for name in names}
        graph = convert(_Encode(network), {"features": example})
        if int8:
            to_int8(graph)
        self._names = list(example)
        self._graph = compiled(graph)

    def forward(self, **features: torch.Tensor) -> BaseModelOutput:
        """Compute the last hidden states, shape ``(texts, tokens, size)``."""
        request = self._graph.create_infer_request()  # one for each call, so that threads do not share it
        request.infer({number: features[name].numpy() for number, name in enumerate(self._names)})
        return BaseModelOutput(last_hidden_state=torch.from_numpy(request.get_output_tensor(0).data.copy()))


class _Encode(nn.Module):
    def __init__(self, network: PreTrainedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the last hidden states; the mask is made here, because transformers' own cannot be traced."""
        seen = features["attention_mask"][:, None, None, :].to(torch.float32)
        mask = (1 - seen) * torch.finfo(torch.float32).min
        output: torch.Tensor = self.network(**{**features, "attention_mask": mask}).last_hidden_state
        return output
