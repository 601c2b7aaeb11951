"""
Where models live: a name becomes a verified local directory. Never the network, never torch.

A name is looked up among the directories below :func:`models_dir` and those that a bundle brought, never joined to a
path. A directory of the user's own is used where it lies: its files are hashed at first use and the record is kept
below :func:`models_dir`.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from models import catalog, vetting
from models.base import ModelError
from models.carried import carried
from models.catalog import NAME_PATTERN, ModelRole
from models.manifest import MANIFEST, Manifest, hash_files, list_files, read_manifest, verify, weights_hash

__all__ = ["Model", "ModelRole", "describe", "installed", "locate", "models_dir", "name_from", "stamp_path"]

DIRECTORY_VARIABLE = "HOMEGROUND_MODELS_DIR"
GENERATOR_ARCHITECTURES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
FALLBACK_CONTEXT = 512
INT8 = ":int8"
"""Behind an embedder's name: with its weights rounded, which makes another embedder of it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Model:
    """
    A model on this machine.

    Attributes:
        directory: holds the files; libraries load from here and nowhere else.
        weights_hash: SHA-256 over the names and digests of the weights; two models of one hash are the same.
        licence: SPDX identifier, or ``unknown``.
        context_length: the most tokens that it reads at once.
        query_prefix: goes before a question (embedders).
        document_prefix: goes before a passage (embedders).
        is_int8: computes with rounded weights (embedders); its weights hash is then one of its own.
    """

    name: str
    role: ModelRole
    directory: Path
    weights_hash: str
    licence: str
    context_length: int
    query_prefix: str = ""
    document_prefix: str = ""
    is_int8: bool = False


def models_dir() -> Path:
    """Return where models are kept: ``$HOMEGROUND_MODELS_DIR``, else the platform's user data directory."""
    override = os.environ.get(DIRECTORY_VARIABLE)
    return Path(override).expanduser() if override else platformdirs.user_data_path("homeground") / "models"


def stamp_path(name: str) -> Path:
    """Return the file in which the last hashing of a model is remembered."""
    return models_dir() / ".stamps" / f"{name}.json"


def installed() -> list[Model]:
    """
    Return the models on this machine, sorted by name; unreadable ones are logged and left out.

    They are listed, not verified: :func:`locate` does that.
    """
    found = []
    for name, directory in _directories().items():
        try:
            found.append(_model(name, directory, read_manifest(directory)))
        except ModelError as error:
            log.warning("%s", error)
    return found


def locate(name: str, role: ModelRole) -> Model:
    """
    Return the model of this name, or the one in this directory, after verifying its files.

    Args:
        name: a catalog name, the name of a fetched model, or the path of a directory; an embedder's with ``:int8``
            behind it for rounded weights.
        role: what the model is wanted for.

    Raises:
        ModelError: no such model, one for another role, one that is not on this machine, files that are missing,
            damaged or foreign, or files that could run code.
    """
    if role == "embedder" and name.endswith(INT8):
        return _rounded(locate(name.removesuffix(INT8), role))
    if directory := _directories().get(name):
        manifest = read_manifest(directory)
        _require_role(name, manifest.role, role)
        verify(directory, manifest, stamp_path(name))
        return _model(name, directory, manifest)
    entries = catalog.load().models
    if name in entries:
        _require_role(name, entries[name].role, role)
        raise ModelError(
            f"The {role} {name!r} is not in {models_dir()}. Run `python -m models.fetch {name}` on a machine with a "
            "network connection."
        )
    if os.sep in name or "/" in name or Path(name).is_dir():
        return _own_directory(Path(name).expanduser(), role)
    known = sorted({*(n for n, e in entries.items() if e.role == role), *(m.name for m in installed())})
    closest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:3]
    raise ModelError(
        f"There is no model named {name!r}. Closest: {', '.join(closest)}. `python -m models.fetch --list` shows all; "
        "a path must hold a separator, for example ./my-model."
    )


def _rounded(model: Model) -> Model:
    digest = hashlib.sha256(f"{model.weights_hash}{INT8}".encode()).hexdigest()
    return replace(model, name=f"{model.name}{INT8}", weights_hash=digest, is_int8=True)


