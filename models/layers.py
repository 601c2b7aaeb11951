"""A network's weights as :mod:`models.kernels` read them, and room for what these compute."""

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
Rounded = tuple[Whole, Floats]
"""A matrix of shape ``(out, in)`` and the scales of its rows, shape ``(out,)``."""


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
    """Where results lie; the first dimension of the three in the middle is the number of threads."""

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
    matrices = {name: (_shown(whole), _shown(scale)) for name, (whole, scale) in graph.rounded(network).items()}
    vectors = _vectors(model)
    count = sum(name.endswith(".input_layernorm.weight") for name in vectors)
    try:
        return Weights(
            embeddings=_scaled(matrices["model.embed_tokens"], its.embedding),
            layers=[_layer(f"model.layers.{number}.", matrices, vectors, its) for number in range(count)],
            norm=vectors["model.norm.weight"],
            head=_scaled(matrices["lm_head"], 1 / its.logits),
        )
    except KeyError as error:
        raise ModelError(f"{model.name!r} has no rounded weights of the name {error}.") from error


def _layer(
    its: str, matrices: Mapping[str, Rounded], vectors: Mapping[str, Floats], anatomy: Anatomy
) -> tuple[Attention, Mlp]:
    nothing = _shown(np.zeros(0, np.float32))
    attention, mlp = its + "self_attn.", its + "mlp."
    bias = vectors.get(attention + "o_proj.bias", nothing)
    return Attention(
        vectors[its + "input_layernorm.weight"],
        *matrices[attention + "q_proj"],
        vectors.get(attention + "q_proj.bias", nothing),
        vectors.get(attention + "q_norm.weight", nothing),
        *matrices[attention + "k_proj"],
        vectors.get(attention + "k_proj.bias", nothing),
        vectors.get(attention + "k_norm.weight", nothing),
        *matrices[attention + "v_proj"],
        vectors.get(attention + "v_proj.bias", nothing),
        *_scaled(matrices[attention + "o_proj"], anatomy.residual),
        _shown(bias * np.float32(anatomy.residual)),
    ), Mlp(
        vectors[its + "post_attention_layernorm.weight"],
        *matrices[mlp + "gate_proj"],
        *matrices[mlp + "up_proj"],
        *_scaled(matrices[mlp + "down_proj"], anatomy.residual),
    )


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
        scores=empty(threads, heads, tokens),
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
                    found[name] = _shown(tensors.get_tensor(name).float().numpy())
    return found


def _scaled(matrix: Rounded, factor: float) -> Rounded:
    whole, scale = matrix
    return whole, _shown(scale * np.float32(factor))


def _shown(array: Array) -> Array:
    """Return an array that can only be read, as those in a file that is mapped: one kind needs one compilation."""
    shown = np.require(array, requirements=["C", "A"]).view()
    shown.setflags(write=False)
    return shown
