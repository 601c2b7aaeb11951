"""A graph at work: OpenVINO reads prompts with it, and a step of our own generates where the network has one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from models import graph, openmp
from models.anatomy import Anatomy
from models.engine import Logits, Reading
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

    Raises:
        ModelError: a step does not find its weights.
    """

    def __init__(self, network: graph.Graph, model: Model, anatomy: Anatomy | None = None) -> None:
        has_step = anatomy is not None and openmp.is_there()
        if anatomy is not None and not has_step:
            logger.warning(
                "%s: numba finds no OpenMP here (libgomp, libomp), so OpenVINO generates, which takes longer",
                model.name,
            )
        self._news = graph.show_new(network) if has_step else 0
        graph.keep_last(network)
        self._compiled = graph.compiled(network, joined=not has_step)
        self._step = None
        if anatomy is not None and has_step:
            threads = self._compiled.get_property("INFERENCE_NUM_THREADS")
            self._step = Step(network, model, anatomy, threads)
        self._request = self._compiled.create_infer_request()

    @property
    def precision(self) -> openvino.Type:
        """What the graph computes in."""
        return self._compiled.get_property("INFERENCE_PRECISION_HINT")

    def begin(self, inputs: Inputs, known: Reading | None = None, length: int = 0) -> Reading:
        """
        Begin to read.

        Args:
            inputs: of the graph, an adapter's matrices.
            known: a reading of this network, whose first tokens are not read again; it stays as it is.
            length: how many these are.
        """
        if self._step is not None:
            return _Stepping(self, known.cache.beginning(length) if isinstance(known, _Stepping) else Cache())
        reading = _Requesting(self._compiled.create_infer_request(), inputs)
        if isinstance(known, _Requesting):
            reading.take(known, length)
        return reading

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
        scores = _scores(self._request, ids, cache.length)
        news = [self._request.get_tensor(f"{graph.NEW}{number}") for number in range(self._news)]
        cache.append([new.data.view(np.uint16) for new in news])
        return scores


class _Stepping:
    """A cache, which the network's one request and its step fill in turns."""

    def __init__(self, network: OpenVinoNetwork, cache: Cache) -> None:
        self._network, self.cache = network, cache

    def read(self, ids: Sequence[int]) -> Logits:
        return self._network.read(ids, self.cache)


class _Requesting:
    """A request of its own, whose state holds the keys and values of what it has read."""

    def __init__(self, request: openvino.InferRequest, inputs: Inputs) -> None:
        self._request = request
        for name, tensor in inputs.items():
            self._request.set_tensor(name, tensor)
        self._length = 0

    def read(self, ids: Sequence[int]) -> Logits:
        scores = _scores(self._request, ids, self._length)
        self._length += len(ids)
        return scores

    def take(self, known: _Requesting, length: int) -> None:
        """Begin with the first tokens of another reading."""
        for theirs, mine in zip(known._request.query_state(), self._request.query_state(), strict=True):
            mine.state = openvino.Tensor(np.ascontiguousarray(theirs.state.data[:, :, :length]))
        self._length = length


def _scores(request: openvino.InferRequest, ids: Sequence[int], at: int) -> Logits:
    positions = np.arange(at, at + len(ids), dtype=np.int64)
    request.infer({"input_ids": np.array([ids], np.int64), "position_ids": positions[None]})
    scores: Logits = request.get_tensor(graph.LOGITS).data[0, -1].copy()
    return scores
