"""What answers cost while they are made: memory and energy, read from the system where it tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of processors (RAPL); since CVE-2020-8694 often to root only."""

PROCESS = Path("/proc/self")
RESET_PEAK = "5"
"""Written to ``clear_refs``, it makes the kernel count the peak of memory anew (proc(5))."""

J_PER_KWH = 3_600_000


@dataclass(slots=True)
class Cost:
    """
    What a piece of work took.

    Attributes:
        seconds: wall time.
        energy_j: joules of the processors, everything that ran beside it included; None where it cannot be read.
        peak_mib: most memory of the process, or of the accelerator; None where it cannot be read.
    """

    seconds: float = 0.0
    energy_j: float | None = None
    peak_mib: float | None = None


@contextmanager
def metered(*, on_gpu: bool = False) -> Iterator[Cost]:
    """Measure what is done inside; the figures are there when it has ended."""
    cost = Cost()
    before = _energy()
    _reset_peak(on_gpu=on_gpu)
    started = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - started
    cost.peak_mib = _peak(on_gpu=on_gpu)
    cost.energy_j = _used(before, _energy())


def energy_is_readable() -> bool:
    """Return whether this machine tells how much energy its processors use."""
    return bool(_energy())


def _energy() -> dict[str, tuple[int, int]]:
    """Return the counter of each processor and where it begins anew, in microjoules."""
    found = {}
    for zone in sorted(POWERCAP.glob("intel-rapl:*")) if POWERCAP.is_dir() else []:
        if zone.name.count(":") != 1:  # a part of a processor, which the processor's own counter holds
            continue
        try:
            now, most = ((zone / name).read_text() for name in ("energy_uj", "max_energy_range_uj"))
        except OSError:
            continue
        found[zone.name] = (int(now), int(most))
    return found


def _used(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float | None:
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for zone, (now, most) in after.items():
        grown = now - before[zone][0]
        used += grown if grown >= 0 else grown + most
    return used / 1e6


def _reset_peak(*, on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        return  # no Linux, or not allowed: the peak is then that of the process so far


def _peak(*, on_gpu: bool) -> float | None:
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        status = (PROCESS / "status").read_text()
    except OSError:
        return None
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if kib is None else int(kib) / 1024
