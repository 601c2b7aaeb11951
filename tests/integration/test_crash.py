"""Whatever was acknowledged survives ``kill -9`` at every single write, and no document is ever half there."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from rag.config import load
from rag.store import Store
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

ROOT = Path(__file__).parents[2]
KILLER = Path(__file__).with_name("killer.py")


def write_documents(folder: Path, version: int) -> dict[str, str]:
    folder.mkdir()
    texts = {
        f"{name}.md": f"# {name}\n\n" + f"Version {version} of {name} says that the code is {name}{version}. " * 30
        for name in ("alpha", "beta")
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return texts


def check(data: Path, acknowledged: list[str], old: dict[str, str], new: dict[str, str]) -> None:
    Store(data).close()
    connection = apsw.Connection(str(data / "homeground.sqlite"))
    assert connection.pragma("integrity_check") == "ok"
    assert connection.pragma("foreign_key_check") is None
    connection.close()
    with Workspace(load(data_dir=data, environment={}), embedder=HashEmbedder()) as workspace:
        if not workspace.collections():
            assert not acknowledged
            return
        base = workspace.collection("c")
        stored = {row.source: row for row in base.documents()}
        assert stored.keys() >= {*acknowledged, *old}
        for source, row in stored.items():
            text = base.document(row.id).text
            assert text in ({new[source]} if source in acknowledged else {new[source], old.get(source)})
            hits = [hit for hit in base.search(f"code of {source}", 50) if hit.source == source]
            assert len(hits) == row.chunks
            assert {hit.chunk.text for hit in hits} == {text[hit.chunk.start : hit.chunk.end] for hit in hits}
            covered = {position for hit in hits for position in range(hit.chunk.start, hit.chunk.end)}
            assert all(position in covered for position, letter in enumerate(text) if not letter.isspace())


@pytest.mark.parametrize("replacing", [False, True], ids=["first", "replacing"])
def test_ingest_killed_at_every_write_loses_nothing_acknowledged(tmp_path: Path, replacing: bool) -> None:
    old = write_documents(tmp_path / "old", 1) if replacing else {}
    new = write_documents(tmp_path / "new", 2)
    base = tmp_path / "data"
    base.mkdir()
    folders = [tmp_path / "new", *([tmp_path / "old"] if replacing else [])]
    killer = subprocess.run(
        [sys.executable, str(KILLER), str(base), *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killer.returncode == 0, killer.stderr
    killed = [path for path in base.iterdir() if path.name.isdigit()]
    assert len(killed) > 30
    for data in killed:
        record = data.with_suffix(".acknowledged")
        check(data, record.read_text().split() if record.exists() else [], old, new)
