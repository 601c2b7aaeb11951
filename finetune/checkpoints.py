"""
Checkpoints that are complete or absent.

One is written under another name, with the SHA-256 of every file, flushed to the disk and then renamed. What a crash
leaves behind is never taken for a checkpoint, and one that was damaged since is passed over for the one before it.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

from models.durable import flush
from models.manifest import file_sha256

logger = logging.getLogger(__name__)

WRITING = ".writing"
DIGESTS = "digests.json"
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)")


def begin(directory: Path) -> Path:
    """Return an empty directory below ``directory`` to write a checkpoint into."""
    writing = directory / WRITING
    if writing.exists():
        shutil.rmtree(writing)
    writing.mkdir(parents=True)
    return writing


def finish(directory: Path) -> Path:
    """Make what :func:`begin` gave and was filled since a checkpoint; older ones than the last two go."""
    (written,) = [path for path in (directory / WRITING).iterdir() if _NAME.fullmatch(path.name)]
    files = sorted(path for path in written.rglob("*") if path.is_file())
    digests = {path.relative_to(written).as_posix(): file_sha256(path) for path in files}
    (written / DIGESTS).write_text(json.dumps(digests, indent=2), encoding="utf-8")
    for path in [*files, written / DIGESTS, written]:
        flush(path)
    final = directory / written.name
    if final.exists():
        shutil.rmtree(final)
    written.rename(final)
    flush(directory)
    for old in _all(directory)[KEPT:]:
        shutil.rmtree(old)
    return final


def last(directory: Path) -> Path | None:
    """Return the newest checkpoint whose files are all as they were written; None where there is none."""
    for path in _all(directory):
        damage = _damage(path)
        if damage is None:
            return path
        logger.warning("%s is not used: %s", path, damage)
    return None


def _all(directory: Path) -> list[Path]:
    """Return every checkpoint, the newest first."""
    if not directory.is_dir():
        return []
    found = [(int(match[1]), path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _damage(path: Path) -> str | None:
    try:
        digests: dict[str, str] = json.loads((path / DIGESTS).read_bytes())
        changed = [name for name, digest in digests.items() if file_sha256(path / name) != digest]
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{', '.join(changed)} changed since" if changed else None
