"""
What a single token computes on its way through a network, compiled for this processor by numba.

A generated token reads every weight once, so memory sets its pace, and processors left to themselves fetch rows of some
hundred bytes late. Each product here asks for what it will need 4 KiB later while it multiplies what is there. Weights
are int8 with a scale for each row; keys and values are bf16, held as their bits; what is computed is float32.

Importing this module compiles nothing. What numba has compiled it keeps beside this file, or in the user's cache, until
this file changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numba
import numpy as np
from numba import njit, prange

from models.intrinsics import bits_of, float_of, prefetch
from models.layers import Attention, Bits, Floats, Mlp, Room, Turn, Whole

numba.config.THREADING_LAYER = "omp"  # the others let threads fall asleep between two products

Kernel = TypeVar("Kernel", bound=Callable[..., None])

F = np.float32
AHEAD = 4096
"""Bytes between the weights that are multiplied and those that are asked for."""

LINE = 64
ROWS_AHEAD = 16
"""The same for keys and values, in tokens."""

compiled = njit(fastmath=True, error_model="numpy")
inlined = njit(fastmath=True, error_model="numpy", inline="always")


def shared(function: Kernel) -> Kernel:
    """Compile a function whose loops over ``prange`` are shared among threads."""
    parallel = partial(njit, fastmath=True, error_model="numpy", parallel=True, nogil=True)
    try:
        kernel: Kernel = parallel(cache=True)(function)
    except RuntimeError:  # there is no directory to keep it in: every process compiles it for itself
        kernel = parallel()(function)
    return kernel


@inlined
def _wide(bits: np.uint16) -> np.float32:
    return F(float_of(np.int32(bits) << np.int32(16)))


@inlined
def _narrow(number: np.float32) -> np.uint16:
    """Return the bits of the nearest bf16, the even one of two."""
    bits = bits_of(number)
    return np.uint16((bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16))


@inlined
def _exp(number: np.float32) -> np.float32:
    """
    Return e to a number that is not positive, to 2e-7 of itself; unlike the library's, for many numbers at once.

    The polynomial is 2 to the power of what a whole exponent leaves over, fitted to [0, 1] by least squares (1e-8).
    """
    power = max(number * F(1.4426950408889634), F(-126))
    whole = np.floor(power)
    rest = power - whole
    found = F(2.13739981e-4)
    found = found * rest + F(1.25217374e-3)
    found = found * rest + F(9.67152330e-3)
    found = found * rest + F(5.54861226e-2)
    found = found * rest + F(2.40229410e-1)
    found = found * rest + F(6.93147011e-1)
    found = found * rest + F(1)
    return F(found * float_of((np.int32(whole) + np.int32(127)) << np.int32(23)))


@inlined
def _product(weights: Whole, row: int, vector: Floats) -> np.float32:
    for column in range(0, vector.size, LINE):
        prefetch(weights, row, column + AHEAD)
    total = F(0)
    for column in range(vector.size):
        total += F(weights[row, column]) * vector[column]
    return total


@compiled
def _normed(vector: Floats, weights: Floats, epsilon: np.float32, found: Floats) -> None:
    """RMSNorm."""
    squares = F(0)
    for at in range(vector.size):
        squares += vector[at] * vector[at]
    factor = F(1) / math.sqrt(squares / F(vector.size) + epsilon)
    for at in range(vector.size):
        found[at] = vector[at] * factor * weights[at]


@compiled
def _turned(head: Floats, cosines: Floats, sines: Floats) -> None:
    """Turn a head by its token's position (rotary embedding), each number with the one half a head further on."""
    half = cosines.size
    for at in range(half):
        one, other = head[at], head[at + half]
        head[at] = one * cosines[at] - other * sines[at]
        head[at + half] = other * cosines[at] + one * sines[at]


