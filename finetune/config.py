"""
Every setting of a training run, with its unit and its default; the defaults live here only.

All checks that need more than one value stand in field validators, not in model validators: those would be silent while
any field is wrong, and a file with ten mistakes has to name ten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from models import config
from models.adapter_store import NO_ADAPTER, USUAL_ADAPTER
from models.catalog import Name

DEFAULT_EPOCHS = 3.0
SCORES_OF = {"json_schema": "schema", "regex": "pattern", "sql": "database"}
"""What a task score needs beside its name."""


def _existing(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path.cwd())
    full = folder / path.expanduser()
    if not full.exists():
        raise ValueError(f"{full} does not exist; a relative path counts from the folder of this file")
    return full


def _several(value: Any) -> Any:  # noqa: ANN401 - what a file says before it is checked
    return value if isinstance(value, list) else [value]


ExistingPath = Annotated[Path, AfterValidator(_existing)]
Paths = Annotated[list[ExistingPath], BeforeValidator(_several), Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(_Section):
    """Where the examples are: JSONL, JSON, CSV, or data sets of the datasets library saved to disk."""

    train: Paths = Field(description="what is learnt: a file, or a list of files")
    eval: Paths | None = Field(default=None, description="what the adapter is judged by; never trained on")
    eval_share: float = Field(
        default=0.1, gt=0, le=0.5, description="share of the training rows held out where there is no eval file"
    )


class LoraSettings(_Section):
    """The adapter: which weights get a low-rank update, and how large it is."""

    r: int = Field(default=16, ge=1, le=512, description="rank of the update")
    alpha: float = Field(default=32, gt=0, le=4096, description="the update is scaled by alpha / r")
    dropout: float = Field(default=0, ge=0, lt=1, description="share of an adapter's inputs dropped while training")
    targets: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = Field(
        default="all-linear", description="every linear layer but the output head, or names of modules"
    )
    rslora: bool = Field(default=False, description="scale by alpha / sqrt(r) instead (arXiv 2312.03732)")
    dora: bool = Field(default=False, description="learn magnitudes apart from directions (arXiv 2402.09353); slower")
    plus_ratio: float | None = Field(
        default=None, ge=1, le=64, description="LoRA+: how much faster B learns than A (arXiv 2402.12354); 16 is usual"
    )


class GateSettings(_Section):
    """What an adapter must show on held-out rows before it is served."""

    score: Literal["exact_match", "f1", "json_schema", "regex", "sql"] | None = Field(
        default=None, description="how an answer is scored; without, only losses are compared"
    )
    schema_file: ExistingPath | None = Field(
        default=None, alias="schema", validate_default=True, description="JSON Schema that every answer must follow"
    )
    pattern: str | None = Field(
        default=None, validate_default=True, description="regular expression that an answer must match as a whole"
    )
    database: ExistingPath | None = Field(
        default=None, validate_default=True, description="SQLite file that answers are run against, read only"
    )
    rows: int = Field(default=200, ge=1, le=100_000, description="most held-out rows that are answered and scored")
    max_tokens: int | None = Field(
        default=None, ge=1, le=8192, description="most new tokens of an answer; else half more than the longest has"
    )
    max_forgetting: float = Field(
        default=0.05, ge=0, le=10, description="most nats a token that general text may become harder to predict"
    )
    general: ExistingPath | None = Field(
        default=None,
        description="plain text, paragraphs with an empty line between, in place of the one that comes along",
    )
    min_stops: float = Field(default=0.95, ge=0, le=1, description="least share of answers that end by themselves")

    @field_validator("schema_file", "pattern", "database")
    @classmethod
    def _belongs_to_the_score(cls, value: object, info: ValidationInfo) -> object:
        if "score" not in info.data:
            return value  # the score itself is wrong, and named
        score, name = info.data["score"], "schema" if info.field_name == "schema_file" else info.field_name
        if SCORES_OF.get(score) == name and value is None:
            raise ValueError(f"the score {score!r} needs {name!r}")
        if value is not None and SCORES_OF.get(score) != name:
            fitting = next(key for key, needed in SCORES_OF.items() if needed == name)
            raise ValueError(f"is used by the score {fitting!r} only, and the score is {score!r}")
        return value


RESERVED = {NO_ADAPTER, USUAL_ADAPTER}


class TrainConfig(_Section):
    """A training run. Everything but ``base``, ``name`` and ``data.train`` has a default that works."""

    base: str = Field(min_length=1, description="catalog name or directory of the model")
    name: Name = Field(description="name of the adapter")
    data: DataSettings
    start: Name | None = Field(default=None, description="an adapter of the same base model and lora to train further")
    lora: LoraSettings = LoraSettings()
    quantize: Literal["4bit"] | None = Field(default=None, description="QLoRA (arXiv 2305.14314); needs CUDA")
    steps: int | None = Field(default=None, ge=1, le=10_000_000, description="optimiser steps")
    epochs: float | None = Field(
        default=None, gt=0, le=1000, validate_default=True, description="passes over the rows; 3 if neither is given"
    )
    learning_rate: float = Field(default=2e-4, gt=0, le=1, description="the highest one of the schedule")
    schedule: Literal["cosine", "linear", "constant"] = Field(default="cosine", description="how it falls")
    warmup: float = Field(default=0.03, ge=0, lt=1, description="share of the steps in which it rises")
    weight_decay: float = Field(default=0, ge=0, le=1, description="of AdamW")
    max_grad_norm: float = Field(default=1, gt=0, le=1000, description="longer gradients are shortened to this")
    kl_weight: float = Field(
        default=1, ge=0, le=100, description="how much drifting from the base model on general text is punished"
    )
    batch_size: int = Field(default=16, ge=1, le=65_536, description="examples per optimiser step, over all processes")
    micro_batch: int | None = Field(
        default=None, ge=1, le=65_536, description="most examples per forward pass; else as many as memory should hold"
    )
    max_length: int = Field(default=1024, ge=16, le=1_048_576, description="most tokens of an example")
    packing: bool = Field(
        default=False, description="several examples in one sequence; what they begin alike with is read once"
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="order of the rows, initial weights, dropout")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="by itself an accelerator where there is one"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="by itself fp32 on a CPU, bf16 on an accelerator; bf16 on a CPU needs its instructions to pay",
    )
    gradient_checkpointing: bool = Field(default=False, description="half the memory or less, a third more time")
    eval_every: int | None = Field(default=None, ge=1, description="steps between evaluations; else ten in a run")
    checkpoint_every: int | None = Field(
        default=None, ge=1, description="steps between checkpoints; else at every evaluation"
    )
    early_stopping: int | None = Field(
        default=None, ge=1, le=1000, description="stop after this many evaluations without a better loss; keep the best"
    )
    gate: GateSettings = GateSettings()
    licence: str = Field(default="unknown", max_length=200, description="SPDX identifier of the adapter's licence")

    @field_validator("name")
    @classmethod
    def _no_reserved_name(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError(f"{' and '.join(sorted(RESERVED))} mean no adapter and the usual one; choose another name")
        return value

    @field_validator("epochs")
    @classmethod
    def _one_length(cls, value: float | None, info: ValidationInfo) -> float | None:
        steps = info.data.get("steps")
        if steps is not None and value is not None:
            raise ValueError("give steps or epochs, not both")
        return DEFAULT_EPOCHS if steps is None and value is None else value

    @field_validator("lora")
    @classmethod
    def _mergeable(cls, value: LoraSettings) -> LoraSettings:
        if value.dora and value.rslora:
            raise ValueError("dora and rslora change the same scale; choose one")
        return value


def read(path: Path) -> TrainConfig:
    """
    Read a run's settings.

    Raises:
        ConfigError: something is wrong; every problem is named with its line.
    """
    return config.read(TrainConfig, path)
