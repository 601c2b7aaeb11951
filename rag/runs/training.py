"""A training: what a browser may choose becomes a settings file for ``finetune.train``, first to plan, then to run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from models import adapter_store
from models.base import ConfigError, HomegroundError, InputError
from rag.runs import program
from rag.runs.folder import RunFolder
from rag.runs.launcher import Outcome, Stopped
from rag.store.records import StoredRun

MODULE = "finetune.train"
TRAIN, EVAL, SCHEMA = "train.jsonl", "eval.jsonl", "schema.json"
"""What uploaded files are called in a run's folder."""

_PACKAGES = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=1)
def recipes() -> tuple[Mapping[str, Any], ...]:
    """
    Return the recipes that a run can be started from: ``name``, ``about``, ``settings``.

    Raises:
        HomegroundError: the training program is not installed here.
    """
    command = [sys.executable, "-m", MODULE, "--recipes"]
    done = subprocess.run(  # noqa: S603 - the module is one of ours
        command, capture_output=True, text=True, check=False, cwd=_PACKAGES
    )
    if done.returncode:
        raise HomegroundError(f"`{' '.join(command[1:])}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return tuple(json.loads(done.stdout)["recipes"])


def require_name(name: str, others: list[StoredRun]) -> None:
    """
    Make sure that an adapter can be called that.

    Args:
        name: the name.
        others: the trainings that are known.

    Raises:
        ConfigError: it is taken.
    """
    if name in (adapter_store.NO_ADAPTER, adapter_store.USUAL_ADAPTER):
        raise ConfigError(f"name: {name!r} means no adapter, or the usual one; choose another name.")
    if name in {adapter.name for adapter in adapter_store.installed()}:
        raise ConfigError(f"name: there is an adapter {name!r} already; choose another name.")
    if any(run.title == name and run.state != "done" for run in others):
        raise ConfigError(f"name: there is a training of {name!r} already; go on with it or delete it.")


def settings_for(choice: Mapping[str, Any], base: str, files: RunFolder) -> dict[str, Any]:
    """
    Return the settings file of a training.

    Args:
        choice: ``name``, ``recipe``, and ``steps``, ``score``, ``licence`` where they were chosen.
        base: the model that this server answers with.
        files: the run's folder, which holds what was uploaded.

    Raises:
        InputError: there is no such recipe, or a score's file is missing.
    """
    found = next((one for one in recipes() if one["name"] == choice["recipe"]), None)
    if found is None:
        raise InputError(
            f"there is no recipe {choice['recipe']!r}; there are {', '.join(r['name'] for r in recipes())}."
        )
    settings: dict[str, Any] = {"base": base, "name": choice["name"], **found["settings"]}
    settings["data"] = {"train": TRAIN} | ({"eval": EVAL} if (files.path / EVAL).is_file() else {})
    if choice["steps"] is not None:
        settings.pop("epochs", None)
        settings["steps"] = choice["steps"]
    has_schema = (files.path / SCHEMA).is_file()
    if has_schema != (choice["score"] == "json_schema"):
        raise InputError("a JSON Schema is uploaded exactly where answers are scored by one.")
    if choice["score"] is not None:
        settings["gate"] = {"score": choice["score"]} | ({"schema": SCHEMA} if has_schema else {})
    if choice["licence"]:
        settings["licence"] = choice["licence"]
    return settings


def check(folder: RunFolder, choice: Mapping[str, Any], stopping: threading.Event) -> Outcome:
    """
    Plan a training: read the rows, and time a step.

    Raises:
        InputError: it cannot be trained; the program's own words, bad rows with their lines.
        Stopped: it was ended.
    """
    return Outcome("planned", {"plan": _program(folder, choice, ["--dry-run"], stopping)})


def train(folder: RunFolder, choice: Mapping[str, Any], plan: Mapping[str, Any], stopping: threading.Event) -> Outcome:
    """
    Train, from the last checkpoint where there is one; see :func:`check`.

    Args:
        folder: the run's.
        choice: what was asked for.
        plan: what was planned.
        stopping: ends it.
    """
    points, after = folder.points(0)
    saved = False
    while points:
        saved = saved or any("checkpoint" in point for point in points)
        points, after = folder.points(after)
    trained = _program(folder, choice, ["--progress", str(folder.progress), *(["--resume"] if saved else [])], stopping)
    return Outcome("done", {"plan": plan, "trained": {**trained, "directory": None}})


def _program(
    folder: RunFolder, choice: Mapping[str, Any], more: list[str], stopping: threading.Event
) -> dict[str, Any]:
    skip = ["--skip-bad-rows"] if choice["skip_bad_rows"] else []
    code = program.run(MODULE, ["--config", str(folder.config), "--json", *skip, *more], folder, stopping)
    if code is None:
        raise Stopped
    if code:
        raise InputError(folder.failure(code))
    return folder.result()
