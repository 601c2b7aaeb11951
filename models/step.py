"""
Generating without OpenVINO: a single token's way through a graph's own weights, by :mod:`models.kernels`.

It takes two thirds of OpenVINO's time for one token, but a prompt has hundreds, which OpenVINO reads together; so that
reads prompts, and hands over their keys and values. Networks of the families in :mod:`models.anatomy` have a step, and
an export says so only after it was compared with the graph.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numba
import numpy as np
import numpy.typing as npt

from models import graph, kernels, layers
from models.anatomy import Anatomy
from models.engine import Logits
from models.layers import Bits
from models.pace import Pace
from models.store import Model

TRIES = 3
"""How often the time of a token by one thread is taken to begin with."""

ROOM = 256
"""Tokens for which a cache has room ahead, so that a token does not copy all those before it."""


class Cache:
    """
    Keys and values of what has been read.

    Attributes:
        length: how many tokens that is.
        arrays: bf16 as bits, shape ``(heads, room, size)``: keys of the first layer, its values, keys of the second ...
    """

    def __init__(self) -> None:
        self.length = 0
        self.arrays: list[Bits] = []

    def append(self, new: Sequence[Bits]) -> None:
        """Add keys and values of tokens, in the arrays' order, of shape ``(1, heads, tokens, size)`` each."""
        count = new[0].shape[2]
        self.arrays = self.arrays or [np.empty((each.shape[1], 0, each.shape[3]), np.uint16) for each in new]
        self.make_room(count)
        for kept, more in zip(self.arrays, new, strict=True):
            kept[:, self.length : self.length + count] = more[0]
        self.length += count

    def make_room(self, count: int) -> None:
        """Have room for so many tokens more."""
        if self.length + count > self.arrays[0].shape[1]:
            self.arrays = [self._longer(each, count + ROOM) for each in self.arrays]

    def beginning(self, length: int) -> Cache:
        """Return a copy of the first tokens."""
        begun = Cache()
        if length:
            begun.append([each[None, :, :length] for each in self.arrays])
        return begun

    def all(self) -> Iterator[Bits]:
        """Yield what the arrays hold, shape ``(1, heads, tokens, size)`` each."""
        for each in self.arrays:
            yield np.ascontiguousarray(each[None, :, : self.length])

    def _longer(self, array: Bits, more: int) -> Bits:
        heads, _, size = array.shape
        longer = np.empty((heads, self.length + more, size), np.uint16)
        longer[:, : self.length] = array[:, : self.length]
        return longer


class Step:
    """
    A network's weights and its anatomy, through which a token passes.

    Args:
        network: a graph with rounded weights, which are not copied.
        model: which it was made from.
        its: what the network does between its weights.
        threads: how many compute.

    Raises:
        ModelError: some of its weights are missing, or are not rounded.
    """

    def __init__(self, network: graph.Graph, model: Model, its: Anatomy, threads: int) -> None:
        self._network = network  # in whose file the weights lie
        self._its, self._weights = its, layers.weights(network, model, its)
        self._threads = max(1, min(threads, numba.config.NUMBA_NUM_THREADS))
        self._room = self._room_for(ROOM)
        self._frequencies = np.array(its.frequencies)
        ones, zeros = np.ones_like(self._frequencies), np.zeros_like(self._frequencies)
        self._straight = _turn(ones, zeros, its.attention)
        self._try(1)  # compiles the kernels, so that the first answer does not wait for it
        self._pace = Pace(self._threads, min(self._try(1) for _ in range(TRIES)))

    def read(self, token: int, cache: Cache) -> Logits:
        """Read a token behind what a cache holds, which is something; return the scores of what comes next."""
        started = time.perf_counter()
        logits = self._read(token, cache, self._pace.threads, started + self._pace.alone)
        self._pace.took(time.perf_counter() - started)
        return logits

    def _read(self, token: int, cache: Cache, threads: int, until: float = math.inf) -> Logits:
        """Read a token with some threads; with one from when it should be done."""
        cache.make_room(1)
        if cache.length >= self._room.scores.shape[-1]:
            self._room = self._room_for(cache.length + ROOM)
        its, weights, room, epsilon = self._its, self._weights, self._room, np.float32(self._its.epsilon)
        embeddings, scale = weights.embeddings
        state = embeddings[token] * scale[token]
        angles = cache.length * self._frequencies
        turn = _turn(np.cos(angles) * its.rotary_scale, np.sin(angles) * its.rotary_scale, its.attention)
        numba.set_num_threads(threads)  # holds for the calling thread
        for number, (attention, mlp) in enumerate(weights.layers):
            if time.perf_counter() > until:
                numba.set_num_threads(1)
            keys, values = cache.arrays[2 * number : 2 * number + 2]
            its_turn = self._straight if number in its.straight else turn
            kernels.attention(state, attention, keys, values, cache.length, its_turn, epsilon, room)
            kernels.mlp(state, mlp, epsilon, room)
        logits = np.empty(len(weights.head[0]), np.float32)
        kernels.logits(state, weights.norm, epsilon, *weights.head, room.normed, logits)
        cache.length += 1
        return logits

    def _try(self, threads: int) -> float:
        """Return how many seconds a token takes behind another one."""
        size = self._its.head_size
        zeros = np.zeros((1, len(self._weights.layers[0][0].key) // size, 1, size), np.uint16)
        cache = Cache()
        cache.append([zeros] * (2 * len(self._weights.layers)))
        started = time.perf_counter()
        self._read(0, cache, threads)
        return time.perf_counter() - started

    def _room_for(self, tokens: int) -> layers.Room:
        return layers.room(*self._weights.layers[0], self._its.head_size, tokens, self._threads)


def _turn(cosines: npt.NDArray[np.float64], sines: npt.NDArray[np.float64], scale: float) -> layers.Turn:
    return layers.Turn(cosines.astype(np.float32), sines.astype(np.float32), np.float32(scale))
