"""A program of ours as a child: in a group of its own, so that it can be ended with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rag.runs.folder import RunFolder

GRACE_S = 30.0
"""So long a program gets to save what it has; a training ends after the step at hand."""

LOOK_EVERY_S = 0.1

_PACKAGES = Path(__file__).resolve().parents[2]


def run(module: str, arguments: Sequence[str], folder: RunFolder, stopping: threading.Event) -> int | None:
    """
    Run a program to its end.

    Args:
        module: as ``python -m`` takes it.
        arguments: its own.
        folder: where what it prints and says is kept.
        stopping: ends it once it is set.

    Returns:
        Its exit status; None when it was stopped.
    """
    command = [sys.executable, "-m", "rag.runs.child", module, *arguments]
    with folder.output.open("wb") as output, folder.log.open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - the module is one of ours
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=log,
            cwd=_PACKAGES,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    with child:
        while child.poll() is None and not stopping.wait(LOOK_EVERY_S):
            pass
        if child.returncode is None:
            _end(child)
            return None
    return child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a group: ask, wait, and take what is left of it away."""
    deadline = time.monotonic() + GRACE_S
    _signal(child.pid, signal.SIGTERM)
    while time.monotonic() < deadline and _signal(child.pid, 0):
        child.poll()  # a child that nobody has asked after stays in the group
        time.sleep(LOOK_EVERY_S)
    _signal(child.pid, signal.SIGKILL)
    child.wait()


def _signal(group: int, number: int) -> bool:
    """Send a signal to a group; tell whether there was anybody."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False
