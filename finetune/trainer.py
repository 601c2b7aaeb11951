"""
transformers' Trainer, with our loss, our order of the rows and checkpoints that are complete or absent.

An item of the training data is a whole optimiser step: its rows, cut into as many forward passes as memory wants. The
gradient is that of the mean over all learnt tokens of the step, however it is cut and over however many processes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from torch import nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainingArguments

from finetune import checkpoints
from finetune.anchor import Anchor
from finetune.batch import Batch, on
from finetune.callbacks import save_adapter
from finetune.encode import Row
from finetune.loss import SelectiveHead
from models.base import ModelError


class Step(TypedDict):
    """The part of an optimiser step that one process computes, with the tokens that all of them learn together."""

    batches: list[Batch]
    learnt: int
    places: list[str]


class LoraTrainer(Trainer):  # type: ignore[misc] # transformers is not followed by mypy
    """
    Trains the LoRA weights of a model.

    Args:
        model: the network with its LoRA layers.
        args: as :func:`finetune.fit.arguments` makes them.
        steps: the rows of every step, all processes together.
        cut: from the rows of a process to its forward passes.
        held_out: what the loss is measured on beside; never trained on.
        plus_ratio: LoRA+'s ratio of learning rates; None trains A and B alike.
        anchor: what holds the adapter near the base model, and its weight in the loss; None lets it go.
        callbacks: what happens around the steps.
    """

    def __init__(
        self,
        model: PeftModel,
        args: TrainingArguments,
        *,
        steps: Sequence[Sequence[Row]],
        cut: Callable[[Sequence[Row]], list[Batch]],
        held_out: Sequence[Row],
        plus_ratio: float | None,
        anchor: tuple[Anchor, float] | None,
        callbacks: list[TrainerCallback],
    ) -> None:
        super().__init__(model, args, train_dataset=steps, eval_dataset=held_out, callbacks=callbacks)
        self.remove_callback(PrinterCallback)  # it prints to standard output, which is for results
        self._cut = cut
        self._places: list[str] = []
        self._writing: Path | None = None
        self._plus_ratio = plus_ratio
        self._anchor = anchor
        self.head = SelectiveHead(model.get_base_model())

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the steps in their order; each process takes its rows of every step, so nothing is distributed."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=self._step)

    def _step(self, items: Sequence[Sequence[Row]]) -> Step:
        (rows,) = items
        mine = rows[self.args.process_index :: self.args.world_size]
        learnt = sum(int(row.learnt.sum()) for row in rows)
        return Step(batches=self._cut(mine), learnt=learnt, places=[row.place for row in rows])

    def training_step(
        self, model: nn.Module, inputs: Step, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """
        Compute the gradient of a step, forward pass by forward pass; return this process's share of the loss.

        Raises:
            ModelError: the loss is not a number.
        """
        model.train()
        self._places = inputs["places"]
        self._hold(model)
        total = torch.zeros((), device=self.args.device)
        for number, batch in enumerate(inputs["batches"]):
            is_last = number == len(inputs["batches"]) - 1
            self.accelerator.gradient_state._set_sync_gradients(is_last)
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(model):
                losses, _ = self.head.token_losses(model, on(self.args.device, batch))
                # Gradients are averaged over the processes, so each counts its part as often as there are processes.
                loss = losses.sum() * (self.args.world_size / inputs["learnt"])
                self.accelerator.backward(loss)
            total += loss.detach()
        if not torch.isfinite(total):
            raise self._not_a_number("loss")
        return total

    def _hold(self, model: nn.Module) -> None:
        """Add the gradient of the divergence from the base model; the processes that follow share theirs later."""
        if self._anchor is None:
            return
        anchor, weight = self._anchor
        with self.accelerator.no_sync(model):
            divergence = anchor.divergence(model, self.accelerator.unwrap_model(model), self.state.global_step)
            if divergence is not None:
                self.accelerator.backward(weight * divergence)

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor | float | None:
        norm: torch.Tensor | float | None = super()._clip_grad_norm(model)
        if norm is None:  # DeepSpeed knows it only after its step
            return None
        if not math.isfinite(norm):
            raise self._not_a_number("gradient")
        if self.state.global_step == 0 and not norm:
            raise ModelError("no gradient reaches the adapter's weights; nothing could be learnt.")
        return norm

    def _not_a_number(self, what: str) -> ModelError:
        return ModelError(
            f"the {what} of step {self.state.global_step + 1} is not a finite number; nothing was saved since the last "
            f"checkpoint. Its rows: {', '.join(self._places)}. Lower learning_rate, or look at these rows."
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make AdamW, or AdamW with LoRA+'s two learning rates."""
        if self._plus_ratio is not None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer: torch.optim.Optimizer = create_loraplus_optimizer(
                self.model, kind, loraplus_lr_ratio=self._plus_ratio, **options, weight_decay=self.args.weight_decay
            )
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Measure the mean loss of the held-out rows' learnt tokens, every process all of them."""
        self.model.eval()
        losses, counts = held_out_losses(self.head, self.model, self._cut(self.eval_dataset), self.args.device)
        metrics = {"eval_loss": float(losses.sum() / counts.sum())}
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: nn.Module, trial: None) -> None:
        directory = Path(self.args.output_dir)
        if self.args.should_save:
            checkpoints.begin(directory)
        self.accelerator.wait_for_everyone()
        self._writing = directory / checkpoints.WRITING
        super()._save_checkpoint(model, trial)
        self._writing = None
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            checkpoints.finish(directory)

    def _get_output_dir(self, trial: None) -> str:
        return str(self._writing or self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if self.args.should_save:
            save_adapter(
                self.accelerator.unwrap_model(self.model), Path(output_dir or self.args.output_dir), state_dict
            )

    def floating_point_ops(self, inputs: Step) -> int:
        """Not counted."""
        return 0


@torch.inference_mode()
def held_out_losses(
    head: SelectiveHead, network: nn.Module, batches: Sequence[Batch], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return the summed loss in nats and the number of learnt tokens of each row, in the batches' order.

    Args:
        head: the network's.
        network: in evaluation mode.
        batches: padded ones, a row each for an example.
        device: the network's.
    """
    sums, counts = [], []
    for batch in batches:
        losses, rows = head.token_losses(network, on(device, batch))
        size = len(batch["input_ids"])
        sums.append(torch.zeros(size, device=device).index_add_(0, rows, losses).cpu())
        counts.append(torch.bincount(rows, minlength=size).cpu())
    return torch.cat(sums), torch.cat(counts)
