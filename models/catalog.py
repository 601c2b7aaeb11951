"""
The catalog: the models that have a name, where they come from, and how each file is recognised.

``catalog.toml`` beside this module is the data. A wheel's files carry SHA-256 digests that are checked before
anything is read; a hub's files are recorded when they are fetched (trust on first use) and checked from then on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.base import ConfigError

ModelRole = Literal["embedder", "generator", "reranker"]
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
CATALOG_PATH = Path(__file__).with_name("catalog.toml")


def _relative_path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or str(path) != text:
        raise ValueError(f"{text!r} is not a plain relative path")
    return text


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_relative_path)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WheelFile(_Strict):
    """
    One file of a wheel that the model needs.

    Attributes:
        member: its path inside the wheel.
        path: its path in the model's directory.
    """

    member: RelativePath
    path: RelativePath
    sha256: Sha256


class WheelSource(_Strict):
    """
    A wheel on a package index, used as an archive and never imported.

    Attributes:
        size: of the wheel, in bytes.
    """

    kind: Literal["wheel"] = "wheel"
    project: str
    version: str
    sha256: Sha256
    size: int = Field(gt=0)
    files: tuple[WheelFile, ...] = Field(min_length=1)


class HubSource(_Strict):
    """
    A repository of a model hub.

    Attributes:
        repository: ``organisation/name``.
        revision: a branch, or the commit to insist on; a branch is resolved when fetched and the commit recorded.
    """

    kind: Literal["hub"] = "hub"
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = "main"


class Memory(_Strict):
    """Memory that the loaded model takes, without the space for a long conversation, in GiB."""

    fp32: float = Field(gt=0)
    bf16: float = Field(gt=0)


class Entry(_Strict):
    """
    A model of the catalog.

    Attributes:
        title: what people call it.
        description: one sentence for choosing.
        licence: SPDX identifier of the weights' licence.
        context_length: the most tokens that it reads at once.
        parameters: their number.
        query_prefix: what its authors put before a question (embedders).
        document_prefix: what its authors put before a passage (embedders).
        source: where its files come from.
    """

    role: ModelRole
    title: str
    description: str
    licence: str
    context_length: int = Field(gt=0)
    parameters: int = Field(gt=0)
    memory_gib: Memory
    query_prefix: str = ""
    document_prefix: str = ""
    source: Annotated[WheelSource | HubSource, Field(discriminator="kind")]


class Catalog(_Strict):
    """
    All named models.

    Attributes:
        defaults: the model used for a role when none is named.
        models: entries by name.
    """

    defaults: Mapping[ModelRole, Name]
    models: Mapping[Name, Entry]

    @model_validator(mode="after")
    def _defaults_fit(self) -> Catalog:
        for role, name in self.defaults.items():
            if name not in self.models or self.models[name].role != role:
                raise ValueError(f"the default {role} {name!r} is not a {role} of this catalog")
        return self


def load(path: Path = CATALOG_PATH) -> Catalog:
    """
    Read a catalog file.

    Raises:
        ConfigError: the file is missing, is not TOML, or does not describe models; every problem is listed.
    """
    try:
        return Catalog.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The model catalog {path} cannot be read: {error}.") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"The model catalog {path} is not valid: {problems}.") from error
