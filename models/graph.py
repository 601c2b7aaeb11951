"""
A causal language model as an OpenVINO graph: its weights in int8, its places for LoRA, and how it is compiled.

The graph, which :mod:`models.lowering` makes, reads ``input_ids`` and ``position_ids``, int64, shape ``(1, n)``, behind
what it has read before, which it keeps as its state, and gives their ``logits``, float32, shape ``(1, n, vocabulary)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.quiet_openvino import openvino, ops

Graph: TypeAlias = openvino.Model

LOGITS = "logits"
NEW = "new."
LINEAR = "/aten::linear/MatMul"
EMBEDDED = "/aten::embedding/Gather"
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
Rounded = tuple[npt.NDArray[np.int8], Array]
"""Weights of shape ``(out, in)``, and the scale of each row, shape ``(out,)``."""


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


def rounded(graph: Graph) -> dict[str, Rounded]:
    """Return the weights that are rounded, by the names of their layers in the network; they are not copied."""
    found = {}
    layers = [(name, node.input_value(1).get_node()) for name, node in _all_linears(graph)]
    for node in graph.get_ops():
        name = node.get_friendly_name()
        if name.startswith(ROOT) and name.endswith(EMBEDDED):
            layers.append((name.removeprefix(ROOT).removesuffix(EMBEDDED), node.input_value(0).get_node()))
    for name, weights in layers:
        if _is_rounded(weights):
            whole, scale = (
                weights.input_value(0).get_node().input_value(0).get_node(),
                weights.input_value(1).get_node(),
            )
            found[name] = whole.data, scale.data.reshape(-1)
    return found


def show_new(graph: Graph) -> int:
    """
    Let the graph also give the keys and values of what it reads, bf16, as ``new.0``, ``new.1`` and so on.

    Returns:
        How many there are: keys of the first layer, its values, keys of the second ...
    """
    states = {}
    for node in graph.get_ops():
        if node.get_type_name() == "Assign":
            states[state_number(node.get_variable_id())] = node.input_value(0).get_node().input_value(1)
    results = []
    for number, new in sorted(states.items()):
        shown = ops.convert(new, "bf16")
        shown.output(0).get_tensor().set_names({f"{NEW}{number}"})
        results.append(ops.result(shown))
    graph.add_results(results)
    graph.validate_nodes_and_infer_types()
    return len(results)


def state_number(name: str) -> int:
    """Return which state a name is of: 0 for the keys of the first layer, 1 for its values and so on."""
    return int(name.rpartition("present.")[2])


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


def join(graph: Graph) -> None:
    """
    Let products of the same input with rounded weights be one product, whose result is split.

    Queries, keys and values are such, and the two halves of a gated layer. Fewer and larger products keep the memory
    busier, and the input is rounded once: a token is generated in seven eighths of the time, a prompt read in the same.
    """
    beside: dict[tuple[str, int], list[openvino.Node]] = {}
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "MatMul" and _is_rounded(node.input_value(1).get_node()):
            shared = node.input_value(0)
            beside.setdefault((shared.get_node().get_name(), shared.get_index()), []).append(node)
    while beside:  # each group's own weights are let go before the next one is copied
        _, nodes = beside.popitem()
        if len(nodes) == 1:
            continue
        weights = [node.input_value(1).get_node() for node in nodes]
        whole = np.concatenate([each.input_value(0).get_node().input_value(0).get_node().data for each in weights])
        scale = np.concatenate([each.input_value(1).get_node().data for each in weights])
        rows = np.array([each.get_output_shape(0)[0] for each in weights], np.int64)
        joined = ops.multiply(ops.convert(ops.constant(whole), "f32"), ops.constant(scale))
        product = ops.matmul(nodes[0].input_value(0), joined, transpose_a=False, transpose_b=True)
        parts = ops.variadic_split(product, ops.constant(np.int64(-1)), ops.constant(rows))
        for node, part in zip(nodes, parts.outputs(), strict=True):
            for reader in node.output(0).get_target_inputs():
                reader.replace_source_output(part)
    graph.validate_nodes_and_infer_types()


def _is_rounded(weights: openvino.Node) -> bool:
    """Return whether weights are what :func:`to_int8` makes of them."""
    if weights.get_type_name() != "Multiply":
        return False
    whole = weights.input_value(0).get_node()
    return bool(whole.get_type_name() == "Convert" and whole.get_input_element_type(0) == openvino.Type.i8)


def compiled(graph: Graph, *, joined: bool = True) -> openvino.CompiledModel:
    """
    Compile a graph for this CPU.

    Args:
        graph: changed by joining its products.
        joined: whether they are, which helps single tokens and costs memory.

    What is between rounded weights need not be more exact than they are: it is bf16 where the processor has such
    products. A graph with its own weights computes in float32.
    """
    if joined:
        join(graph)
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
