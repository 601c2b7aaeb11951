"""What happens around the steps of a run: progress is shown, Ctrl-C saves, the best adapter so far is kept."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from peft import PeftModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState

from models.progress import ProgressFile

LINES = 20
"""How often a run reports where standard error is no terminal."""


class ShowProgress(TrainerCallback):  # type: ignore[misc] # transformers is not followed by mypy
    """
    Shows loss, tokens per second and the time left on standard error: a bar in a terminal, lines elsewhere.

    Args:
        tokens: of each step; padding does not count.
        file: is told every step's loss, every evaluation's, and every checkpoint.
    """

    def __init__(self, tokens: Sequence[int], file: ProgressFile) -> None:
        self._tokens = tokens
        self._file = file
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=self._console,
        )  # fmt: skip
        self.seconds = 0.0
        self.trained = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Begin to count."""
        self._first, self._started = state.global_step, time.perf_counter()
        if not state.is_world_process_zero:
            return
        self._task = self._bar.add_task("", total=state.max_steps, completed=state.global_step, state="")
        if self._console.is_terminal:
            self._bar.start()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: object
    ) -> None:
        """Count a step."""
        if "eval_loss" in logs and state.is_world_process_zero:
            self._file.tell(step=state.global_step, eval_loss=logs["eval_loss"])
        if "loss" not in logs:
            return
        self.seconds = time.perf_counter() - self._started
        self.trained = sum(self._tokens[self._first : state.global_step])
        if not state.is_world_process_zero:
            return
        speed = self.trained / self.seconds
        text = f"loss {logs['loss']:.3f}, {speed:.0f} tokens/s"
        self._bar.update(self._task, completed=state.global_step, state=text)
        left = sum(self._tokens[state.global_step :]) / speed
        step, steps = state.global_step, state.max_steps
        self._file.tell(step=step, steps=steps, loss=logs["loss"], tokens_per_s=round(speed, 1), left_s=round(left, 1))
        every = max(1, steps // LINES)
        if not self._console.is_terminal and (step % every == 0 or step == steps):
            self._console.print(f"step {step} of {steps}: {text}, {left / 60:.1f} min left")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Tell that a checkpoint is written, from which a run can go on."""
        if state.is_world_process_zero:
            self._file.tell(checkpoint=state.global_step)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


class StopOnSignal(TrainerCallback):  # type: ignore[misc]
    """
    Lets Ctrl-C and SIGTERM end a run after the step at hand, with a checkpoint; a second one ends it at once.

    Attributes:
        stopped: whether a signal came.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._before: dict[int, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Take the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        sys.stderr.write("saving after this step; once more stops at once\n")
        self._restore()

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Save and stop if a signal came, in all processes after the same step."""
        if dist.is_available() and dist.is_initialized():
            flag = torch.tensor(int(self.stopped), device=args.device)
            dist.all_reduce(flag, dist.ReduceOp.MAX)
            self.stopped = bool(flag)
        if self.stopped:
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Give the signals back."""
        self._restore()


class KeepBest(TrainerCallback, ExportableState):  # type: ignore[misc]
    """
    Keeps the adapter with the lowest held-out loss, and stops when it has not fallen for some evaluations.

    What it knows is part of every checkpoint, so that a resumed run stops where the uninterrupted one would.

    Args:
        directory: where the best adapter is written.
        patience: evaluations without a lower loss after which the run stops.
    """

    def __init__(self, directory: str, patience: int) -> None:
        self._directory = directory
        self._patience = patience
        self.best = float("inf")
        self.worse = 0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "args": {"directory": self._directory, "patience": self._patience},
            "attributes": {"best": self.best, "worse": self.worse},
        }

    @staticmethod
    def had_enough(checkpoint: Path) -> bool:
        """Return whether the run that wrote a checkpoint had stopped by itself."""
        kept = json.loads((checkpoint / TRAINER_STATE_NAME).read_bytes())["stateful_callbacks"].get("KeepBest")
        return kept is not None and kept["attributes"]["worse"] >= kept["args"]["patience"]

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        model: PeftModel,
        **_: object,
    ) -> None:
        """Compare the loss with the best."""
        if metrics["eval_loss"] < self.best:
            self.best, self.worse = metrics["eval_loss"], 0
            if args.should_save:
                save_adapter(model, Path(self._directory))
        else:
            self.worse += 1
            control.should_training_stop = control.should_training_stop or self.worse >= self._patience


def save_adapter(model: PeftModel, directory: Path, state_dict: dict[str, Any] | None = None) -> None:
    """Write PEFT's two files; embeddings are never trained, so nobody has to be asked whether they grew."""
    model.save_pretrained(str(directory), state_dict=state_dict, save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
