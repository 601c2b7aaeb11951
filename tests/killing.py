"""Runs ``tests/integration/kill_points.py`` and returns what its children left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KILLER = ROOT / "tests" / "integration" / "kill_points.py"


def killed_everywhere(what: str, base: Path) -> list[Path]:
    """Return the folders of all children; of the last one, which was not killed, at the end."""
    base.mkdir(exist_ok=True)
    (base / "start").mkdir(exist_ok=True)
    killer = subprocess.run(
        [sys.executable, str(KILLER), what, str(base)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killer.returncode == 0, killer.stderr
    return sorted((path for path in base.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
