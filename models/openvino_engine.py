"""
The fast engine on a CPU: OpenVINO on int8 weights, whose tokens a step of our own generates.

Adapters are applied as they are at first, as two more matrices in every linear layer. One that is asked for again and
again is merged into weights of its own in the background, after which it costs nothing more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from safetensors import safe_open

from models import graph
from models.adapters import Adapter
from models.anatomy import Anatomy
from models.base import ModelError
from models.engine import AdapterKey, Reading, adapter_key
from models.low_rank import LowRank, low_rank
from models.openvino_network import GraphReading, Inputs, OpenVinoNetwork, SteppedReading
from models.quiet_openvino import openvino
from models.store import Model

logger = logging.getLogger(__name__)

MERGE_AFTER = 3
"""Requests with an adapter after which it is merged."""

MAX_MERGED = 2
"""Merged adapters at once; each takes as much memory as the model."""

MAX_RESIDENT = 16
"""Adapters at once that are applied as they are; one of rank 16 on 135M takes 20 MB."""

MERGED = "merged"

MOST_UNREAD = {openvino.Type.bf16: 1 / 4, openvino.Type.f32: 1 / 2}
"""
Share of a prompt up to which going on is sooner than beginning anew, by what the graph computes in. Behind tokens that
are known, OpenVINO's attention takes each token for one that is generated: for each pair of tokens six times as long
in bf16, and nearly twice as long in float32.
"""


class OpenVinoEngine:
    """
    A model's int8 graph, compiled for this CPU.

    Args:
        model: where its own weights lie, which merging begins with.
        graph_file: what :mod:`models.export` made of it.
        verify: raises a ModelError for an adapter that does not belong to the model.
        anatomy: what the network does between its weights; None where only the graph can generate.
    """

    def __init__(
        self, model: Model, graph_file: Path, verify: Callable[[Adapter], None], anatomy: Anatomy | None = None
    ) -> None:
        self._model, self._graph_file, self._verify, self._anatomy = model, graph_file, verify, anatomy
        self._base = OpenVinoNetwork(self._read(), model, anatomy)
        self._adaptable: OpenVinoNetwork | None = None
        self._sizes: dict[str, tuple[int, int]] = {}
        self._resident: dict[AdapterKey, Inputs] = {}  # the one used longest ago first, here and in the next
        self._merged: dict[AdapterKey, OpenVinoNetwork] = {}
        self._unmergeable: set[AdapterKey] = set()
        self._used: dict[AdapterKey, int] = {}
        self._merging: threading.Thread | None = None
        self._place = threading.Lock()

    @property
    def name(self) -> str:
        """``openvino``."""
        return "openvino"

    @property
    def places(self) -> int:
        """One: a prompt alone fills all cores."""
        return 1

    def place(self) -> AbstractContextManager[object]:
        """Wait for the place; see :class:`models.engine.Engine`."""
        return self._place

    @property
    def can_go_on(self) -> bool:
        """Always."""
        return True

    def pays(self, known: int, total: int) -> bool:
        """Return whether little enough is unread: OpenVINO's attention reads many tokens fast from nothing only."""
        return total - known <= total * MOST_UNREAD[self._base.precision]

    def key(self, adapter: Adapter | None) -> AdapterKey:
        """Return what tells an adapter from all others, and whether it is merged."""
        key = adapter_key(adapter)
        return (*key, MERGED) if key in self._merged else key

    def begin(
        self, adapter: Adapter | None, known: Reading | None = None, length: int = 0, *, ours: bool = False
    ) -> Reading:
        """Begin to read; see :class:`models.engine.Engine`."""
        network, inputs = (self._base, {}) if adapter is None else self._with(adapter)
        if isinstance(known, SteppedReading | GraphReading):  # in its own network, though it may be merged by now
            return known if ours else known.beginning(length)
        return network.begin(inputs)

    def _with(self, adapter: Adapter) -> tuple[OpenVinoNetwork, Inputs]:
        key = adapter_key(adapter)
        self._used[key] = self._used.get(key, 0) + 1
        if key in self._merged:
            self._merged[key] = self._merged.pop(key)
            return self._merged[key], {}
        inputs = self._inputs(key, adapter)
        if self._used[key] >= MERGE_AFTER and key not in self._unmergeable and not self.is_merging:
            # Not a daemon: a process that ends in the midst of OpenVINO's code is aborted.
            self._merging = threading.Thread(target=self._merge, args=(key, adapter))
            self._merging.start()
        return self._adapted(), inputs

    @property
    def is_merging(self) -> bool:
        """Whether an adapter is being merged in the background."""
        return self._merging is not None and self._merging.is_alive()

    def wait(self) -> None:
        """Wait until nothing is being merged."""
        if self._merging is not None:
            self._merging.join()

    def _read(self) -> graph.Graph:
        return openvino.Core().read_model(self._graph_file)

    def _adapted(self) -> OpenVinoNetwork:
        """Return the graph with places for an adapter, compiled when the first one comes."""
        if self._adaptable is None:
            network = self._read()
            self._sizes = graph.add_lora(network)
            self._adaptable = OpenVinoNetwork(network, self._model, joined=not self._base.has_step)  # soon merged
        return self._adaptable

    def _inputs(self, key: AdapterKey, adapter: Adapter) -> Inputs:
        """Return an adapter's matrices as inputs of the graph; layers that it leaves alone get zeros."""
        if key in self._resident:
            self._resident[key] = self._resident.pop(key)
            return self._resident[key]
        self._verify(adapter)
        matrices = low_rank(adapter)
        self._adapted()
        self._require_fit(adapter, matrices)
        inputs = {}
        for name, (rows, columns) in self._sizes.items():
            nothing = np.zeros((1, columns), np.float32), np.zeros((rows, 1), np.float32)
            for side, values in zip("AB", matrices.get(name, nothing), strict=True):
                inputs[f"{name}.{side}"] = openvino.Tensor(values)
        while len(self._resident) >= MAX_RESIDENT:
            self._resident.pop(next(iter(self._resident)))
        self._resident[key] = inputs
        return inputs

    def _require_fit(self, adapter: Adapter, matrices: LowRank) -> None:
        for name, (down, up) in matrices.items():
            found = (up.shape[0], down.shape[1])
            if self._sizes.get(name) != found or down.shape[0] != up.shape[1]:
                raise ModelError(
                    f"the adapter {adapter.name!r} does not fit: {name} has the shapes {up.shape} and {down.shape} "
                    f"for weights of {self._sizes.get(name, 'no size')}."
                )

    def _merge(self, key: AdapterKey, adapter: Adapter) -> None:
        started = time.perf_counter()
        try:
            network = self._read()
            graph.replace_weights(network, self._changed_weights(low_rank(adapter)))
            merged = OpenVinoNetwork(network, self._model, self._anatomy)
        except (ModelError, RuntimeError, MemoryError, OSError) as error:  # it goes on being applied as it is
            logger.error("adapter %s could not be merged: %s", adapter.name, error)
            self._unmergeable.add(key)
            return
        while len(self._merged) >= MAX_MERGED:
            self._merged.pop(next(iter(self._merged)))
        self._merged[key] = merged
        logger.info("adapter %s merged, %.2f s", adapter.name, time.perf_counter() - started)

    def _changed_weights(self, matrices: LowRank) -> dict[str, graph.Array]:
        """Return the weights of the layers that an adapter changes, from the model's own and not from int8."""
        changed = {}
        for file in sorted(self._model.directory.glob("*.safetensors")):
            with safe_open(file, "pt") as weights:  # numpy knows no bfloat16
                for name in weights.keys():  # noqa: SIM118 - it is no mapping
                    layer = name.removesuffix(".weight")
                    if layer in matrices:
                        down, up = matrices[layer]
                        changed[layer] = weights.get_tensor(name).float().numpy() + up @ down
        return changed
