"""
``python -m scripts.shipped.ship NAME``: a trained adapter becomes part of the project, in half precision.

Its manifest and its report go along; an ``ATTRIBUTION.md`` about the data it learnt from is written by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file

from models import command
from models.adapter_store import SHIPPED, locate
from models.adapters import CONFIG, MANIFEST, REPORT, WEIGHTS, Adapter
from models.base import InputError
from models.durable import write_whole
from models.manifest import file_sha256

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(name: Annotated[str, typer.Argument(help="of an adapter that passed its gate")]) -> None:
    """Copy an adapter into the project."""
    adapter = locate(name)
    if not adapter.gate_passed:
        raise InputError(f"the adapter {name!r} did not pass its gate; it is not shipped.")
    ship(adapter, SHIPPED / name)
    sys.stdout.write(f"{SHIPPED / name}: {(SHIPPED / name / WEIGHTS).stat().st_size / 1e6:.1f} MB\n")


def ship(adapter: Adapter, target: Path) -> None:
    """Write an adapter's files into a folder, its numbers in 16 bits."""
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.to(torch.float16) for name, weight in load_file(adapter.directory / WEIGHTS).items()}
    save_file(weights, target / WEIGHTS, metadata={"format": "pt"})
    for name in (CONFIG, REPORT):
        shutil.copyfile(adapter.directory / name, target / name)
    (target / WEIGHTS).chmod((target / CONFIG).stat().st_mode)
    manifest = json.loads((adapter.directory / MANIFEST).read_bytes())
    manifest["files"] = {name: file_sha256(target / name) for name in (CONFIG, WEIGHTS)}
    write_whole(target / MANIFEST, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    command.run(app)
