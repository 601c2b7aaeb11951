"""A run from its settings to an adapter in its place: setup, fit, gate, save. Importing this module imports torch."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finetune import checkpoints, report
from finetune.config import TrainConfig
from finetune.fit import Fitted, Interrupted, fit
from finetune.gate import Exam, Verdict, judge
from finetune.setup import Setup
from models.adapter_store import UNFINISHED, adapters_dir
from models.adapters import MANIFEST, WEIGHTS, Adapter, read, write_manifest
from models.base import ConfigError
from models.progress import NOBODY, ProgressFile
from models.prompt import PROMPT_FORMAT, REFUSAL

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
GOLDEN_TEXT = f"<|im_start|>user\nNaïve Größe, 中文 and 🙂: [1] {REFUSAL}\n\tx = 3.14;<|im_end|>\n"
"""Every kind of character that tokenizers differ in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run: the adapter, what the gate said, and how it went."""

    adapter: Adapter
    verdict: Verdict
    fitted: Fitted
    seconds: float


def run(setup: Setup, *, resume: bool, overwrite: bool, progress_file: ProgressFile = NOBODY) -> Outcome | None:
    """
    Train, judge and put the adapter in its place.

    Args:
        setup: what to work on.
        resume: go on from the last checkpoint of an interrupted run.
        overwrite: take the place of an adapter of this name, or drop an interrupted run.
        progress_file: is told how far it has come.

    Returns:
        What came out; None in the processes of a distributed run that only helped to train.

    Raises:
        HomegroundError: it cannot be trained, or an adapter or an interrupted run is in its place.
        KeyboardInterrupt: a signal stopped it; a checkpoint is kept.
    """
    started = time.perf_counter()
    directory = adapters_dir() / UNFINISHED / setup.config.name
    checkpoint = _begin(setup, directory, resume=resume, overwrite=overwrite)
    progress_file.tell(phase="training")
    try:
        fitted = fit(
            setup.config,
            setup.model,
            setup.data.train,
            setup.data.held_out,
            tokenizer=setup.tokenizer,
            directory=directory,
            start=setup.start,
            resume=checkpoint,
            progress_file=progress_file,
        )
    except Interrupted:
        sys.stderr.write("saved; the same command with --resume goes on\n")
        raise KeyboardInterrupt from None
    if not fitted.is_main:
        return None
    progress_file.tell(phase="judging")
    gc.collect()  # the network that was trained, before another one is loaded to be judged
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    draft = directory / "adapter" / setup.config.name
    shutil.rmtree(draft.parent, ignore_errors=True)
    shutil.copytree(fitted.directory, draft)
    exam = Exam(setup.data.held_out, setup.general, setup.config.gate, setup.score)
    verdict = judge(_described(setup, draft, {}, passed=False), exam, setup.model, setup.tokenizer, setup.device)
    judged = _described(setup, draft, verdict.scores, passed=verdict.passed)
    report.write(draft, report.facts(setup, judged, verdict, fitted, time.perf_counter() - started))
    return Outcome(_put_in_place(draft, setup, directory), verdict, fitted, time.perf_counter() - started)


def _begin(setup: Setup, directory: Path, *, resume: bool, overwrite: bool) -> Path | None:
    """Make sure that nothing is lost, and return the checkpoint to go on from."""
    name = setup.config.name
    if (adapters_dir() / name / MANIFEST).is_file() and not overwrite:
        raise ConfigError(
            f"name: there is an adapter {name!r} already; choose another name, or replace it with --overwrite."
        )
    identity = _identity(setup)
    known = directory / RUN_FILE
    checkpoint = checkpoints.last(directory / "checkpoints")
    if resume and checkpoint is None:
        raise ConfigError(f"there is no checkpoint of {name!r} to resume from; start it without --resume.")
    if resume:
        before: Mapping[str, Any] = json.loads(known.read_text(encoding="utf-8"))
        changed = sorted(key for key in identity if before.get(key) != identity[key])
        if changed:
            raise ConfigError(
                f"the interrupted run {name!r} had other settings: {', '.join(changed)}. Set them back, or drop the "
                "run with --overwrite in place of --resume."
            )
        return checkpoint
    if checkpoint is not None and not overwrite:
        raise ConfigError(
            f"an interrupted run {name!r} is at {checkpoint.name}; go on with --resume, or drop it with --overwrite."
        )
    if int(os.environ.get("RANK", "0")) == 0:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        known.write_text(json.dumps(identity, indent=2), encoding="utf-8")
    return None


def _identity(setup: Setup) -> dict[str, Any]:
    """Return what must be the same for a run to be the same."""
    settings = setup.config.model_dump(mode="json", by_alias=True, exclude={"gate", "data", "licence"})
    begun = setup.start.files[WEIGHTS] if setup.start else None
    return {**settings, "rows": setup.data.rows_sha256, "weights": setup.model.weights_hash, "start_weights": begun}


def _described(setup: Setup, directory: Path, measured: Mapping[str, Mapping[str, float]], *, passed: bool) -> Adapter:
    return write_manifest(
        directory,
        base=setup.model,
        prompt_format=PROMPT_FORMAT,
        chat_template_sha256=setup.tokenizer.template_sha256,
        golden_text=GOLDEN_TEXT,
        golden_ids=setup.tokenizer.token_ids(GOLDEN_TEXT),
        data_sha256=setup.data.data_sha256,
        recipe=recipe(setup.config),
        scores=measured,
        trained_with_context=setup.data.has_context,
        gate_passed=passed,
        licence=setup.config.licence,
    )


def recipe(config: TrainConfig) -> dict[str, Any]:
    """Return the settings of a run without the paths of this machine: files by their names."""
    settings = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    for section, key in (
        ("data", "train"),
        ("data", "eval"),
        *(("gate", key) for key in ("schema", "database", "general")),
    ):
        value = settings[section].get(key)
        if value is not None:
            settings[section][key] = [Path(one).name for one in value] if isinstance(value, list) else Path(value).name
    return settings


def _put_in_place(draft: Path, setup: Setup, directory: Path) -> Adapter:
    """Move the finished adapter to where the server looks; it is complete there from the first moment."""
    final = adapters_dir() / setup.config.name
    if final.exists():
        final.rename(directory / "replaced")
    draft.rename(final)
    shutil.rmtree(directory)
    return read(final)
