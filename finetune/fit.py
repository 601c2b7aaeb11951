"""The training itself: base model and rows in, LoRA weights out. Importing this module imports torch (seconds)."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import str_to_bool
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from finetune.anchor import Anchor, own_words
from finetune.batch import Batch, batches, rows_at_once
from finetune.callbacks import KeepBest, ShowProgress, StopOnSignal
from finetune.config import TrainConfig
from finetune.device import device_of, is_mixed, peak_mib, weights_dtype
from finetune.encode import Row
from finetune.packing import TOKENS, families, packs, require_packable
from finetune.schedule import plan_steps
from finetune.start import begin_with
from finetune.trainer import LoraTrainer
from models.adapters import CONFIG, WEIGHTS, Adapter
from models.base import ConfigError, ModelError
from models.network import load_network
from models.progress import NOBODY, ProgressFile
from models.store import Model
from models.tokenizer import ChatTokenizer

EVALUATIONS = 10
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class Interrupted(Exception):  # noqa: N818 - no error: somebody stopped the run, and it is saved
    """A signal ended the run; a checkpoint holds everything up to here."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """
    What a training gave.

    Attributes:
        directory: PEFT's two files.
        history: what was logged, oldest first: ``step`` with ``loss`` and ``grad_norm``, or with ``eval_loss``.
        tokens: trained since the run was started or resumed, without padding.
        seconds: for these, evaluations and checkpoints included.
        peak_mib: most memory: of the accelerator, or of the process on a CPU.
        is_main: whether this process is the one that goes on with the adapter.
    """

    directory: Path
    history: list[dict[str, float]]
    tokens: int
    seconds: float
    peak_mib: float
    is_main: bool


def lora_network(config: TrainConfig, model: Model, device: torch.device) -> PeftModel:
    """
    Load the base model and put the LoRA layers in, drawn from the run's seed.

    Raises:
        ModelError: the model cannot be loaded.
        ConfigError: it has no modules of the names in ``lora.targets``, or its rows cannot be packed.
    """
    dtype = weights_dtype(config, device)
    more: dict[str, Any] = {}
    if config.quantize:
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
        )
    network = load_network(model, dtype, **more)
    if config.quantize:
        network = prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    settings = LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.targets,
        use_rslora=config.lora.rslora,
        use_dora=config.lora.dora,
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(config.seed)
    try:
        with warnings.catch_warnings():  # PEFT 0.21 asks transformers 5.23 by a name that is going away
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            adapted = get_peft_model(network, settings)
    except ValueError as error:
        raise ConfigError(f"lora.targets: {error}") from error
    if config.packing:
        require_packable(adapted)
    return adapted


def anchor_of(
    config: TrainConfig, network: PeftModel, tokenizer: ChatTokenizer, step_tokens: Sequence[int], device: torch.device
) -> tuple[Anchor, float] | None:
    """Return what holds the adapter near the base model, with its weight; None where the config lets it go."""
    if not config.kl_weight:
        return None
    if not config.quantize:
        network.to(device)  # where its texts are written, before the Trainer moves it
    return Anchor(own_words(network, tokenizer, config.seed), step_tokens), config.kl_weight


def _begun(
    config: TrainConfig,
    model: Model,
    tokenizer: ChatTokenizer,
    step_tokens: Sequence[int],
    device: torch.device,
    start: Adapter | None,
) -> tuple[PeftModel, tuple[Anchor, float] | None]:
    network = lora_network(config, model, device)
    anchor = anchor_of(config, network, tokenizer, step_tokens, device)  # while the network still is the base model
    begin_with(start, network)
    return network, anchor


def planned(config: TrainConfig, rows: Sequence[Row]) -> list[list[int]]:
    """Return the rows of every step of a run."""
    return plan_steps(
        [len(row.ids) for row in rows],
        config.batch_size,
        steps=config.steps,
        epochs=config.epochs,
        seed=config.seed,
        families=families(rows) if config.packing else None,
    )


def cutter(config: TrainConfig, longest: int, device: torch.device, pad_id: int) -> partial[list[Batch]]:
    """Return what cuts the rows of a step into forward passes."""
    if config.packing:
        return partial(packs, length=max(longest, TOKENS))
    at_once = config.micro_batch or rows_at_once(longest, device.type)
    return partial(batches, at_once=at_once, pad_id=pad_id)


def fit(
    config: TrainConfig,
    model: Model,
    rows: Sequence[Row],
    held_out: Sequence[Row],
    *,
    tokenizer: ChatTokenizer,
    directory: Path,
    start: Adapter | None = None,
    resume: Path | None,
    progress_file: ProgressFile = NOBODY,
) -> Fitted:
    """
    Train.

    Args:
        config: how.
        model: the base model.
        rows: what is learnt.
        held_out: what the loss is measured on meanwhile.
        tokenizer: the model's.
        directory: of the run; checkpoints and the best adapter go here.
        start: an adapter to begin with.
        resume: a checkpoint to go on from.
        progress_file: is told how far it has come.

    Raises:
        ConfigError: the device or the settings do not fit this machine or model.
        ModelError: the loss stopped being a number, or nothing was learnt.
        Interrupted: a signal stopped it after saving.
    """
    device = device_of(config)
    steps = planned(config, rows)
    args = arguments(config, len(steps), device, directory / "checkpoints")
    _require_equal_work(config, args.world_size)
    step_tokens = [sum(len(rows[number].ids) for number in step) for step in steps]
    network, anchor = _begun(config, model, tokenizer, step_tokens, args.device, start)
    progress = ShowProgress(step_tokens, progress_file)
    signals, best = StopOnSignal(), directory / "best"
    keep_best = [KeepBest(str(best), config.early_stopping)] if config.early_stopping else []
    trainer = LoraTrainer(
        network,
        args,
        steps=[[rows[number] for number in step] for step in steps],
        cut=cutter(config, max(len(row.ids) for row in (*rows, *held_out)), device, tokenizer.pad_id),
        held_out=held_out,
        plus_ratio=config.lora.plus_ratio,
        anchor=anchor,
        callbacks=[progress, signals, *keep_best],
    )
    if resume and KeepBest.had_enough(resume):
        trainer.state = TrainerState.load_from_json(str(resume / TRAINER_STATE_NAME))
    else:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if signals.stopped:
        raise Interrupted
    saved = best if config.early_stopping else directory / "last"
    if not config.early_stopping:
        trainer.save_model(str(saved))
    if is_main := bool(trainer.is_world_process_zero()):
        _finish(saved, model)
    return Fitted(saved, trainer.state.log_history, progress.trained, progress.seconds, peak_mib(device), is_main)


def arguments(config: TrainConfig, steps: int, device: torch.device, directory: Path) -> TrainingArguments:
    """Return the Trainer's arguments for a run of so many steps."""
    evaluate = config.eval_every or max(1, steps // EVALUATIONS)
    args = TrainingArguments(
        output_dir=str(directory),
        max_steps=steps,
        per_device_train_batch_size=1,  # an item of the data is a whole step
        learning_rate=config.learning_rate,
        lr_scheduler_type=SCHEDULES[config.schedule],
        warmup_steps=config.warmup,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        use_cpu=device.type == "cpu",
        bf16=is_mixed(config, device),
        activation_checkpointing=config.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if config.gradient_checkpointing else None,
        seed=config.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps",
        eval_steps=evaluate,
        save_strategy="steps",
        save_steps=config.checkpoint_every or evaluate,
        restore_callback_states_from_checkpoint=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to=[],
        log_level="warning",
    )
    if args.n_gpu > 1:
        args._n_gpu = 1  # several GPUs are used by several processes; DataParallel would cut our batches once more
    return args


def _require_equal_work(config: TrainConfig, processes: int) -> None:
    """Where weights are spread over processes, each must make as many forward passes as the others."""
    if config.batch_size < processes:
        raise ConfigError(f"batch_size: {config.batch_size} examples cannot be shared by {processes} processes.")
    sharded = any(str_to_bool(os.environ.get(f"ACCELERATE_USE_{kind}", "false")) for kind in ("FSDP", "DEEPSPEED"))
    if sharded and (config.packing or config.early_stopping or config.kl_weight or config.batch_size % processes):
        raise ConfigError(
            f"batch_size: with FSDP or DeepSpeed, {config.batch_size} must be a multiple of {processes} processes, "
            "packing and early_stopping must be off, and kl_weight 0."
        )


def _finish(directory: Path, model: Model) -> None:
    """Give the base model its name in place of this machine's path, and make sure that something was learnt."""
    path = directory / CONFIG
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps({**settings, "base_model_name_or_path": model.name}, indent=2, sort_keys=True) + "\n",
        encoding="utf-8",
    )
    weights = load_file(directory / WEIGHTS)
    if not any(bool(weight.any()) for name, weight in weights.items() if "_B" in name):
        raise ModelError("the training changed nothing: every lora_B weight is still 0. Train for more steps.")
