"""What a bundle brought: models, exports and adapters beside the environment, read and never changed."""

from __future__ import annotations

import sys
from pathlib import Path


def carried_dir() -> Path | None:
    """
    Return the bundle that this environment was installed from; None where it was set up otherwise.

    ``scripts.bundle`` puts the two side by side, ``bundle`` and ``env``. What is fetched, exported or trained on this
    machine goes where it always goes, and outlives an update.
    """
    folder = Path(sys.prefix).resolve().parent / "bundle"
    return folder if (folder / "manifest.json").is_file() else None


def carried(kind: str) -> Path | None:
    """Return the bundle's folder for a kind of thing: ``models``, ``exports`` or ``adapters``, if it has one."""
    root = carried_dir()
    return root / kind if root is not None and (root / kind).is_dir() else None
