"""What bounds any engine on this machine: products of large matrices, and copying memory."""

from __future__ import annotations

import time
from collections.abc import Callable

ROWS, WIDTH = 1024, 2048
COPIED = 2**26
TRIES = 5


def limits() -> dict[str, float]:
    """Return 10^9 float32 and int8 operations per second, and 10^9 bytes per second read and written."""
    import torch

    left, right = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, WIDTH)
    operations = 2 * ROWS * WIDTH * WIDTH
    float32 = operations / _fastest(lambda: torch.mm(left, right))
    whole = _int8_product()
    block, target = torch.ones(COPIED), torch.empty(COPIED)
    bandwidth = 2 * 4 * COPIED / _fastest(lambda: target.copy_(block))
    return {
        "float32_gflops": float32 / 1e9,
        "int8_gops": operations / _fastest(whole) / 1e9,
        "memory_gb_per_s": bandwidth / 1e9,
    }


def _int8_product() -> Callable[[], object]:
    """Return a product whose inputs are rounded to 8 bits, by torch's int8 kernels for this processor."""
    import torch

    layer = torch.ao.nn.quantized.dynamic.Linear(WIDTH, WIDTH)  # type: ignore[no-untyped-call]
    rows = torch.randn(ROWS, WIDTH)
    return lambda: layer(rows)


def _fastest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
