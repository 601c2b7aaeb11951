"""
Every setting of retrieval, answering and serving, with its unit and its default; the defaults live here only.

A setting comes from a command's flag, else from the environment (``HOMEGROUND_DATA_DIR``,
``HOMEGROUND_ANSWER__PASSAGES``), else from the file ``homeground.yaml`` in the data directory, else from here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from models import config
from models.base import ConfigError
from models.catalog import Name

ENVIRONMENT_PREFIX = "HOMEGROUND_"
FILE_NAME = "homeground.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChunkSettings(_Section):
    """How documents are cut."""

    size: int = Field(default=200, ge=16, le=4096, description="most tokens of a chunk, in the embedder's own tokens")


class RetrievalSettings(_Section):
    """How passages are found."""

    candidates: int = Field(default=100, ge=10, le=1000, description="chunks that each of the two searches brings in")
    dense_weight: float = Field(
        default=0.8, ge=0, le=1, description="share of the vectors' score in the fused score; words get the rest"
    )


class AnswerSettings(_Section):
    """How answers are made."""

    passages: int = Field(default=3, ge=1, le=50, description="most passages that the model gets to read")
    max_tokens: int = Field(default=128, ge=1, le=8192, description="most new tokens of an answer")
    min_similarity: float = Field(
        default=0.25, ge=-1, le=1, description="below this cosine, passages without a word in common count as no find"
    )


class ServerSettings(_Section):
    """How the server listens."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8321, ge=0, le=65535, description="0 takes any free port")
    queue_length: int = Field(default=32, ge=1, le=1024, description="requests that may wait for the generator")
    max_upload_mb: int = Field(default=100, ge=1, le=4096, description="largest file that may be uploaded, in MB")
    drain_s: float = Field(default=30, ge=0, le=600, description="seconds that running answers get at shutdown")


class Settings(_Section):
    """All settings."""

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("homeground")) / "data")
    collection: Name = "default"
    embedder: str = "all-minilm-l6-v2"
    generator: str = "smollm2-135m-instruct"
    engine: Literal["auto", "transformers"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    chunk: ChunkSettings = ChunkSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    server: ServerSettings = ServerSettings()


def load(file: Path | None = None, environment: Mapping[str, str] = os.environ, **flags: Any) -> Settings:  # noqa: ANN401
    """
    Gather the settings.

    Args:
        file: a settings file; None takes ``homeground.yaml`` of the data directory if it is there.
        environment: where ``HOMEGROUND_…`` variables are looked up.
        flags: settings given on the command line; None means not given.

    Raises:
        ConfigError: something is wrong; every problem is named, with the file's line.
    """
    given = config.merge(
        _from_environment(environment), {name: value for name, value in flags.items() if value is not None}
    )
    if file is None:
        default = Path(given.get("data_dir", Settings().data_dir)).expanduser() / FILE_NAME
        file = default if default.is_file() else None
    settings = config.read(Settings, file, **given)
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read ``HOMEGROUND_NAME`` and ``HOMEGROUND_SECTION__NAME``."""
    values: dict[str, Any] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        section, _, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if section not in Settings.model_fields:
            raise ConfigError(f"{variable} names no setting; the sections are {', '.join(Settings.model_fields)}.")
        if name and isinstance(values.setdefault(section, {}), dict):
            values[section][name] = value
        elif not name and section not in values:
            values[section] = value
        else:
            raise ConfigError(f"{variable} contradicts another variable of {section!r}; unset one of them.")
    return values


_OTHER_VARIABLES = {
    "HOMEGROUND_ADAPTERS_DIR",
    "HOMEGROUND_API_KEY",
    "HOMEGROUND_BENCH_DATA",
    "HOMEGROUND_LOG_LEVEL",
    "HOMEGROUND_MODELS_DIR",
}
"""Read elsewhere: by the model store, the server's sign-in, the commands' logging and the benchmarks."""
