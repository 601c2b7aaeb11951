"""
OpenVINO without its telemetry and its hand in logging, and the only place that imports it.

Since 2024 the mere import of ``openvino`` sends an event to Google Analytics unless a file in the home directory
forbids it (read in ``openvino/tools/ovc/__init__.py`` of 2026.4). Without the package ``openvino_telemetry`` it takes a
stub of its own that sends nothing; so that package is made unimportable first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # what makes an import of it fail

if TYPE_CHECKING:
    import openvino
    from openvino import opset13 as ops
    from torch import nn
else:
    openvino = importlib.import_module("openvino")
    ops = importlib.import_module("openvino.opset13")

_transformations = importlib.import_module("openvino._offline_transformations")
make_stateful = _transformations.apply_make_stateful_transformation


def traced(module: nn.Module, example: Mapping[str, object]) -> openvino.Model:
    """
    Return a torch module as a graph.

    ``openvino.convert_model`` does the same in 2026.4, but sets the root logger's level meanwhile, and its handlers to
    what they were afterwards: what other threads log is lost.

    Args:
        module: its ``forward`` takes what the example gives, by name.
        example: tensors, or lists or dicts of them.
    """
    decoders = importlib.import_module("openvino.frontend.pytorch.ts_decoder")  # imports torch
    decoder = decoders.TorchScriptPythonDecoder(module, example_input=dict(example), shared_memory=True)
    front_end = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
    graph = front_end.convert(front_end.load(decoder))
    _transformations.apply_moc_transformations(graph, cf=False, smart_reshape=True)
    return graph


__all__ = ["make_stateful", "openvino", "ops", "traced"]
