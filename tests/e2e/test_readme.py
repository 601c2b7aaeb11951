"""The README's commands and its Python run as they stand there, on a machine that has the default models."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

ENDLESS = ("python -m rag.serve", "scripts/demo", "source .venv/bin/activate")
"""The server has tests of its own; the demo is run below without it; and this test's interpreter is the environment."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.strip()]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HOMEGROUND_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}


@pytest.mark.weights
def test_readme_commands_run(tmp_path: Path) -> None:
    assert set(ENDLESS) <= set(commands())
    for line in commands():
        if line in ENDLESS:
            continue
        words = [sys.executable if word == "python" else word for word in shlex.split(line)]
        result = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=environment(tmp_path))
        assert result.returncode == 0, f"{line}\n{result.stderr}"


@pytest.mark.weights
def test_readme_python_runs(tmp_path: Path) -> None:
    (code,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment(tmp_path),
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
