"""
Every setting of retrieval, answering and serving, with its unit and its default; the defaults live here only.

A setting comes from a command's flag, else from the environment (``HOMEGROUND_DATA_DIR``,
``HOMEGROUND_ANSWER__PASSAGES``), else from the file ``homeground.yaml`` in the data directory, else from here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models import config
from models.base import ConfigError, InputError
from models.catalog import Name
from models.engine import EngineName
from rag.load.selection import Selection

ENVIRONMENT_PREFIX = "HOMEGROUND_"
FILE_NAME = "homeground.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChunkSettings(_Section):
    """How documents are cut."""

    size: int = Field(default=200, ge=16, le=4096, description="most tokens of a chunk, in the embedder's own tokens")
    overlap: int = Field(default=0, ge=0, le=1024, description="most tokens that a chunk repeats of the one before it")
    prefix: bool = Field(default=True, description="a chunk is searched with its document's title and headings")


class RetrievalSettings(_Section):
    """How passages are found."""

    candidates: int = Field(default=100, ge=10, le=1000, description="chunks that each of the two searches brings in")
    dense_weight: float = Field(
        default=0.8, ge=0, le=1, description="share of the vectors' score in the fused score; words get the rest"
    )
    opening_weight: float = Field(
        default=0.5, ge=0, le=1, description="share of the document's first chunk in each chunk's vector score"
    )
    smoothing: float = Field(
        default=0.35, ge=0, le=1, description="share of a passage's score that it takes from passages similar to it"
    )
    rerank: int = Field(
        default=20, ge=0, le=200, description="passages that a reranker, if there is one, reads again; 0 for none"
    )


class AnswerSettings(_Section):
    """How answers are made."""

    adapter: str = Field(
        default="auto", description="used with retrieval unless a request names one; auto takes the shipped one, if any"
    )
    passages: int = Field(default=3, ge=1, le=50, description="most chunks that the model gets to read")
    context_characters: int = Field(
        default=3000, ge=200, le=1_000_000, description="longer passages are trimmed to the sentences that matter"
    )
    max_tokens: int = Field(default=128, ge=1, le=8192, description="most new tokens of an answer")
    decline_from: float | None = Field(
        default=None, gt=0, lt=1, description="doubt that there is an answer from which on a question is declined"
    )
    min_similarity: float = Field(
        default=0.25, ge=-1, le=1, description="below this cosine, passages without a word in common count as no find"
    )


class ServerSettings(_Section):
    """How the server listens."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8321, ge=0, le=65535, description="0 takes any free port")
    queue_length: int = Field(default=32, ge=1, le=1024, description="requests that may wait for the generator")
    slots: int | None = Field(
        default=None, ge=1, le=64, description="answers made at a time; null takes 8 on CUDA and remote servers, else 1"
    )
    max_upload_mb: int = Field(default=100, ge=1, le=4096, description="largest file that may be uploaded, in MB")
    requests_per_minute: int = Field(
        default=600, ge=10, le=1_000_000, description="of each user; more are refused until later"
    )
    names: list[Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]] = Field(
        default=[], description="other names that it is reached by, without the port"
    )
    certificate: Path | None = Field(default=None, description="of the server, with its chain (PEM), for HTTPS")
    private_key: Path | None = Field(default=None, description="of the certificate (PEM)")
    plain_http: bool = Field(
        default=False, description="allow other machines without HTTPS, where something in front of it encrypts"
    )
    access_log_days: int = Field(default=90, ge=1, le=3650, description="how long it is known who used what")
    access_log_text: bool = Field(default=False, description="whether questions are kept in the access log")
    drain_s: float = Field(default=30, ge=0, le=600, description="seconds that running answers get at shutdown")


class RemoteSettings(_Section):
    """A server of one's own that runs the generator in place of this machine."""

    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+(/\S*)?$",
        description="of vLLM's or llama.cpp's OpenAI-compatible interface; generator is then a name there",
    )
    timeout_s: float = Field(default=120, gt=0, le=3600, description="seconds that it may be silent")


class WatchedFolder(_Section):
    """A folder that the server keeps a collection equal to."""

    folder: Annotated[Path, AfterValidator(Path.expanduser)]
    collection: Name | None = Field(default=None, description="the configured one if there is none")
    include: list[str] = Field(default=[], description="take only files that match one of these patterns")
    exclude: list[str] = Field(default=[], description="leave out files that match one of these")

    @model_validator(mode="after")
    def _check_patterns(self) -> Self:
        try:
            Selection(self.include, self.exclude)
        except InputError as error:
            raise ValueError(str(error)) from error
        return self


class Settings(_Section):
    """All settings."""

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("homeground")) / "data")
    collection: Name = "default"
    embedder: str = "all-minilm-l6-v2"
    generator: str = "smollm2-135m-instruct"
    reranker: str | None = Field(default=None, description="null takes the first one in the model store, if any")
    engine: EngineName = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    chunk: ChunkSettings = ChunkSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    answer: AnswerSettings = AnswerSettings()
    server: ServerSettings = ServerSettings()
    remote: RemoteSettings = RemoteSettings()
    watch: list[WatchedFolder] = []


class _Tunable(_Section):
    """The sections that a collection may have settings of its own for."""

    chunk: ChunkSettings
    retrieval: RetrievalSettings


def with_own(settings: Settings, own: Mapping[str, Any], collection: str) -> Settings:
    """
    Put a collection's own settings over everybody's.

    Args:
        settings: everybody's.
        own: by section (``chunk``, ``retrieval``) and name.
        collection: whose they are, for the message.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    if not own:
        return settings
    everybodys = {name: getattr(settings, name).model_dump() for name in _Tunable.model_fields}
    try:
        tuned = config.read(_Tunable, None, **config.merge(everybodys, own))
    except ConfigError as error:
        raise ConfigError(
            f"collection {collection!r} has settings of its own that cannot be used ({error}); "
            f"drop them with `python -m rag.tune --reset --collection {collection}`."
        ) from error
    return settings.model_copy(update={"chunk": tuned.chunk, "retrieval": tuned.retrieval})


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
    "HOMEGROUND_EXPORTS_DIR",
    "HOMEGROUND_LOG_LEVEL",
    "HOMEGROUND_MODELS_DIR",
    "HOMEGROUND_REMOTE_KEY",
}
"""Read elsewhere: by the model store, the server's sign-in, the remote generator, the commands' logging, benchmarks."""
