"""Options that several benchmarks have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.bench.peers.environment import VARIABLES

PeersPython = Annotated[
    Path,
    typer.Option(
        "--peers-python",
        envvar=VARIABLES["peers"],
        exists=True,
        dir_okay=False,
        help="interpreter of the peers' environment",
    ),
]
Gguf = Annotated[Path | None, typer.Option(exists=True, help="the model for llama.cpp, if not a catalog's")]
