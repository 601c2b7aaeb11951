"""The file that a model of the catalog was made of, for llama.cpp: the same weights in its own format."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from models import catalog, wheel
from models.base import InputError
from models.catalog import WheelSource
from models.manifest import file_sha256
from scripts.bench.peers.environment import cache_dir


def gguf(model: str) -> Path:
    """
    Return a model's GGUF file; it is brought in by the package index once, and kept.

    Raises:
        InputError: the catalog has none of that name that was made of such a file.
        ModelError: the wheel that holds it cannot be had.
    """
    entry = catalog.load().models.get(model)
    source = entry.source if entry is not None else None
    files = [file for file in source.files if file.path.endswith(".gguf")] if isinstance(source, WheelSource) else []
    if not isinstance(source, WheelSource) or not files:
        raise InputError(f"{model!r} does not come as a GGUF file; name one with --gguf, or leave llama.cpp out.")
    directory = cache_dir() / "gguf" / source.sha256[:24]
    path = directory / files[0].path
    if not path.is_file() or file_sha256(path) != files[0].sha256:
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / "wheel.part"
        with Progress(console=Console(stderr=True)) as progress:  # standard output is for the report
            wheel.download(source, part, progress)
        wheel.unpack(part, tuple(files), directory)
        part.unlink()
    return path
