"""
What is on disk when a function returns, whatever happens to the power afterwards.

Standard library only: the installer of a bundle runs this before anything is installed.
"""

from __future__ import annotations

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Put a file's bytes, or a folder's names, on disk; Windows cannot open folders, and journals their names."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that it is there complete and on disk, or not at all."""
    aside = path.with_name(f".{path.name}.tmp")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    flush(path.parent)
