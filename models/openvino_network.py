"""A graph at work: OpenVINO reads prompts with it, and a step of our own generates where the network has one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from models import graph, openmp
from models.anatomy import Anatomy
from models.base import ModelError
from models.engine import Logits
from models.quiet_openvino import openvino
from models.step import Cache, Step
from models.store import Model

logger = logging.getLogger(__name__)

Inputs = dict[str, openvino.Tensor]


class OpenVinoNetwork:
    """
    A graph, compiled for this CPU; one reading at a time reads.

    Args:
        network: the graph; it belongs to the network from now on.
        model: which it was made from.
        anatomy: what it does between its weights, for a network whose tokens a step generates; None where the graph
            does that, too.
        joined: whether products are joined where the graph generates; a token is sooner there, and memory is taken.

    Raises:
        ModelError: a step does not find its weights, or they do not fit.
    """

    def __init__(
        self, network: graph.Graph, model: Model, anatomy: Anatomy | None = None, *, joined: bool = True
    ) -> None:
        its = anatomy if openmp.is_there() else None
        if anatomy is not None and its is None:
            logger.warning(
                "%s: numba finds no OpenMP here (libgomp, libomp), so OpenVINO generates, which takes longer",
                model.name,
            )
        self._news = graph.show_new(network) if its else 0
        graph.keep_last(network)
        self._compiled = graph.compiled(network, joined=joined and its is None)
        self._step = None
        if its is not None:
            shown = [self._compiled.output(f"{graph.NEW}{number}").get_element_type() for number in range(self._news)]
            if set(shown) != {openvino.Type.bf16}:
                raise ModelError(f"OpenVINO tells keys and values of {model.name!r} as {shown[0]}, not as bf16.")
            threads = self._compiled.get_property("INFERENCE_NUM_THREADS")
            self._step = Step(network, model, its, threads)
        self._request = self._compiled.create_infer_request()

    @property
    def precision(self) -> openvino.Type:
        """What the graph computes in."""
        return self._compiled.get_property("INFERENCE_PRECISION_HINT")

    @property
    def has_step(self) -> bool:
        """Whether a step generates."""
        return self._step is not None

    def begin(self, inputs: Inputs) -> OpenVinoReading:
        """
        Begin to read.

        Args:
            inputs: of the graph, an adapter's matrices.
        """
        return SteppedReading(self, Cache()) if self.has_step else GraphReading(self._compiled, inputs)

    def read(self, ids: Sequence[int], cache: Cache) -> Logits:
        """Read tokens behind those of a cache, which gets them; return the scores of what comes next."""
        if len(ids) == 1 and cache.length and self._step is not None:
            return self._step.read(ids[0], cache)
        self._request.reset_state()
        if cache.length:
            states = {graph.state_number(state.name): state for state in self._request.query_state()}
            for number, bits in enumerate(cache.all()):  # numpy's float16 stands for any two bytes here
                whole = openvino.Tensor(bits.view(np.float16), openvino.Shape(bits.shape), openvino.Type.bf16)
                states[number].state = whole
        found = scores(self._request, ids, cache.length)
        news = [self._request.get_tensor(f"{graph.NEW}{number}") for number in range(self._news)]
        cache.append([new.data.view(np.uint16) for new in news])
        last: Logits = found[-1]
        return last


class SteppedReading:
    """A cache, which the network's one request and its step fill in turns."""

    def __init__(self, network: OpenVinoNetwork, cache: Cache) -> None:
        self._network, self._cache = network, cache

    def read(self, ids: Sequence[int]) -> Logits:
        """Read on; see :class:`models.engine.Reading`."""
        return self._network.read(ids, self._cache)

    def beginning(self, length: int) -> SteppedReading:
        """Return a reading of the same network that has read the first tokens."""
        return SteppedReading(self._network, self._cache.beginning(length))


class GraphReading:
    """A request of its own, whose state holds the keys and values of what it has read."""

    def __init__(self, network: openvino.CompiledModel, inputs: Inputs) -> None:
        self._network, self._inputs, self._length = network, inputs, 0
        self._request = network.create_infer_request()
        for name, tensor in inputs.items():
            self._request.set_tensor(name, tensor)

    def read(self, ids: Sequence[int]) -> Logits:
        """Read on; see :class:`models.engine.Reading`."""
        found = scores(self._request, ids, self._length)
        self._length += len(ids)
        last: Logits = found[-1]
        return last

    def beginning(self, length: int) -> GraphReading:
        """Return a reading of the same network that has read the first tokens."""
        begun = GraphReading(self._network, self._inputs)
        for mine, its in zip(self._request.query_state(), begun._request.query_state(), strict=True):
            its.state = openvino.Tensor(np.ascontiguousarray(mine.state.data[:, :, :length]))
        begun._length = length
        return begun


OpenVinoReading: TypeAlias = SteppedReading | GraphReading


def scores(request: openvino.InferRequest, ids: Sequence[int], at: int = 0) -> Logits:
    """Let a request read tokens behind so many others; return what it scores, shape ``(tokens or 1, vocabulary)``."""
    positions = np.arange(at, at + len(ids), dtype=np.int64)
    request.infer({"input_ids": np.array([ids], np.int64), "position_ids": positions[None]})
    found: Logits = request.get_tensor(graph.LOGITS).data[0].copy()
    return found
