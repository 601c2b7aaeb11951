"""Runs a program of ``tests/integration`` that forks and kills children, and returns what they left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def killed_everywhere(what: str, base: Path) -> list[Path]:
    """Return the folders of all children of ``kill_points.py``; of the last, which was not killed, at the end."""
    base.mkdir(exist_ok=True)
    (base / "start").mkdir(exist_ok=True)
    return children("kill_points.py", base, what, str(base))


def children(program: str, base: Path, *arguments: str) -> list[Path]:
    """Run a killer with these arguments, and return the numbered folders below ``base``, in their order."""
    killer = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "integration" / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killer.returncode == 0, killer.stderr
    return sorted((path for path in base.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
