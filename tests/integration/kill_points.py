"""
A program whose children are killed: the N-th sends itself SIGKILL at its N-th change of the file system.

Run as ``python kill_points.py WHAT BASE``. Child N works in ``BASE/N``, a copy of ``BASE/start``; ``BASE/input`` is
what it reads. Changes are seen by an audit hook (files opened to be written, renamed, linked, removed, folders made,
programs started); inside a Python environment that is being made, only the programs count. Ends when a child lives on.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
    "subprocess.Popen",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
remaining = sys.maxsize


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    global remaining
    is_change = event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING)
    if not is_change or (event != "subprocess.Popen" and "/env/" in str(arguments[0])):
        return
    remaining -= 1
    if remaining < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def install(work: Path, given: Path) -> None:
    from scripts.bundle.install import install
    from scripts.bundle.installation import Installation

    install(given / "bundle", Installation(work), given / "key.pub", None, lambda line: None)


def backup(work: Path, given: Path) -> None:
    from rag.snapshots import Backup

    Backup(work, create=True).make(given / "data", given / "adapters")


def restore(work: Path, given: Path) -> None:
    from rag.snapshots import Backup

    taken = Backup(given / "backup")
    taken.restore(taken.read(), work / "data", work / "adapters", replace=True)


def main(what: Callable[[Path, Path], None], base: Path) -> None:
    global remaining
    number, status = 0, signal.SIGKILL
    sys.addaudithook(hook)
    while status:
        work = base / str(number)
        shutil.copytree(base / "start", work, symlinks=True)
        process = os.fork()
        if not process:
            remaining = number
            what(work, base / "input")
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"child {number} ended with status {status}")
        number += 1


if __name__ == "__main__":
    import scripts.bundle.install  # noqa: F401 - imported before the children begin to count

    main({"install": install, "backup": backup, "restore": restore}[sys.argv[1]], Path(sys.argv[2]))
