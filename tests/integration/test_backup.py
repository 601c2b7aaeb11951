"""Snapshots are of one moment, share what did not change, say what is damaged, and give the same answers back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from models.base import InputError, StoreError
from rag.config import load
from rag.snapshots import Backup
from rag.store import snapshot
from rag.types import Document
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator
from tests.killing import ROOT, killed_everywhere

TEXT = "# {0}\n\nThe code of {0} is {0}-{1}. " + "It is kept in the safe of the duty manager. " * 30


def workspace(data: Path) -> Workspace:
    settings = load(data_dir=data, environment={})
    return Workspace(settings, embedder=HashEmbedder(), generator=ScriptedGenerator(["The code is alpha-1 [1]."]))


def fill(data: Path, count: int = 3, version: int = 1, *, collection: str = "c") -> None:
    with workspace(data) as opened:
        texts = [(f"n{number}.md", TEXT.format(f"name{number}", version)) for number in range(count)]
        opened.collection(collection, create=True).add_documents(
            [Document(source, text, source) for source, text in texts]
        )


def answers(data: Path) -> list[object]:
    with workspace(data) as opened:
        base = opened.collection("c")
        found = []
        for question in ("What is the code of name1?", "Where is it kept?", "nothing of it"):
            answer = base.ask(question)
            hits = [(hit.source, hit.chunk.text, hit.score) for hit in answer.hits]
            found.append((answer.text, answer.abstained, answer.citations, hits))
        return found


def stored(data: Path) -> list[tuple[str, str]]:
    """Return what documents a store holds, once it has been opened and closed as every command does."""
    with workspace(data) as opened:
        base = opened.collection("c")
        return [(row.source, base.document(row.id).text) for row in base.documents()]


def adapters(folder: Path) -> Path:
    (folder / "house-style").mkdir(parents=True)
    (folder / "house-style" / "manifest.json").write_text("{}")
    (folder / ".unfinished").mkdir()
    return folder


def test_restore_to_an_empty_machine_gives_the_same_answers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data)
    (data / "homeground.yaml").write_text("answer: {passages: 2}\n")
    (data / "api-key").write_text("hg-secret-0123456789\n")
    (data / "api-key").chmod(0o600)
    before = answers(data)
    taken = Backup(tmp_path / "backup", create=True).make(data, adapters(tmp_path / "adapters"))
    assert set(taken.files) == {
        "data/homeground.sqlite", "data/homeground.yaml", "data/api-key", "adapters/house-style/manifest.json"
    }  # fmt: skip
    backup = Backup(tmp_path / "backup")
    assert backup.restore(backup.read(), tmp_path / "new", tmp_path / "new-adapters", replace=False) == []
    assert answers(tmp_path / "new") == before
    assert (tmp_path / "new" / "api-key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new-adapters" / "house-style" / "manifest.json").read_text() == "{}"
    assert [path.name for path in (tmp_path / "new").iterdir() if path.name.startswith(".")] == []


def test_snapshot_beside_a_writer_is_of_one_moment(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with workspace(data) as opened:
        base = opened.collection("c", create=True)
        enough = threading.Event()

        def write() -> None:
            for version in range(1000):
                base.add_documents([Document(f"{n}.md", TEXT.format(n, version), n) for n in ("one", "two")])
                if enough.is_set():
                    return

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(3):
                command = [sys.executable, "-m", "rag.backup", "make", str(tmp_path / "backup"), "--json"]
                environment = {**os.environ, "HOMEGROUND_DATA_DIR": str(data)}
                told = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
                name = json.loads(told.stdout)["snapshot"]
                backup = Backup(tmp_path / "backup")
                backup.restore(backup.read(name), tmp_path / f"new{number}", tmp_path / "none", replace=False)
        finally:
            enough.set()
            thread.join()
    for number in range(3):
        with workspace(tmp_path / f"new{number}") as restored:
            rows = restored.collection("c").documents() if restored.collections() else []
            texts = [restored.collection("c").document(row.id).text for row in rows]
            versions = {text.partition(". ")[0].rpartition("-")[2] for text in texts}
            assert len(versions) <= 1, versions


def test_second_snapshot_stores_what_changed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, count=400)
    first = Backup(tmp_path / "backup", create=True)
    first.make(data, None, moment=0)
    again = Backup(tmp_path / "backup")
    again.make(data, None, moment=60)
    assert again.blocks.written == 0
    fill(data, count=1, version=2)
    changed = Backup(tmp_path / "backup")
    changed.make(data, None, moment=120)
    assert 0 < changed.blocks.written < first.blocks.written
    names = changed.names()
    assert changed.keep(1) == names[:2]
    changed.restore(changed.read(), tmp_path / "new", tmp_path / "none", replace=False)
    assert len(answers(tmp_path / "new")) == 3
    with pytest.raises(InputError, match=f"holds no snapshot {names[0]}"):
        changed.read(names[0])


def test_damage_is_named_and_nothing_is_restored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data)
    backup = Backup(tmp_path / "backup", create=True)
    taken = backup.make(data, None)
    block = next((tmp_path / "backup" / "blocks").glob("*/*"))
    block.write_bytes(block.read_bytes()[:-1])
    command = [sys.executable, "-m", "rag.backup", "verify", str(tmp_path / "backup")]
    told = subprocess.run([*command, "--json"], check=False, capture_output=True, cwd=ROOT)
    assert told.returncode == 2
    assert json.loads(told.stdout)["problems"] == [f"{block} is damaged."]
    with pytest.raises(StoreError, match="cannot be restored"):
        backup.restore(taken, tmp_path / "new", tmp_path / "none", replace=False)
    assert not (tmp_path / "new").exists()
    listed = tmp_path / "backup" / "snapshots" / f"{taken.name}.json"
    listed.write_text(listed.read_text().replace('"mode": ', '"mode":  '))
    with pytest.raises(StoreError, match=r"the list of snapshot .* is damaged"):
        backup.read()


def test_restore_keeps_what_it_replaces(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data)
    before = answers(data)
    backup = Backup(tmp_path / "backup", create=True)
    taken = backup.make(data, None)
    fill(data, version=2)
    assert answers(data) != before
    with pytest.raises(StoreError, match="holds documents already"):
        backup.restore(taken, data, tmp_path / "none", replace=False)
    backup.restore(taken, data, tmp_path / "none", replace=True)
    assert answers(data) == before
    (tmp_path / "kept").mkdir()
    shutil.copy(data / "homeground.sqlite.before-restore", tmp_path / "kept" / "homeground.sqlite")
    assert answers(tmp_path / "kept") != before
    with workspace(data), pytest.raises(StoreError, match="is in use"):
        backup.restore(taken, data, tmp_path / "none", replace=True)


def test_carried_collections_hold_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data)
    fill(data, collection="private")
    backup = Backup(tmp_path / "backup", create=True)
    (data / "api-key").write_text("hg-secret-0123456789\n")
    taken = backup.make(data, tmp_path / "none", collections=["c"], moment=0)
    assert set(taken.files) == {"data/homeground.sqlite"}
    backup.restore(taken, tmp_path / "new", tmp_path / "none", replace=False)
    assert b"private" not in (tmp_path / "new" / "homeground.sqlite").read_bytes()
    with workspace(tmp_path / "new") as opened:
        assert [info.name for info in opened.collections()] == ["c"]
    again = Backup(tmp_path / "again", create=True).make(data, None, collections=["c"], moment=0)
    assert again.name == taken.name
    with pytest.raises(StoreError, match="no collection nowhere"):
        backup.make(data, None, collections=["nowhere"])


def test_copy_tidies_the_log_where_nobody_has_the_store_open(tmp_path: Path) -> None:
    fill(tmp_path / "data")
    snapshot.copy(tmp_path / "data", tmp_path / "copy.sqlite")
    snapshot.check(tmp_path / "copy.sqlite")
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"homeground.sqlite", "lock", "indexes"}
    (tmp_path / "copy.sqlite").write_bytes((tmp_path / "copy.sqlite").read_bytes()[:5000])
    with pytest.raises(StoreError, match="is damaged"):
        snapshot.check(tmp_path / "copy.sqlite")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_backup_killed_everywhere_keeps_its_snapshots(tmp_path: Path) -> None:
    base = tmp_path / "killed"
    fill(base / "input" / "data")
    adapters(base / "input" / "adapters")
    old = Backup(base / "start", create=True).make(base / "input" / "data", None, moment=0)
    fill(base / "input" / "data", count=5, version=2)
    expected = answers(base / "input" / "data")
    children = killed_everywhere("backup", base)
    assert len(children) > 10
    for folder in children:
        backup = Backup(folder)
        assert old.name in backup.names()
        for name in backup.names():
            assert backup.blocks.problems(backup.read(name).files.values()) == []
    backup.make(base / "input" / "data", None)
    backup.restore(backup.read(), tmp_path / "new", tmp_path / "none", replace=False)
    assert answers(tmp_path / "new") == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_restore_killed_everywhere_leaves_the_old_or_the_new_store(tmp_path: Path) -> None:
    base = tmp_path / "killed"
    fill(tmp_path / "data")
    new = stored(tmp_path / "data")
    Backup(base / "input" / "backup", create=True).make(tmp_path / "data", adapters(tmp_path / "adapters"))
    fill(base / "start" / "data", version=2)
    old = stored(base / "start" / "data")
    assert old != new
    children = killed_everywhere("restore", base)
    assert len(children) > 10
    met = [stored(folder / "data") for folder in children]
    assert all(found in (old, new) for found in met)
    assert met[0] == old
    assert met[-1] == new
    assert answers(children[-1] / "data") == answers(tmp_path / "data")
    connection = apsw.Connection(str(children[-1] / "data" / "homeground.sqlite"))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
