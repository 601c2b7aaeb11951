"""
Where adapters live: a name becomes an adapter's directory, and a model the adapters that may be asked for.

A name is looked up among the directories below :func:`adapters_dir` and those that come with the project or with a
bundle, never joined to a path.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import platformdirs

from models.adapters import MANIFEST, REPORT, Adapter, read
from models.base import ModelError
from models.carried import carried
from models.catalog import NAME_PATTERN
from models.store import Model

SHIPPED = Path(__file__).with_name("shipped")
"""The adapters that come with the project; one of the same name in :func:`adapters_dir` takes a shipped one's place."""

NO_ADAPTER = "base"
"""Asks for the base model where an adapter would be used otherwise."""

USUAL_ADAPTER = "auto"
"""In the settings: the shipped adapter that answers from passages, if there is one."""

DIRECTORY_VARIABLE = "HOMEGROUND_ADAPTERS_DIR"

UNFINISHED = ".runs"
"""Below :func:`adapters_dir`, where no adapter can be called that: a folder for each training that has not ended."""

log = logging.getLogger(__name__)


def adapters_dir() -> Path:
    """Return where adapters are kept: ``$HOMEGROUND_ADAPTERS_DIR``, else the platform's user data directory."""
    override = os.environ.get(DIRECTORY_VARIABLE)
    return Path(override).expanduser() if override else platformdirs.user_data_path("homeground") / "adapters"


def drop_unfinished(name: str) -> None:
    """Throw away what an interrupted training of an adapter of this name has left to go on from."""
    if re.fullmatch(NAME_PATTERN, name):
        shutil.rmtree(adapters_dir() / UNFINISHED / name, ignore_errors=True)


def installed(base: Model | None = None) -> list[Adapter]:
    """
    Return the adapters on this machine, sorted by name; unreadable ones are logged and left out.

    Args:
        base: only those that were trained on this model's weights.
    """
    found = []
    for directory in _directories().values():
        try:
            changed = (directory / MANIFEST).stat().st_mtime_ns
        except FileNotFoundError:  # removed since it was listed
            continue
        adapter = _read_once(directory, changed)
        if adapter is None:
            continue
        if base is None or adapter.base_weights_hash == base.weights_hash:
            found.append(adapter)
    return found


def offered(base: Model) -> list[Adapter]:
    """Return the adapters that requests to a model may ask for: made for its weights, and let through."""
    return [adapter for adapter in installed(base) if adapter.is_offered]


def for_passages(offered_names: Sequence[str]) -> str | None:
    """
    Return the shipped adapter that answers from passages, if a model offers it.

    Args:
        offered_names: what requests to the model may ask for.
    """
    return next((one.name for one in _shipped_for_passages() if one.name in offered_names), None)


def shipped_for(base: Model) -> Adapter | None:
    """Return the shipped adapter that answers from passages with a model; None where none was made for it."""
    return next((one for one in _shipped_for_passages() if one.base_weights_hash == base.weights_hash), None)


def _shipped_for_passages() -> list[Adapter]:
    return [
        one for one in installed() if one.directory.parent == SHIPPED and one.trained_with_context and one.is_offered
    ]


def not_offered(name: str, generator: str, known: Sequence[str]) -> ModelError:
    """
    Return the error for an adapter that a request may not ask for, with the reason where there is one.

    Args:
        name: what was asked for.
        generator: the model that would have to use it.
        known: what may be asked for.
    """
    reason = ""
    if name in _directories():
        adapter = read(_directories()[name])
        if not adapter.is_offered:
            reason = (
                f" It did not pass the checks after its training: read {adapter.directory / REPORT}; "
                f"`python -m finetune.adapters accept {name}` offers it all the same."
            )
        else:
            reason = f" It was made for {adapter.base!r} with weights {adapter.base_weights_hash[:12]}."
    return ModelError(
        f"no adapter {name!r} is offered for {generator!r}; offered: {', '.join(known) or 'none'}.{reason}"
    )


def locate(name: str) -> Adapter:
    """
    Return the adapter of this name.

    Raises:
        ModelError: there is none, or its manifest cannot be used.
    """
    known = _directories()
    if name in known:
        return read(known[name])
    closest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:3]
    hint = (
        f"Closest: {', '.join(closest)}." if closest else "Train one with `python -m finetune.train --config CONFIG`."
    )
    raise ModelError(f"There is no adapter named {name!r} in {adapters_dir()}. {hint}")


def _directories() -> dict[str, Path]:
    found = {}
    for root in (SHIPPED, carried("adapters"), adapters_dir()):
        for child in root.iterdir() if root is not None and root.is_dir() else ():
            if re.fullmatch(NAME_PATTERN, child.name) and (child / MANIFEST).is_file():
                found[child.name] = child
    return dict(sorted(found.items()))


@lru_cache(maxsize=1024)
def _read_once(directory: Path, changed_ns: int) -> Adapter | None:
    """Read a manifest, or say once why it cannot be read; again only after it has changed."""
    try:
        return read(directory)
    except ModelError as error:
        log.warning("%s", error)
        return None
