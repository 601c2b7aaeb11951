"""Every setting of a decision, with its unit and its default; the defaults live here only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from finetune.config import ExistingPath, LoraSettings
from models import config
from models.catalog import Name
from models.engine import EngineName

Scoring = Literal["contains", "exact", "f1", "fields", "execution"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Requirements(_Section):
    """What the task asks for; the prior comes from here, and the recommendation weighs by it."""

    changes: Literal["never", "sometimes", "often"] = Field(
        default="sometimes", description="how often the facts that answers need change"
    )
    facts: bool = Field(default=False, description="answers need facts that stand in documents")
    format: bool = Field(default=False, description="answers need a fixed form, style or jargon")
    budget: Literal["small", "medium", "large"] = Field(
        default="medium", description="what may be spent on building it: small avoids training"
    )
    latency_s: float | None = Field(
        default=None, gt=0, le=3600, description="seconds within which 95 % of the answers must be complete"
    )


class FormSettings(_Section):
    """The form that every answer must have: a JSON Schema, a regular expression, or a query to a database."""

    schema_file: ExistingPath | None = Field(default=None, alias="schema", description="JSON Schema of an answer")
    pattern: str | None = Field(default=None, description="regular expression that an answer matches as a whole")
    database: ExistingPath | None = Field(
        default=None, description="SQLite file; an answer is a query to it, run read only"
    )
    answer_field: str | None = Field(
        default=None, description="the field of a JSON answer that holds what is compared with the references"
    )

    @field_validator("database")
    @classmethod
    def _one_form(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        given = [name for name in ("schema_file", "pattern") if info.data.get(name) is not None]
        if len(given) + (value is not None) > 1:
            raise ValueError("give one of schema, pattern and database, not several")
        return value


class TrainingSettings(_Section):
    """How adapters are trained; what is not set here is as in finetune.train."""

    lora: LoraSettings = LoraSettings()
    steps: int | None = Field(default=None, ge=1, le=10_000_000, description="optimiser steps")
    epochs: float | None = Field(default=None, gt=0, le=1000, description="passes over the rows; 3 if neither is given")
    learning_rate: float = Field(default=2e-4, gt=0, le=1, description="the highest one of the schedule")
    batch_size: int = Field(default=16, ge=1, le=65_536, description="examples per optimiser step")
    max_length: int = Field(default=1024, ge=16, le=1_048_576, description="most tokens of an example")
    kl_weight: float = Field(default=1, ge=0, le=100, description="how much drifting from the base is punished")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="order of the rows, initial weights")

    @field_validator("epochs")
    @classmethod
    def _one_length(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("steps") is not None:
            raise ValueError("give steps or epochs, not both")
        return value


class AnswerSettings(_Section):
    """How questions are answered, in every arm."""

    passages: int = Field(default=3, ge=1, le=50, description="most passages that the model gets to read")
    max_tokens: int = Field(default=96, ge=1, le=8192, description="most new tokens of an answer")


class Change(_Section):
    """A document edited after training, and a question whose answer changes with it."""

    source: str = Field(min_length=1, description="path of the document below the documents' folder")
    find: str | None = Field(default=None, min_length=1, description="words of the file that are replaced")
    replace: str = Field(default="", description="what stands there afterwards")
    file: ExistingPath | None = Field(default=None, description="or the whole new file")
    question: str = Field(min_length=1)
    old: list[str] = Field(min_length=1, description="wordings of the answer before the edit")
    new: list[str] = Field(min_length=1, description="wordings of the answer after it")

    @field_validator("file")
    @classmethod
    def _one_edit(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("find"):
            raise ValueError("give find and replace, or file, not both")
        return value


class Rates(_Section):
    """What things cost, for the bill; without them it is in seconds and energy only."""

    currency: str = Field(default="EUR", max_length=8)
    machine_hour: float = Field(default=0, ge=0, le=10_000, description="an hour of this machine")
    kwh: float = Field(default=0, ge=0, le=100, description="a kilowatt-hour")


class DecideConfig(_Section):
    """A decision. Everything but ``name`` and ``test`` has a default, or makes an arm that is left out."""

    name: Name = Field(description="of the decision; its folder of results is called so")
    base: str = Field(default="smollm2-135m-instruct", min_length=1, description="catalog name or directory")
    engine: EngineName = Field(default="auto", description="what runs the model")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="where it runs")
    instruction: str | None = Field(default=None, description="system turn of every question, trained and asked")
    test: ExistingPath = Field(description="questions that decide (JSON Lines)")
    documents: ExistingPath | None = Field(default=None, description="folder that retrieval reads")
    collection: Name | None = Field(default=None, description="or a collection that is there already")
    train: ExistingPath | None = Field(default=None, description="examples that adapters are trained on (JSON Lines)")
    adapter: Name | None = Field(default=None, description="or an adapter that is there already, trained plainly")
    grounded_adapter: Name | None = Field(default=None, description="or one that was trained with retrieved passages")
    score: Scoring = Field(default="contains", description="what makes an answer right")
    form: FormSettings = Field(
        default=FormSettings(), validate_default=True, description="what every answer looks like"
    )
    margin: float = Field(default=0.05, gt=0, lt=1, description="the smallest difference that would matter")
    requirements: Requirements = Requirements()
    answer: AnswerSettings = AnswerSettings()
    training: TrainingSettings = TrainingSettings()
    changes: list[Change] = Field(default=[], max_length=1000, description="edits that are replayed")
    rates: Rates = Rates()

    @field_validator("collection")
    @classmethod
    def _one_source(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("documents") is not None:
            raise ValueError("give documents or a collection, not both")
        return value

    @field_validator("adapter", "grounded_adapter")
    @classmethod
    def _one_adapter(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("train") is not None:
            raise ValueError("give train or adapters that are there already, not both")
        return value

    @field_validator("form")
    @classmethod
    def _has_what_the_score_needs(cls, value: FormSettings, info: ValidationInfo) -> FormSettings:
        score = info.data.get("score")
        if score == "execution" and value.database is None:
            raise ValueError("the score 'execution' needs form.database")
        if score in ("fields", "execution") and value.answer_field is not None:
            raise ValueError(f"answer_field is for the scores contains, exact and f1; the score is {score!r}")
        return value

    @field_validator("changes")
    @classmethod
    def _in_documents(cls, value: list[Change], info: ValidationInfo) -> list[Change]:
        folder: Path | None = info.data.get("documents")
        if not value:
            return value
        if folder is None:
            raise ValueError("edits are replayed in documents; a collection that is there already is not touched")
        for number, change in enumerate(value, start=1):
            if change.file is None and change.find is None:
                raise ValueError(f"edit {number} needs find and replace, or file")
            path = folder / change.source
            if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
                raise ValueError(f"edit {number}: {change.source!r} is no file below {folder}")
        return value

    @property
    def searches(self) -> bool:
        """Whether there is something to retrieve from."""
        return self.documents is not None or self.collection is not None


def read(path: Path) -> DecideConfig:
    """
    Read a decision's settings.

    Raises:
        ConfigError: something is wrong; every problem is named with its line.
    """
    return config.read(DecideConfig, path)
