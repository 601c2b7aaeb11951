"""
A network's weights as :mod:`models.kernels` read them, and room for what these compute.

What numba has compiled does not notice when fields here change places: touch :mod:`models.kernels` then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from models import graph
from models.anatomy import Anatomy
from models.base import ModelError
from models.store import Model

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint16]
Whole = npt.NDArray[np.int8]
Array = TypeVar("Array", Floats, Whole)
Rounded = graph.Rounded


class Attention(NamedTuple):
    """A layer's attention: matrices ``(out, in)`` with the scales of their rows; a vector that it lacks has size 0."""

    norm: Floats
    query: Whole
    query_scale: Floats
    query_bias: Floats
    query_norm: Floats
    key: Whole
    key_scale: Floats
    key_bias: Floats
    key_norm: Floats
    value: Whole
    value_scale: Floats
    value_bias: Floats
    output: Whole
    output_scale: Floats
    output_bias: Floats


class Mlp(NamedTuple):
    """A layer's gated MLP, likewise."""

    norm: Floats
    gate: Whole
    gate_scale: Floats
    up: Whole
    up_scale: Floats
    down: Whole
    down_scale: Floats


class Turn(NamedTuple):
    """What a token's position does to queries and keys, and what their products are multiplied by."""

    cosines: Floats
    sines: Floats
    scale: np.float32


class Room(NamedTuple):
    """Where results lie; the first dimension of ``parts`` and ``sums`` is the number of threads."""

    normed: Floats
    queries: Floats
    keys: Floats
    values: Floats
    scores: Floats
    parts: Floats
    sums: Floats
    attended: Floats
    gated: Floats


class Weights(NamedTuple):
    """All that a network holds."""

    embeddings: Rounded
    layers: list[tuple[Attention, Mlp]]
    norm: Floats
    head: Rounded


def weights(network: graph.Graph, model: Model, its: Anatomy) -> Weights:
    """
    Return a network's weights; the matrices are the graph's own, as long as it is there.

    Args:
        network: a graph with rounded weights.
        model: whose norms and biases are read.
        its: what the network does between its weights; what is constant in it, is multiplied in here.

    Raises:
        ModelError: some are missing, or are not rounded.
    """
    matrices = {name: (_read_only(whole), _read_only(scale)) for name, (whole, scale) in graph.rounded(network).items()}
    vectors = _vectors(model)
    count = sum(name.endswith(".input_layernorm.weight") for name in vectors)
    try:
        found = Weights(
            embeddings=_scaled(matrices["model.embed_tokens"], its.embedding),
            layers=[_layer(f"model.layers.{number}.", matrices, vectors, its) for number in range(count)],
            norm=vectors["model.norm.weight"],
            head=_scaled(matrices["lm_head"], 1 / its.logits),
        )
    except KeyError as error:
        raise ModelError(f"{model.name!r} has no rounded weights of the name {error}.") from error
    for attention, mlp in found.layers:
        _require_fit(attention, mlp, its)
    return found


def _layer(
    its: str, matrices: Mapping[str, Rounded], vectors: Mapping[str, Floats], anatomy: Anatomy
) -> tuple[Attention, Mlp]:
    attention, mlp = its + "self_attn.", its + "mlp."

    def vector(name: str) -> Floats:
        return vectors[its + name] if name in anatomy.vectors else _read_only(np.zeros(0, np.float32))

    return Attention(
        vector("input_layernorm.weight"),
        *matrices[attention + "q_proj"],
        vector("self_attn.q_proj.bias"),
        vector("self_attn.q_norm.weight"),
        *matrices[attention + "k_proj"],
        vector("self_attn.k_proj.bias"),
        vector("self_attn.k_norm.weight"),
        *matrices[attention + "v_proj"],
        vector("self_attn.v_proj.bias"),
        *_scaled(matrices[attention + "o_proj"], anatomy.residual),
        _read_only(vector("self_attn.o_proj.bias") * np.float32(anatomy.residual)),
    ), Mlp(
        vector("post_attention_layernorm.weight"),
        *matrices[mlp + "gate_proj"],
        *matrices[mlp + "up_proj"],
        *_scaled(matrices[mlp + "down_proj"], anatomy.residual),
    )


def _require_fit(attention: Attention, mlp: Mlp, its: Anatomy) -> None:
    """Refuse what would let a kernel, which checks nothing, read or write elsewhere."""
    hidden, queries, keys = len(attention.norm), len(attention.query), len(attention.key)
    inner, size = len(mlp.gate), its.head_size
    shapes = {
        (attention.query.shape, (queries, hidden)),
        (attention.key.shape, (keys, hidden)),
        (attention.value.shape, (keys, hidden)),
        (attention.output.shape, (hidden, queries)),
        (mlp.gate.shape, (inner, hidden)),
        (mlp.up.shape, (inner, hidden)),
        (mlp.down.shape, (hidden, inner)),
    }
    sizes = {
        (attention.query_bias.size, queries),
        (attention.key_bias.size, keys),
        (attention.value_bias.size, keys),
        (attention.output_bias.size, hidden),
        (attention.query_norm.size, size),
        (attention.key_norm.size, size),
    }
    fits = all(found == wanted for found, wanted in shapes) and all(found in (0, wanted) for found, wanted in sizes)
    heads = queries % size == keys % size == 0 and queries % keys == 0 and 2 * len(its.frequencies) <= size
    if not (fits and heads and mlp.norm.size == hidden):
        raise ModelError("the sizes of its layers do not fit each other.")


def room(attention: Attention, mlp: Mlp, head_size: int, tokens: int, threads: int) -> Room:
    """Return room for what a token computes behind so many others at most."""

    def empty(*shape: int) -> Floats:
        return np.empty(shape, np.float32)

    heads = len(attention.query) // head_size
    return Room(
        normed=empty(len(attention.norm)),
        queries=empty(len(attention.query)),
        keys=empty(len(attention.key)),
        values=empty(len(attention.value)),
        scores=empty(heads, tokens),
        parts=empty(threads, heads, head_size),
        sums=empty(threads, heads, 2),
        attended=empty(len(attention.query)),
        gated=empty(len(mlp.gate)),
    )


def _vectors(model: Model) -> dict[str, Floats]:
    """Return a model's norms and biases by name."""
    found = {}
    for file in sorted(model.directory.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:  # numpy knows no bfloat16
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                if len(tensors.get_slice(name).get_shape()) == 1:
                    found[name] = _read_only(tensors.get_tensor(name).float().numpy())
    return found


def _scaled(matrix: Rounded, factor: float) -> Rounded:
    whole, scale = matrix
    return whole, _read_only(scale * np.float32(factor))


def _read_only(array: Array) -> Array:
    """Return an array that can only be read, as those in a file that is mapped: one kind needs one compilation."""
    shown = np.require(array, requirements=["C", "A"]).view()
    shown.setflags(write=False)
    return shown
