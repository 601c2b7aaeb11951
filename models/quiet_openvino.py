"""
OpenVINO without its telemetry, and the only place that imports it.

Since 2024 the mere import of ``openvino`` sends an event to Google Analytics unless a file in the home directory
forbids it (read in ``openvino/tools/ovc/__init__.py`` of 2026.4). Without the package ``openvino_telemetry`` it takes a
stub of its own that sends nothing; so that package is made unimportable first.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # what makes an import of it fail

if TYPE_CHECKING:
    import openvino
    from openvino import opset13 as ops
else:
    openvino = importlib.import_module("openvino")
    ops = importlib.import_module("openvino.opset13")

make_stateful = importlib.import_module("openvino._offline_transformations").apply_make_stateful_transformation

__all__ = ["make_stateful", "openvino", "ops"]
