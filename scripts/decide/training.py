"""
Adapters trained for a decision, in a process of their own, exactly as ``python -m finetune.train`` does it.

An adapter is named by the hash of what it is made of, so that it is trained once; an interrupted training goes on from
its last checkpoint.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from finetune import checkpoints
from models.adapter_store import DIRECTORY_VARIABLE, UNFINISHED
from models.adapters import Adapter, read
from models.base import InputError, ModelError
from models.command import EXIT_INTERRUPTED
from models.progress import ProgressFile
from models.prompt import PROMPT_FORMAT
from models.store import Model
from rag.evaluate.rows import write_rows
from scripts.decide.cache import digest
from scripts.decide.config import DecideConfig
from scripts.decide.costs import Cost, metered

GATE_ROWS = 20
"""Held-out rows that the training's own gate answers: the test questions decide here, not they."""

BUILT = "built.json"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Trained:
    """
    An adapter of a decision.

    Attributes:
        adapter: where it lies.
        forgetting_nats: how much harder general text became to predict, per token; None where that is not known.
        seconds: what training took; None where it was trained elsewhere.
        energy_j: joules meanwhile; None where it cannot be read.
        config: the file that trains it again; None where it was trained elsewhere.
        now: whether it was trained in this run.
    """

    adapter: Adapter
    forgetting_nats: float | None
    seconds: float | None
    energy_j: float | None
    config: Path | None
    now: bool


def existing(adapter: Adapter, model: Model) -> Trained:
    """
    Take an adapter that is there already.

    Raises:
        ModelError: it was made for another model.
    """
    if adapter.base_weights_hash != model.weights_hash:
        raise ModelError(
            f"the adapter {adapter.name!r} was made for {adapter.base!r} with weights "
            f"{adapter.base_weights_hash[:12]}, but the decision is about {model.name!r} with "
            f"{model.weights_hash[:12]}; name its base, or another adapter."
        )
    before, after = (adapter.scores.get(side, {}).get("general_loss") for side in ("before", "after"))
    forgetting = None if before is None or after is None else after - before
    return Trained(adapter, forgetting, None, None, None, now=False)


def train(
    kind: str,
    rows: Sequence[dict[str, Any]],
    config: DecideConfig,
    model: Model,
    out: Path,
    progress_file: ProgressFile,
) -> Trained:
    """
    Train an adapter, or find that it was trained before.

    Args:
        kind: ``plain`` or ``grounded``.
        rows: the examples.
        config: how it is trained.
        model: the base model.
        out: the decision's folder.
        progress_file: hears how far it has come.

    Raises:
        InputError: the training ended with an error; it is handed on.
        KeyboardInterrupt: it was stopped; the same command goes on.
    """
    settings = _settings(config, model)
    name = f"{kind}-{_made_of(rows, model, settings)[:12]}"
    home = out / "adapters"
    data, file = out / f"{kind}.jsonl", out / f"{kind}.yaml"
    write_rows(data, rows)
    told = {"base": config.base if not Path(config.base).is_dir() else str(Path(config.base).absolute()), "name": name}
    gate = {"rows": GATE_ROWS, "max_tokens": config.answer.max_tokens}
    whole = {**told, "data": {"train": data.name}, **settings, "device": config.device, "gate": gate}
    file.write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    built = home / name / BUILT
    now = not built.is_file()
    if now:
        progress_file.tell(phase="training", adapter=kind)
        going_on = _can_go_on(home / UNFINISHED / name, config.device)
        cost, report = _run(file, home, name, progress_file, going_on=going_on)
        figures = {"seconds": cost.seconds, "energy_j": cost.energy_j, "forgetting_nats": report["forgetting_nats"]}
        built.write_text(json.dumps(figures), encoding="utf-8")
    known = json.loads(built.read_text(encoding="utf-8"))
    return Trained(read(home / name), known["forgetting_nats"], known["seconds"], known["energy_j"], file, now=now)


def _settings(config: DecideConfig, model: Model) -> dict[str, Any]:
    settings = config.training.model_dump(mode="json", exclude_none=True)
    return settings | {"max_length": min(settings["max_length"], model.context_length)}


def _made_of(rows: Sequence[dict[str, Any]], model: Model, settings: dict[str, Any]) -> str:
    """Return the hash of what decides what is learnt; the device and the length of the gate's answers do not."""
    return digest(
        {
            "rows": list(rows),
            "weights": model.weights_hash,
            "settings": settings,
            "gate_rows": GATE_ROWS,
            "prompt_format": PROMPT_FORMAT,
        }
    )


def _can_go_on(unfinished: Path, device: str) -> bool:
    """Return whether a training was interrupted, and on this device."""
    if checkpoints.last(unfinished / "checkpoints") is None:
        return False
    from finetune.run import RUN_FILE  # costs seconds, and few decisions were interrupted

    begun: dict[str, str] = json.loads((unfinished / RUN_FILE).read_text(encoding="utf-8"))
    return begun["device"] == device


def _run(
    file: Path, home: Path, name: str, progress_file: ProgressFile, *, going_on: bool
) -> tuple[Cost, dict[str, Any]]:
    """Run the training command to its end."""
    command = [sys.executable, "-m", "finetune.train", "--config", str(file), "--json"]
    command += ["--progress", str(progress_file.path)] if progress_file.path else []
    command.append("--resume" if going_on else "--overwrite")
    environment = {**os.environ, DIRECTORY_VARIABLE: str(home)}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with metered() as cost:
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=False, env={**environment, "PYTHONPATH": path}
        )
    if ended.returncode == EXIT_INTERRUPTED or ended.returncode < 0:
        raise KeyboardInterrupt
    if ended.returncode:
        raise InputError(
            f"training {name!r} ended with an error, which is shown above; `{' '.join(command[1:-2])}` with "
            f"{DIRECTORY_VARIABLE}={home} repeats it."
        )
    report: dict[str, Any] = json.loads(ended.stdout)
    return cost, report
