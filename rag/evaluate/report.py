"""What a measurement and a comparison say: one object for programs, a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from rag.evaluate.compare import Comparison
from rag.evaluate.measure import Measured
from rag.evaluate.retrieval import NAMES
from rag.evaluate.statistics import FEW, interval
from rag.report import Report


def measured_object(measured: Measured) -> dict[str, Any]:
    """Return a measurement as the object that the command prints."""
    by_name = {name: [result.scores[name] for result in measured.results] for name in NAMES}
    queries = len(measured.results)
    few = [f"{queries} queries are fewer than {FEW}: take the intervals as a rough guide."] if queries < FEW else []
    milliseconds = [1000 * result.seconds for result in measured.results]
    return {
        **{name: float(np.mean(values)) for name, values in by_name.items()},
        "queries": queries,
        "documents": measured.documents,
        "chunks": measured.chunks,
        "intervals": {name: list(interval(values)) for name, values in by_name.items()},
        "latency_ms": {"p50": float(np.percentile(milliseconds, 50)), "p95": float(np.percentile(milliseconds, 95))},
        "settings": measured.settings,
        "ingest": _ingest_object(measured.indexed),
        "warnings": measured.warnings + few,
    }


def measured_table(found: Mapping[str, Any]) -> Table:
    """Lay out what :func:`measured_object` returns."""
    table = Table("measure", "value", "95 % interval", title_justify="left")
    for name in NAMES:
        low, high = found["intervals"][name]
        table.add_row(name, f"{found[name]:.3f}", f"{low:.3f} to {high:.3f}")
    return table


def compared_object(compared: Comparison) -> dict[str, Any]:
    """Return a comparison as the object that the command prints."""
    counted = [(compared.only_first, "first"), (compared.only_second, "second")]
    return {
        "queries": compared.queries,
        "measures": {name: {**asdict(one), "shown": one.is_shown} for name, one in compared.differences.items()},
        "conclusion": compared.conclusion(),
        "warnings": [
            f"{number} queries stand in the {which} file only and are left out." for number, which in counted if number
        ],
    }


def compared_table(compared: Comparison) -> Table:
    """Lay out a comparison; what is more than luck stands out."""
    table = Table("measure", "first", "second", "difference", "95 % interval", "p", title_justify="left")
    for name, one in compared.differences.items():
        interval_text = f"{one.low:+.3f} to {one.high:+.3f}"
        cells = (f"{one.first:.3f}", f"{one.second:.3f}", f"{one.value:+.3f}", interval_text, f"{one.p:.4f}")
        table.add_row(name, *cells, style="bold" if one.is_shown else None)
    return table


def _ingest_object(indexed: Report | None) -> dict[str, Any] | None:
    if indexed is None:
        return None
    new = len(indexed.documents)
    return {
        "documents": new,
        "unchanged": indexed.unchanged,
        "errors": [asdict(problem) for problem in indexed.errors],
        "chunks": indexed.chunks,
        "seconds": indexed.seconds,
        "documents_per_s": new / indexed.seconds if new else None,
        "chunks_per_s": indexed.chunks / indexed.seconds if new else None,
    }
