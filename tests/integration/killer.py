"""
A program whose children are killed: each ingests a folder, and the N-th sends itself SIGKILL at its N-th write to disk.

Run as ``python killer.py BASE NEW [OLD]``. The child N works in ``BASE/N``, writes what was acknowledged into
``BASE/N.acknowledged``, and first indexes the folder OLD, unharmed, if there is one. Ends when a child is not killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import apsw

from rag.config import load
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

BELOW = apsw.vfs_names()[0]
remaining = sys.maxsize


def count() -> None:
    global remaining
    remaining -= 1
    if remaining < 0:
        os.kill(os.getpid(), signal.SIGKILL)


class KillingFile(apsw.VFSFile):
    def __init__(self, filename: Any, flags: list[int]) -> None:
        super().__init__(BELOW, filename, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        count()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        count()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        count()
        super().xTruncate(size)


class KillingVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("killing", BELOW, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> KillingFile:
        return KillingFile(name, flags)


def ingest(data: Path, folder: Path, acknowledged: Path) -> None:
    with Workspace(load(data_dir=data, environment={}), embedder=HashEmbedder()) as workspace:
        base = workspace.collection("c", create=True)
        for path in sorted(folder.iterdir()):
            report = base.add(path)
            with acknowledged.open("a") as file:
                file.writelines(f"{source}\n" for source, _ in report.documents)


def child(base: Path, number: int, folders: list[Path]) -> None:
    global remaining
    documents = base / f"{number}.documents"
    for folder in folders:
        shutil.copytree(folder, documents, dirs_exist_ok=True)
        last = folder is folders[-1]
        remaining = number if last else sys.maxsize
        ingest(base / str(number), documents, base / f"{number}.{'acknowledged' if last else 'old'}")


def main(base: Path, folders: list[Path]) -> None:
    number, status = 0, signal.SIGKILL
    while status:
        process = os.fork()
        if not process:
            child(base, number, folders)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"child {number} ended with status {status}")
        number += 1


if __name__ == "__main__":
    vfs = KillingVFS()
    main(Path(sys.argv[1]), [Path(folder) for folder in reversed(sys.argv[2:])])
