"""Markdown tables of what the benchmarks measured: medians, spreads, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
"""What a benchmark printed."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: Sequence[float]) -> str:
    """Return the median of some figures, with the least and the greatest if there are several."""
    middle = _short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def answers(report: Report) -> str:
    """Return the systems: what each read and found, its times with quartiles, and times ours."""
    head = (
        *("", "prompt tokens", "evidence found", "first token, s", "× ours", "last token, s", "× ours"),
        *("processor, s", "× ours", "MiB"),
    )
    rows = []
    for name, told in report["systems"].items():
        times = [
            cell
            for key in ("first_token_s", "total_s", "processor_s")
            for cell in (_quartiles(told[key]), f"{told[key]['ratio']:.2f}")
        ]
        found = f"{told['with_evidence']} of {report['questions']}"
        rows.append((name, f"{told['prompt_tokens']:.0f}", found, *times, f"{told['peak_mib']:.0f}"))
    other = [
        f"{name}: {'; '.join(told['differences'])}." for name, told in report["systems"].items() if told["differences"]
    ]
    return table(head, rows) + ("\nNot the same work: " + " ".join(other) + "\n" if other else "")


def _quartiles(told: Report) -> str:
    low, high = told["quartiles"]
    return f"{told['median']:.2f} ({low:.2f} to {high:.2f})"


def engines(report: Report) -> str:
    """Return the engines with the spread over the rounds, and what bounds them."""
    keys = (
        *("first_token_s", "prompt_tokens_per_s", "decoded_per_s", "total_s", "follow_up_first_token_s"),
        *("first_processor_s", "processor_s"),
    )
    head = (
        *("", "first token, s", "prompt tokens/s", "decoded/s", "whole answer, s", "first token of a follow-up, s"),
        *("processor to the first token, s", "to the last, s"),
    )
    runs = {name: told for name, told in report["rounds"].items() if name != "limits"}
    rows = [(name, *(spread([run[key] for run in told]) for key in keys)) for name, told in runs.items()]
    bounds = report["rounds"]["limits"]
    limits = [(key, spread([run[key] for run in bounds])) for key in bounds[0]]
    return table(head, rows) + "\n" + table(("limit", ""), limits)


def figures(report: Report) -> str:
    """Return the plain figures of any report, one a row."""
    return table(("", ""), _flat(report))


def _flat(report: Report, before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in report.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}, ")
        elif isinstance(value, bool):
            rows.append((name, str(value).lower()))
        elif isinstance(value, int | float):
            rows.append((name, _short(value)))
        elif isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
            rows.append((name, spread(value)))
    return rows


WRITERS: dict[str, Callable[[Report], str]] = {"answers": answers, "engines": engines}
"""Benchmarks with a table of their own; :func:`figures` serves the others."""