def describe(directory: Path, name: str, role: ModelRole, stamp: Path) -> Manifest:
    """
    Hash a directory's files and write down what they are; licence and source are for the caller to fill in.

    Args:
        directory: a complete model.
        name: what it will be called.
        role: what it is for.
        stamp: the file in which the hashing is remembered.

    Raises:
        ModelError: it could run code, is not a model, or is not one for this role.
    """
    files = list_files(directory)
    vetting.check(directory, files)
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory} is not a model: it has no config.json.")
    config = vetting.read_settings(directory / "config.json")
    settings = config if isinstance(config, dict) else {}
    architectures = [str(a) for a in settings.get("architectures") or ()]
    if role == "generator" and not any(a.endswith(GENERATOR_ARCHITECTURES) for a in architectures):
        raise ModelError(f"{directory} is not a generator: its architectures are {architectures}.")
    records = hash_files(directory, files, stamp)
    return Manifest(
        name=name,
        role=role,
        source=f"directory {directory}",
        trust="first use",
        licence="unknown",
        context_length=_context_length(directory, settings),
        weights_hash=weights_hash(records),
        files=records,
    )


def _directories() -> dict[str, Path]:
    roots = [root for root in (carried("models"), models_dir()) if root is not None and root.is_dir()]
    children = [child for root in roots for child in root.iterdir()]
    found = {c.name: c for c in children if re.fullmatch(NAME_PATTERN, c.name) and (c / MANIFEST).is_file()}
    return dict(sorted(found.items()))


def _model(name: str, directory: Path, manifest: Manifest) -> Model:
    return Model(
        name=name,
        role=manifest.role,
        directory=directory,
        weights_hash=manifest.weights_hash,
        licence=manifest.licence,
        context_length=manifest.context_length,
        query_prefix=manifest.query_prefix,
        document_prefix=manifest.document_prefix,
    )


def _require_role(name: str, found: ModelRole, wanted: ModelRole) -> None:
    if found != wanted:
        fitting = [n for n, entry in catalog.load().models.items() if entry.role == wanted]
        raise ModelError(f"{name!r} is a {found}, a {wanted} is needed; for example {fitting[0]!r}.")


def _own_directory(directory: Path, role: ModelRole) -> Model:
    if not directory.is_dir():
        raise ModelError(f"There is no directory {directory}; expected a model directory or a model's name.")
    resolved = directory.resolve()
    name = name_from(resolved.name)
    stamp = stamp_path(f"directory-{hashlib.sha256(str(resolved).encode()).hexdigest()[:16]}")
    unsafe = [file for file in list_files(resolved) if not vetting.is_safe_kind(file)]
    if unsafe:
        raise ModelError(
            f"{directory} holds files that could carry code: {', '.join(unsafe[:5])}. Run `python -m models.fetch "
            f"{directory} --role {role}`: it copies only the safe ones, and the copy is then called {name!r}."
        )
    return _model(name, resolved, describe(resolved, name, role, stamp))


def name_from(text: str) -> str:
    """
    Make a model's name of a directory's or a repository's.

    Raises:
        ModelError: too little is left.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).lstrip("._-")[:64]
    if not re.fullmatch(NAME_PATTERN, name):
        raise ModelError(f"{text!r} gives no name for a model; rename it to letters, digits and hyphens.")
    return name


def _context_length(directory: Path, config: Mapping[str, object]) -> int:
    """Return the most tokens that the files say the model reads; where they say nothing, a small safe number."""
    text_config = config.get("text_config")
    found = [config.get("max_position_embeddings"), config.get("n_positions")]
    if isinstance(text_config, dict):
        found.append(text_config.get("max_position_embeddings"))
    limits = directory / "sentence_bert_config.json"
    if limits.is_file() and isinstance(settings := vetting.read_settings(limits), dict):
        found.append(settings.get("max_seq_length"))
    lengths = [n for n in found if isinstance(n, int) and n > 0]
    return min(lengths, default=FALLBACK_CONTEXT)
