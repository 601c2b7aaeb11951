"""The report of a run, for whoever has to decide whether an adapter is used: one HTML file, and the same as JSON."""

from __future__ import annotations

import base64
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, StrictUndefined
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from finetune.fit import Fitted
from finetune.gate import Verdict
from finetune.setup import Setup
from models.adapters import REPORT, Adapter

TEMPLATE = Path(__file__).with_name("report.html")
DATA = "report.json"
EXAMPLES = 12
SMOOTHING = 0.9
"""Share of the mean so far in the line through the training losses."""

PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")
MEANINGS = {
    "loss": ("loss", "nats per learnt token; lower is better"),
    "general_loss": ("loss on general text", "nats per token of text about other things; a rise is forgetting"),
    "stops": ("ends by itself", "share of answers that end before the limit"),
    "exact_match": ("exact match", "share of answers that are the expected one"),
    "f1": ("F1", "shared words"),
    "json_valid": ("valid JSON", "share of answers that follow the schema"),
    "field_f1": ("field F1", "share of right fields, missing and wrong ones counted"),
    "exact": ("exact", "share of answers whose JSON is wholly right"),
    "matches": ("matches the pattern", "share of answers"),
    "executes": ("executes", "share of answers that are queries which run"),
    "execution_match": ("execution accuracy", "share of queries that return the expected rows"),
    "refused": ("refused", "share of questions without an answer in the passages that are declined"),
    "answered": ("answered", "share of questions with an answer in the passages that are not declined"),
    "grounded_f1": ("grounded F1", "shared words with the expected answer"),
    "cited": ("cited", "share of answers that cite the passage with the answer, and no other"),
}  # fmt: skip
LOWER_IS_BETTER = {"loss", "general_loss"}


def facts(setup: Setup, adapter: Adapter, verdict: Verdict, fitted: Fitted, seconds: float) -> dict[str, Any]:
    """Return everything that a report says, as what JSON can hold."""
    data = setup.data
    return {
        "name": setup.config.name,
        "base": setup.model.name,
        "gate": {"passed": verdict.passed, "reasons": list(verdict.reasons)},
        "primary": setup.score.primary if setup.score else "loss",
        "scores": verdict.scores,
        "intervals": verdict.intervals,
        "forgetting_nats": verdict.forgetting_nats,
        "history": fitted.history,
        "data": {
            "train": len(data.train),
            "held_out": len(data.held_out),
            "shortened": sum(row.left_out > 0 for row in data.train),
            "skipped": [str(row) for row in data.bad],
            "repeated": sum(len(group) - 1 for group in data.duplicates),
            "leaked": len(data.leaks),
            "sha256": data.data_sha256,
        },
        "run": {
            "tokens": fitted.tokens,
            "training_s": round(fitted.seconds, 1),
            "tokens_per_s": round(fitted.tokens / max(fitted.seconds, 1e-9), 1),
            "whole_run_s": round(seconds, 1),
            "peak_memory_mib": round(fitted.peak_mib),
            "device": str(setup.device),
        },
        "rows": [
            {"place": example.place, "asked": example.question, "expected": example.answer, "before": old, "after": new}
            for example, old, new in verdict.rows
        ],
        "recipe": dict(adapter.recipe),
        "adapter": {**asdict(adapter), "directory": None, "recipe": None, "scores": None},
        "environment": environment(),
    }


def environment() -> dict[str, str]:
    """Return what the numbers may depend on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": f"{os.cpu_count()}, {torch.get_num_threads()} threads",
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def write(directory: Path, told: Mapping[str, Any]) -> None:
    """Write ``report.html`` and ``report.json`` into a directory; the HTML needs nothing beside itself."""
    (directory / DATA).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        {**told, "recipe": yaml.safe_dump(told["recipe"], sort_keys=False, allow_unicode=True)},
        table=_table(told),
        curves=_curves(told["history"]),
        examples=_examples(told["rows"]),
    )
    (directory / REPORT).write_text(page, encoding="utf-8")


def _table(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    before, after = told["scores"]["before"], told["scores"]["after"]
    names = [told["primary"], *(name for name in after if name != told["primary"])]
    rows = []
    for name in names:
        label, meaning = MEANINGS.get(name, (name, ""))
        change = after[name] - before[name]
        better = change < 0 if name in LOWER_IS_BETTER else change > 0
        bounds = told["intervals"].get(name)
        rows.append(
            {
                "label": label,
                "meaning": meaning,
                "decides": name == told["primary"],
                "before": f"{before[name]:.3f}",
                "after": f"{after[name]:.3f}",
                "difference": f"{change:+.3f}",
                "interval": f"{bounds[0]:+.3f} to {bounds[1]:+.3f}" if bounds else "",
                "verdict": "" if abs(change) < 5e-4 else "better" if better else "worse",
            }
        )
    return rows


def _examples(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Choose answers to show: what the adapter still gets wrong first, then what it gets right."""
    wrong = [row for row in rows if row["after"].strip() != row["expected"].strip()]
    right = [row for row in rows if row["after"].strip() == row["expected"].strip()]
    shown = [*wrong[: EXAMPLES // 2], *right[: EXAMPLES - min(len(wrong), EXAMPLES // 2)]]
    return [{**row, "verdict": "worse" if row in wrong else "better"} for row in shown]


def _curves(history: Sequence[Mapping[str, float]]) -> str:
    """Draw the losses over the steps; return an SVG picture as a data URL."""
    trained = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    held_out = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.plot(*zip(*trained, strict=True), color="#9db7d5", linewidth=0.8, label="training, each step")
    axes.plot(
        [step for step, _ in trained], _smoothed([loss for _, loss in trained]), color="#1f5fa8", label="training"
    )
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color="#c25b12", marker="o", label="held out")
    axes.set(xlabel="step", ylabel="nats per learnt token", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode()


def _smoothed(losses: Sequence[float]) -> list[float]:
    """Return an exponential moving mean without a bias towards 0 at the beginning (arXiv 1412.6980, section 3)."""
    mean, smoothed = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**number))
    return smoothed
