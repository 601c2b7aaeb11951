"""What a decision says: one object for programs, a page for people, a few lines for the terminal."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from rich.table import Table

from models.base import InputError
from models.prompt import PROMPT_FORMAT
from scripts.decide.costs import energy_is_readable
from scripts.decide.measure import MEASURES, PRIMARY
from scripts.decide.plot import Point, svg
from scripts.decide.results import building, figures
from scripts.decide.run import Decision

TEMPLATE = Path(__file__).with_name("report.html")
REPORT, PAGE = "report.json", "report.html"
EXAMPLES = 12
"""So many questions are shown with the answers of all arms, those first on which arms differ."""

FAILURES = 5
"""So many failures of each cause are shown for each arm."""

LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers")


def as_object(decision: Decision, command: str) -> dict[str, Any]:
    """
    Return a decision as the object that ``--json`` prints and ``report.json`` holds.

    Args:
        decision: what was found out.
        command: what repeats it.
    """
    config, results = decision.config, decision.results
    by_name = {one.arm.name: one for one in results}
    base = by_name.get("base")
    return {
        "name": config.name,
        "prior": {"way": decision.prior.way, "sentence": decision.prior.sentence, "rows": _rows(decision)},
        "recommendation": asdict(decision.recommendation),
        "cannot_conclude": [limit.sentence for limit in decision.limits],
        "questions": len(decision.task.asked),
        "arms": {
            name: figures(one, None if one is base else base, config.margin, config.rates)
            for name, one in by_name.items()
        },
        "pairs": [
            {"first": first, "second": second, **asdict(found), "shown": found.is_shown}
            for (first, second), found in decision.pairs.items()
        ],
        "freshness": _freshness(decision),
        "building": _building(decision),
        "currency": config.rates.currency,
        "energy_is_readable": energy_is_readable(),
        "documents_hold_answers": asdict(decision.built.held) if decision.built.held else None,
        "repeat": _repeat(decision, command),
    }


def _rows(decision: Decision) -> list[dict[str, Any]]:
    return [asdict(row) for row in decision.prior.rows]


def _freshness(decision: Decision) -> dict[str, Any] | None:
    found = decision.freshness
    if found is None:
        return None
    arms = {
        name: {
            "new": found.fresh(name),
            "old": found.stale(name),
            "neither": len(said) - found.fresh(name) - found.stale(name),
            "answers": [asdict(one) for one in said],
        }
        for name, said in found.by_arm.items()
    }
    return {"edits": len(decision.config.changes), "indexing_s": found.indexing_s, "arms": arms}


def _building(decision: Decision) -> dict[str, Any]:
    """Return what was spent once, by what it was spent on."""
    built, rates = decision.built, decision.config.rates
    spent: dict[str, Any] = {}
    if built.indexed is not None:
        indexed = built.indexed
        spent["indexing"] = {
            "documents": indexed.documents,
            "problems": list(indexed.problems),
            **building(indexed.seconds, indexed.energy_j, rates),
        }
    for kind, trained in built.trained.items():
        spent[f"training, {kind}"] = {
            "adapter": trained.adapter.name,
            **building(trained.seconds, trained.energy_j, rates),
        }
    return spent


def _repeat(decision: Decision, command: str) -> dict[str, Any]:
    config = decision.config
    files = {name: getattr(config, name) for name in ("test", "train") if getattr(config, name) is not None}
    return {
        "command": command,
        "settings": config.model_dump(mode="json", by_alias=True, exclude_none=True),
        "sha256": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
        "model": decision.model.name,
        "weights": decision.model.weights_hash,
        "engine": decision.engine,
        "prompt_format": PROMPT_FORMAT,
        "training": [f"python -m finetune.train --config {one.config}" for one in _trained_here(decision)],
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _trained_here(decision: Decision) -> list[Any]:
    return [one for one in decision.built.trained.values() if one.config is not None]


def write(decision: Decision, told: Mapping[str, Any], out: Path) -> None:
    """
    Write ``report.json`` and ``report.html``.

    Args:
        decision: what was found out.
        told: it as :func:`as_object` returns it.
        out: the decision's folder.

    Raises:
        InputError: they cannot be written.
    """
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        told=told,
        measures=[name for name in MEASURES if any(name in arm["measures"] for arm in told["arms"].values())],
        meanings=MEASURES,
        primary=PRIMARY,
        plot=Markup(svg(_points(told))),  # noqa: S704 - made of numbers and escaped names
        examples=_examples(decision),
        failures=_failures(decision),
        settings=yaml.safe_dump(told["repeat"]["settings"], sort_keys=False, allow_unicode=True),
        cell=cell,
        number=number,
        difference=difference_cell,
    )
    try:
        (out / REPORT).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (out / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); name another folder with --out.") from error


def _points(told: Mapping[str, Any]) -> list[Point]:
    points = []
    for name, arm in told["arms"].items():
        if PRIMARY in arm["measures"]:
            right, seconds = arm["measures"][PRIMARY], arm["speed"]["total_s_p50"]
            low, high = right["interval"]
            chosen = name == told["recommendation"]["advised"]
            points.append(Point(arm["label"], seconds, right["mean"], low, high, chosen))
    return points


def _examples(decision: Decision) -> list[dict[str, Any]]:
    """Return questions with the answers of all arms, those first on which the arms differ most."""
    rows = []
    for place, asked in enumerate(decision.task.asked):
        answers = [(one.arm.label, one.scored[place]) for one in decision.results]
        rights = [scored.scores.get(PRIMARY, 0.0) for _, scored in answers]
        rows.append((max(rights, default=0) - min(rights, default=0), {"asked": asked, "answers": answers}))
    rows.sort(key=lambda row: -row[0])
    return [row for _, row in rows[:EXAMPLES]]


def _failures(decision: Decision) -> list[dict[str, Any]]:
    """Return some failures of each cause, arm by arm."""
    found = []
    for one in decision.results:
        for cause, count in one.causes.items():
            some = [scored for scored in one.scored if scored.cause == cause][:FAILURES]
            found.append({"label": one.arm.label, "cause": cause, "count": count, "some": some})
    return found


def cell(arm: Mapping[str, Any], name: str) -> str:
    """Write a measure with its interval."""
    if name not in arm["measures"]:
        return ""
    low, high = arm["measures"][name]["interval"]
    return f"{arm['measures'][name]['mean']:.3f} ({low:.2f} to {high:.2f})"


def difference_cell(arm: Mapping[str, Any], name: str) -> str:
    """Write how much a measure is above the base, with the interval of the difference."""
    found = arm["measures"].get(name, {}).get("less_base")
    if not found:
        return ""
    low, high = found["interval"]
    return f"{found['value']:+.3f} ({low:+.2f} to {high:+.2f})"


def number(value: float | None, digits: int = 2) -> str:
    """Write a number, or that it is not known."""
    return "not known" if value is None else f"{value:,.{digits}f}"


def summary(told: Mapping[str, Any]) -> Table:
    """Lay the arms out for the terminal."""
    table = Table("", *told["arms"], title_justify="left")
    for name in MEASURES:
        if any(name in arm["measures"] for arm in told["arms"].values()):
            table.add_row(name, *[cell(arm, name) for arm in told["arms"].values()])
    for name in ("total_s_p50", "total_s_p95", "first_token_s_p50", "peak_memory_mib"):
        table.add_row(name, *[number(arm["speed"][name]) for arm in told["arms"].values()])
    return table


def command_line(config: Path, out: Path | None, limit: int | None) -> str:
    """Return the command that repeats a decision."""
    parts = ["python", "-m", "scripts.decide", "--config", str(config)]
    parts += ["--out", str(out)] if out else []
    parts += ["--limit", str(limit)] if limit else []
    return shlex.join(parts)
