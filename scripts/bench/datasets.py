"""Where the evaluation data lies; :mod:`rag.evaluate.dataset` reads it."""

from __future__ import annotations

import os
from pathlib import Path

from models.base import InputError


def data_dir() -> Path:
    """
    Return where the evaluation data lies: ``$HOMEGROUND_BENCH_DATA``, else ``shared/data`` beside the checkout.

    Raises:
        InputError: there is no such folder.
    """
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("HOMEGROUND_BENCH_DATA", default))
    if not path.is_dir():
        raise InputError(
            f"the evaluation data is not at {path}; set HOMEGROUND_BENCH_DATA to the folder that holds it."
        )
    return path
