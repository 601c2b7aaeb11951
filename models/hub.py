"""Model hubs: the safe files of one commit of a repository, through ``huggingface_hub``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models import vetting
from models.base import ModelError
from models.catalog import HubSource

# sentence-transformers keeps its layers in folders such as 1_Pooling; other folders hold other formats.
MODULE_FOLDER = re.compile(r"\d+_[A-Za-z]+/[^/]+")
WEIGHTS = re.compile(r"model[^/]*\.safetensors")


@dataclass(frozen=True, slots=True)
class Commit:
    """
    One state of a repository.

    Attributes:
        sha: the commit.
        licence: as the repository states it, or ``unknown``.
        sizes: bytes of each file that will be fetched.
        digests: SHA-256 of those files for which the hub states one.
    """

    repository: str
    sha: str
    licence: str
    sizes: Mapping[str, int]
    digests: Mapping[str, str]


def resolve(source: HubSource) -> Commit:
    """
    Ask the hub which commit a revision is, and which of its files are wanted.

    Raises:
        ModelError: the hub cannot be reached, does not give the repository out, or it has no safetensors weights.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi().model_info(source.repository, revision=source.revision, files_metadata=True)
    except HfHubHTTPError as error:
        raise ModelError(
            f"The hub does not give out {source.repository} at {source.revision!r} ({type(error).__name__}). Check "
            "the name; where its licence must be accepted, do so on its page and set HF_TOKEN."
        ) from error
    except _network_errors() as error:
        raise ModelError(_unreachable(error)) from error
    wanted = {file.rfilename: file for file in info.siblings or () if is_wanted(file.rfilename)}
    if not any(WEIGHTS.fullmatch(name) for name in wanted):
        raise ModelError(f"{source.repository} has no safetensors weights; other kinds can carry code. Choose another.")
    licence = info.card_data.license if info.card_data else None
    return Commit(
        repository=source.repository,
        sha=str(info.sha),
        licence=licence if isinstance(licence, str) else "unknown",
        sizes={name: file.size or 0 for name, file in wanted.items()},
        digests={name: file.lfs.sha256 for name, file in wanted.items() if file.lfs},
    )


def download(commit: Commit, directory: Path) -> None:
    """
    Fetch a commit's files; what an interrupted fetch left in the directory is continued.

    Raises:
        ModelError: the hub cannot be reached, the download breaks off, or a file is not the one that the hub states.
    """
    from huggingface_hub import snapshot_download

    patterns = [_exactly(name) for name in commit.sizes]
    try:
        snapshot_download(commit.repository, revision=commit.sha, local_dir=directory, allow_patterns=patterns)
    except _network_errors() as error:
        raise ModelError(_unreachable(error)) from error
    missing = [name for name in commit.sizes if not (directory / name).is_file()]
    if missing:
        raise ModelError(f"The download of {commit.repository} is incomplete: {', '.join(missing)}. Run it again.")
    for name, expected in commit.digests.items():
        with (directory / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            (directory / name).unlink()
            raise ModelError(
                f"{name} has SHA-256 {found}, the hub states {expected}. It was thrown away; run it again."
            )


def is_wanted(path: str) -> bool:
    """Return whether a repository's file belongs to the model as it is loaded here."""
    if not vetting.is_safe_kind(path) or path.startswith(".") or path == "adapter_config.json":
        return False
    if "/" in path:
        return MODULE_FOLDER.fullmatch(path) is not None
    return not path.endswith(".safetensors") or WEIGHTS.fullmatch(path) is not None


def _exactly(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _network_errors() -> tuple[type[Exception], ...]:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    return (httpx2.HTTPError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled)


def _unreachable(error: Exception) -> str:
    return (
        f"The model hub cannot be used ({type(error).__name__}). Check the network connection, the proxy, HF_ENDPOINT, "
        "HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, and run it again: a download continues where it broke off."
    )
