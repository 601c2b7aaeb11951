"""The recipes that need one process only, for whoever offers a run without a settings file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

RECIPES = Path(__file__).with_name("recipes")
ALONE = ("cpu", "one-gpu", "one-small-gpu")
"""The others are started by accelerate, one process for each device."""


def recipes() -> list[dict[str, Any]]:
    """Return ``name``, ``about`` and ``settings`` of each; the settings without a base, a name and data."""
    return [_recipe(name) for name in ALONE]


def _recipe(name: str) -> dict[str, Any]:
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    comments = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    about = next(line for line in comments if not line.startswith("yaml-language-server"))
    settings = {key: value for key, value in yaml.safe_load(text).items() if key not in ("base", "name", "data")}
    return {"name": name, "about": about, "settings": settings}
