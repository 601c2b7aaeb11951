"""A decision: what a browser may choose becomes a file for ``scripts.decide``, whose report comes back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from models.base import HomegroundError, InputError
from rag.runs import program
from rag.runs.folder import RunFolder
from rag.runs.launcher import Outcome, Stopped
from rag.store import snapshot

MODULE = "scripts.decide"
TRAIN, TEST = "train.jsonl", "test.jsonl"
"""What uploaded files are called in a run's folder."""

STORE = "store"
"""Below it: a copy of the collection while the program runs, because the server has the original open."""

REPORT = "report.html"
SHOWN = ("prior", "recommendation", "cannot_conclude", "questions", "arms", "building")
"""What is kept of the report beside the page that people read."""

_PACKAGES = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=256)
def prior(requirements: str) -> Mapping[str, Any]:
    """
    Return what requirements speak for before anything is measured.

    Args:
        requirements: as JSON, checked and in a fixed order, so that the same are asked once.

    Raises:
        HomegroundError: the advisor is not installed here.
    """
    with tempfile.TemporaryDirectory() as scratch:
        config, test = Path(scratch) / "decide.yaml", Path(scratch) / TEST
        test.touch()
        settings = {"name": "prior", "test": TEST, "requirements": json.loads(requirements)}
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [sys.executable, "-m", MODULE, "--config", str(config), "--prior", "--json"]
        done = subprocess.run(  # noqa: S603 - the module is one of ours
            command, capture_output=True, text=True, check=False, cwd=_PACKAGES
        )
    if done.returncode:
        raise HomegroundError(f"`python -m {MODULE} --prior` ended with {done.returncode}: {done.stderr[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settings_for(choice: Mapping[str, Any], base: str, engine: str, files: RunFolder) -> dict[str, Any]:
    """
    Return the settings file of a decision.

    Args:
        choice: ``name``, ``requirements``, ``collection``, ``score``.
        base: the model that this server answers with.
        engine: what runs it.
        files: the run's folder, which holds what was uploaded.
    """
    settings = {
        "name": choice["name"],
        "base": base,
        "engine": engine,
        "test": TEST,
        "score": choice["score"],
        "requirements": choice["requirements"],
    }
    if (files.path / TRAIN).is_file():
        settings["train"] = TRAIN
    if choice["collection"]:
        settings["collection"] = choice["collection"]
    if choice["steps"] is not None:
        settings["training"] = {"steps": choice["steps"]}
    return settings


def decide(folder: RunFolder, choice: Mapping[str, Any], data_dir: Path, stopping: threading.Event) -> Outcome:
    """
    Measure every way and say which one the task needs; what was made before is taken over.

    Args:
        folder: the run's.
        choice: what was asked for.
        data_dir: the server's.
        stopping: ends it.

    Raises:
        InputError: it cannot be measured; in the program's own words.
        Stopped: it was ended.
    """
    arguments = ["--config", str(folder.config), "--out", str(folder.path), "--json"]
    arguments += ["--progress", str(folder.progress)]
    store = folder.path / STORE
    try:
        if choice["collection"]:
            _copy(data_dir, store, choice["collection"])
            arguments += ["--data-dir", str(store)]
        code = program.run(MODULE, arguments, folder, stopping)
    finally:
        shutil.rmtree(store, ignore_errors=True)
    if code is None:
        raise Stopped
    if code:
        raise InputError(folder.failure(code))
    found = folder.result()
    return Outcome("done", {name: found[name] for name in SHOWN})


def _copy(data_dir: Path, target: Path, collection: str) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    file = target / snapshot.FILE_NAME
    snapshot.copy(data_dir, file)
    snapshot.keep_collections(file, [collection])