@compiled
def _attend(
    query: Floats, keys: Bits, values: Bits, first: int, last: int, scores: Floats, found: Floats, sums: Floats
) -> None:
    """Sum up the values of some tokens, weighed by e to their score; tell the highest score and the sum of weights."""
    size = query.size
    whole = first + (last - first) // 4 * 4
    for at in range(first, whole, 4):
        for column in range(0, 4 * size, LINE // 2):
            prefetch(keys, at + ROWS_AHEAD, column)
        one, two, three, four = F(0), F(0), F(0), F(0)
        for column in range(size):
            number = query[column]
            one += number * _wide(keys[at, column])
            two += number * _wide(keys[at + 1, column])
            three += number * _wide(keys[at + 2, column])
            four += number * _wide(keys[at + 3, column])
        scores[at], scores[at + 1], scores[at + 2], scores[at + 3] = one, two, three, four
    for at in range(whole, last):
        one = F(0)
        for column in range(size):
            one += query[column] * _wide(keys[at, column])
        scores[at] = one
    highest = F(-3e38)
    for at in range(first, last):
        highest = max(highest, scores[at])
    total = F(0)
    for at in range(first, last):
        weight = _exp(scores[at] - highest)
        scores[at] = weight
        total += weight
    found[:] = F(0)
    for at in range(first, whole, 4):
        for column in range(0, 4 * size, LINE // 2):
            prefetch(values, at + ROWS_AHEAD, column)
        one, two, three, four = scores[at], scores[at + 1], scores[at + 2], scores[at + 3]
        for column in range(size):
            found[column] += (
                one * _wide(values[at, column])
                + two * _wide(values[at + 1, column])
                + three * _wide(values[at + 2, column])
                + four * _wide(values[at + 3, column])
            )
    for at in range(whole, last):
        for column in range(size):
            found[column] += scores[at] * _wide(values[at, column])
    sums[0], sums[1] = highest, total


@inlined
def _together(parts: Floats, sums: Floats, head: int, found: Floats) -> None:
    """Put the parts of what a head attends to together."""
    highest = sums[0, head, 0]
    for part in range(1, sums.shape[0]):
        highest = max(highest, sums[part, head, 0])
    total = F(0)
    found[:] = F(0)
    for part in range(sums.shape[0]):
        weight = _exp(sums[part, head, 0] - highest)
        total += weight * sums[part, head, 1]
        for at in range(found.size):
            found[at] += weight * parts[part, head, at]
    for at in range(found.size):
        found[at] /= total


@compiled
def _add(vector: Floats, bias: Floats) -> None:
    for at in range(bias.size):
        vector[at] += bias[at]


@compiled
def _finish(
    vectors: Floats, bias: Floats, norm: Floats, size: int, cosines: Floats, sines: Floats, epsilon: np.float32
) -> None:
    """Give the heads of queries or keys their bias, their norm and the turn of their position."""
    _add(vectors, bias)
    for first in range(0, vectors.size, size):
        head = vectors[first : first + size]
        if norm.size:
            _normed(head, norm, epsilon, head)
        _turned(head, cosines, sines)


@shared
def attention(
    state: Floats, its: Attention, keys: Bits, values: Bits, length: int, turn: Turn, epsilon: np.float32, room: Room
) -> None:
    """
    Let a token pass a layer's attention.

    Args:
        state: the token's, shape ``(hidden,)``; changed in place.
        its: weights.
        keys: of the tokens before, shape ``(heads, room, size)``; gets the token's.
        values: likewise.
        length: how many tokens are before it.
        turn: of its position.
        epsilon: of the norms.
        room: for results.
    """
    query, key, value, output = its.query, its.key, its.value, its.output  # a loop of threads takes no tuple apart
    query_scale, key_scale = its.query_scale, its.key_scale
    value_scale, output_scale = its.value_scale, its.output_scale
    normed, queries, new_keys, new_values, attended = room.normed, room.queries, room.keys, room.values, room.attended
    scores, parts, sums = room.scores, room.parts, room.sums
    size, count = keys.shape[2], parts.shape[0]
    heads, groups = query.shape[0] // size, key.shape[0] // size

    _normed(state, its.norm, epsilon, normed)
    for row in prange(query.shape[0] + 2 * key.shape[0]):
        at = row - query.shape[0]
        if at < 0:
            queries[row] = _product(query, row, normed) * query_scale[row]
        elif at < key.shape[0]:
            new_keys[at] = _product(key, at, normed) * key_scale[at]
        else:
            at -= key.shape[0]
            new_values[at] = _product(value, at, normed) * value_scale[at]
    _finish(queries, its.query_bias, its.query_norm, size, turn.cosines, turn.sines, epsilon)
    _finish(new_keys, its.key_bias, its.key_norm, size, turn.cosines, turn.sines, epsilon)
    _add(new_values, its.value_bias)
    for group in range(groups):
        for at in range(size):
            keys[group, length, at] = _narrow(new_keys[group * size + at])
            values[group, length, at] = _narrow(new_values[group * size + at])
    for at in range(queries.size):
        queries[at] *= turn.scale

    for job in prange(groups * count):
        group, part = job // count, job % count
        first, last = (length + 1) * part // count, (length + 1) * (part + 1) // count
        for head in range(group * heads // groups, (group + 1) * heads // groups):
            asked = queries[head * size : (head + 1) * size]
            found, told = parts[part, head], sums[part, head]
            _attend(asked, keys[group], values[group], first, last, scores[head], found, told)
    for head in range(heads):
        _together(parts, sums, head, attended[head * size : (head + 1) * size])
    for row in prange(state.size):
        state[row] += _product(output, row, attended) * output_scale[row]
    _add(state, its.output_bias)


@shared
def mlp(state: Floats, its: Mlp, epsilon: np.float32, room: Room) -> None:
    """Let a token pass a layer's MLP; the arguments are those of :func:`attention`."""
    gate, up, down = its.gate, its.up, its.down
    gate_scale, up_scale, down_scale = its.gate_scale, its.up_scale, its.down_scale
    normed, gated = room.normed, room.gated
    _normed(state, its.norm, epsilon, normed)
    for row in prange(gate.shape[0]):
        opened = _product(gate, row, normed) * gate_scale[row]
        gated[row] = opened / (F(1) + math.exp(-opened)) * (_product(up, row, normed) * up_scale[row])
    for row in prange(state.size):
        state[row] += _product(down, row, gated) * down_scale[row]


@shared
def logits(
    state: Floats, norm: Floats, epsilon: np.float32, weights: Whole, scale: Floats, normed: Floats, found: Floats
) -> None:
    """Compute every token's logit, shape ``(vocabulary,)``, from the state behind the last layer."""
    _normed(state, norm, epsilon, normed)
    for row in prange(weights.shape[0]):
        found[row] = _product(weights, row, normed) * scale[row]
