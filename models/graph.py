"""
A causal language model as an OpenVINO graph: lowered from its torch network, in int8, with places for LoRA.

The graph reads ``input_ids`` and ``position_ids``, int64, shape ``(1, n)``, behind what it has read before, which it
keeps as its state, and gives their ``logits``, float32, shape ``(1, n, vocabulary)``. Importing this module imports
torch and openvino (seconds).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.utils import logging as transformers_logging

from models.base import ModelError
from models.quiet_openvino import make_stateful, openvino, ops

Graph: TypeAlias = openvino.Model

INPUTS = ("input_ids", "position_ids")
LOGITS = "logits"
LINEAR = "/aten::linear/MatMul"
ROOT = "__module.network."
SMALLEST = 4096
"""Weights of fewer numbers stay as they are."""

SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
ROUGH = {"INFERENCE_PRECISION_HINT": "bf16", "KV_CACHE_PRECISION": "bf16"}
"""In which numbers a graph computes between its weights; the second only where the processor multiplies bf16 itself."""

GROUP = 64
"""So many neighbours of what meets rounded weights share one scale; more are faster, and cost perplexity."""

Array = npt.NDArray[np.float32]


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
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # tracing touches settings that nobody made
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer's, about branches that depend on the configuration alone
            return openvino.convert_model(module, example_input=dict(example))
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


def to_int8(graph: Graph) -> None:
    """Round the weights of every linear layer and of the embeddings to int8, with a scale for each row (symmetric)."""
    rounded: dict[str, openvino.Node] = {}
    for node in graph.get_ordered_ops():
        slot = {"MatMul": 1, "Gather": 0}.get(node.get_type_name())
        if slot is None:
            continue
        weights = node.input_value(slot).get_node()
        if weights.get_type_name() != "Constant" or weights.data.ndim != 2 or weights.data.size < SMALLEST:
            continue
        if weights.data.dtype != np.float32 or (slot and not node.get_attributes()["transpose_b"]):
            continue
        name = weights.get_friendly_name()
        if name not in rounded:  # embeddings and output head are often one and the same
            rounded[name] = _rounded(weights.data)
        node.input(slot).replace_source_output(rounded[name].output(0))
    graph.validate_nodes_and_infer_types()


def _rounded(weights: Array) -> openvino.Node:
    scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    whole = ops.constant(np.rint(weights / scale).astype(np.int8))
    return ops.multiply(ops.convert(whole, "f32"), ops.constant(scale.astype(np.float32)))


def keep_last(graph: Graph) -> None:
    """Let the output head compute what comes after the last token only; its logits get the shape ``(1, 1, ...)``."""
    head = next(node for name, node in _all_linears(graph) if "." not in name)
    last = ops.gather(head.input_value(0), ops.constant(np.array([-1])), ops.constant(1))
    head.input(0).replace_source_output(last.output(0))
    graph.validate_nodes_and_infer_types()


def linears(graph: Graph) -> Iterator[tuple[str, openvino.Node]]:
    """Yield the linear layers that LoRA may change, by their names in the network: all but the output head."""
    return ((name, node) for name, node in _all_linears(graph) if "." in name)


def _all_linears(graph: Graph) -> Iterator[tuple[str, openvino.Node]]:
    for node in graph.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "MatMul" and name.startswith(ROOT) and name.endswith(LINEAR):
            yield name.removeprefix(ROOT).removesuffix(LINEAR), node


def add_lora(graph: Graph) -> dict[str, tuple[int, int]]:
    """
    Give every linear layer two more inputs, ``NAME.A`` and ``NAME.B``, of shapes ``(r, in)`` and ``(out, r)``.

    Returns:
        The layers' ``(out, in)`` by name.
    """
    sizes = {}
    for name, node in list(linears(graph)):
        outputs, inputs = node.input_value(1).get_partial_shape().to_shape()
        down = ops.parameter(openvino.PartialShape([-1, inputs]), np.float32)
        up = ops.parameter(openvino.PartialShape([outputs, -1]), np.float32)
        down.output(0).get_tensor().set_names({f"{name}.A"})
        up.output(0).get_tensor().set_names({f"{name}.B"})
        graph.add_parameters([down, up])
        readers = node.output(0).get_target_inputs()
        low = ops.matmul(node.input_value(0), down, transpose_a=False, transpose_b=True)
        changed = ops.add(node, ops.matmul(low, up, transpose_a=False, transpose_b=True))
        for reader in readers:
            reader.replace_source_output(changed.output(0))
        sizes[name] = outputs, inputs
    graph.validate_nodes_and_infer_types()
    return sizes


def replace_weights(graph: Graph, weights: Mapping[str, Array]) -> None:
    """Put other weights into linear layers, in int8 as :func:`to_int8` does."""
    for name, node in list(linears(graph)):
        if name in weights:
            node.input(1).replace_source_output(_rounded(weights[name]).output(0))
    graph.validate_nodes_and_infer_types()


def compiled(graph: Graph) -> openvino.CompiledModel:
    """
    Compile a graph for this CPU.

    What is between rounded weights need not be more exact than they are: it is bf16 where the processor has such
    products. A graph with its own weights computes in float32.
    """
    core = openvino.Core()
    rows = [
        node.get_output_shape(0)[1]
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
    ]
    is_rough = rows and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = SETTINGS | (ROUGH if is_rough else EXACT)
    if rows and math.gcd(*rows) % GROUP == 0:
        settings |= {"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP)}
    return core.compile_model(graph, "CPU", settings)
