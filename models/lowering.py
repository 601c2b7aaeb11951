"""
A causal language model's torch network, lowered to an OpenVINO graph that keeps what it has read as its state.

Importing this module imports torch and openvino (seconds).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from threading import Lock

import numpy as np
import torch
from torch import nn
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.utils import logging as transformers_logging

from models.base import ModelError
from models.graph import LOGITS, Graph
from models.quiet_openvino import make_stateful, openvino, ops, traced

INPUTS = ("input_ids", "position_ids")

_CONVERTING = Lock()
"""What is quietened meanwhile is so for all threads."""


def lower(network: PreTrainedModel) -> Graph:
    """
    Return a network as a graph with a state.

    Args:
        network: on the CPU, float32.

    Raises:
        ModelError: it keeps something else than the keys and values of every token, or cannot be traced.
    """
    example = torch.tensor([[0, 1]])
    with torch.inference_mode():
        layers = network(input_ids=example, use_cache=True).past_key_values.layers
    if not all(type(layer) is DynamicLayer for layer in layers):
        raise ModelError("some of its layers do not keep all that they have read; OpenVINO serves models that do.")
    past = [tensor.clone() for layer in layers for tensor in (layer.keys, layer.values)]
    inputs = {"input_ids": example, "position_ids": example + 2, "past": tuple(past)}
    graph = convert(_Step(network), inputs)
    _name(graph, past)
    _keep_state(graph, past)
    return graph


def convert(module: nn.Module, example: Mapping[str, object]) -> Graph:
    """
    Trace a module and return it as a graph.

    Args:
        module: on the CPU; its ``forward`` takes what the example gives, by name.
        example: tensors, or lists or dicts of them.

    Raises:
        ModelError: it cannot be traced or converted.
    """
    with _CONVERTING:
        return _converted(module, example)


def _converted(module: nn.Module, example: Mapping[str, object]) -> Graph:
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # tracing touches settings that nobody made
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer's, about branches that depend on the configuration alone
            return traced(module, example)
    except Exception as error:  # whatever tracing or converting makes of an unknown architecture
        raise ModelError(f"its network cannot be lowered to OpenVINO: {type(error).__name__}: {error}") from error
    finally:
        transformers_logging.set_verbosity(before)


class _Step(nn.Module):
    """The network as a function of tokens, their positions, and the keys and values of all tokens before."""

    def __init__(self, network: PreTrainedModel) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, past: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Return the logits, then keys and values of all tokens, layer by layer."""
        cache = _Pairs(past)
        length = past[0].shape[2] + input_ids.shape[1]
        seen = torch.arange(length)[None, None, None, :] <= position_ids[:, None, :, None]
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
        output = self.network(
            input_ids=input_ids,
            position_ids=position_ids,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        )
        return (output.logits, *cache.tensors)


class _Pairs(Cache):  # type: ignore[misc] # transformers is not followed by mypy
    """Keys and values that grow by concatenation and nothing else, which is what a graph can keep as its state."""

    def __init__(self, past: tuple[torch.Tensor, ...]) -> None:
        super().__init__(layers=[])
        self.tensors = list(past)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values of new tokens to a layer; return all of them."""
        at = 2 * layer_idx
        self.tensors[at] = torch.cat([self.tensors[at], keys], dim=2)
        self.tensors[at + 1] = torch.cat([self.tensors[at + 1], values], dim=2)
        return self.tensors[at], self.tensors[at + 1]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens a layer holds."""
        length: int = self.tensors[2 * layer_idx].shape[2]
        return length


def _name(graph: Graph, past: list[torch.Tensor]) -> None:
    """Give inputs and outputs their names and shapes, of which one dimension is open: the tokens."""
    shapes = {}
    for name, port in zip(INPUTS, graph.inputs, strict=False):
        port.get_tensor().set_names({name})
        shapes[port] = openvino.PartialShape([1, -1])
    for number, (tensor, port) in enumerate(zip(past, graph.inputs[len(INPUTS) :], strict=True)):
        port.get_tensor().set_names({f"past.{number}"})
        _, heads, _, size = tensor.shape
        shapes[port] = openvino.PartialShape([1, heads, -1, size])
    graph.reshape(shapes)
    for number, port in enumerate(graph.outputs):
        port.get_tensor().set_names({f"present.{number - 1}" if number else LOGITS})


def _keep_state(graph: Graph, past: list[torch.Tensor]) -> None:
    """Turn what is handed from step to step into a state, which is empty at first."""
    # OpenVINO's attention recognises a state by the gather that beam search would reorder it with.
    beam = ops.constant(np.array([0], np.int32))
    for port in graph.inputs[len(INPUTS) :]:
        readers = port.get_target_inputs()
        reordered = ops.gather(port, beam, ops.constant(0))
        for reader in readers:
            reader.replace_source_output(reordered.output(0))
    graph.validate_nodes_and_infer_types()
    names = {f"past.{number}": f"present.{number}" for number in range(len(past))}
    make_stateful(graph, names)
    for node in graph.get_ops():
        if node.get_type_name() == "ReadValue":
            _, heads, _, size = node.get_output_partial_shape(0)
            empty = np.zeros((1, heads.get_length(), 0, size.get_length()), np.float32)
            node.set_arguments([ops.constant(empty)])
    graph.validate_nodes_and_infer_types()
