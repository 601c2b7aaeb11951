"""
A program whose children are killed: each ingests a folder, and the N-th sends itself SIGKILL at its N-th write to disk.

Run as ``python killer.py BASE NEW [OLD]``. The child N works in ``BASE/N``, writes what was acknowledged into
``BASE/N.acknowledged``, and first indexes the folder OLD, unharmed, if there is one. With ``--reembed BASE FOLDER`` it
indexes the folder unharmed, and is killed while it embeds it again. Ends when a child is not killed.
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
from rag.types import Document
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


def reembedding_child(base: Path, number: int, folder: Path) -> None:
    global remaining
    settings = load(data_dir=base / str(number), environment={})
    with Workspace(settings, embedder=HashEmbedder()) as workspace:
        documents = [Document(path.name, path.read_text(), path.stem) for path in sorted(folder.iterdir())]
        workspace.collection("c", create=True).add_documents(documents)
    remaining = number
    with Workspace(settings, embedder=HashEmbedder(96)) as workspace:
        workspace.reembed("c")


def main(base: Path, folders: list[Path], *, reembed: bool) -> None:
    number, status = 0, signal.SIGKILL
    while status:
        process = os.fork()
        if not process:
            reembedding_child(base, number, folders[0]) if reembed else child(base, number, folders)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"child {number} ended with status {status}")
        number += 1


if __name__ == "__main__":
    vfs = KillingVFS()
    base, *folders = [argument for argument in sys.argv[1:] if argument != "--reembed"]
    main(Path(base), [Path(folder) for folder in reversed(folders)], reembed="--reembed" in sys.argv)
