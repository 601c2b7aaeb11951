"""A full disk is one sentence, loses nothing that was acknowledged, and heals when there is room again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INGEST = """
import json, sys
from pathlib import Path
from models.base import StoreError
from rag.config import load
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

kept = []
try:
    with Workspace(load(data_dir=Path(sys.argv[1]), environment={}), embedder=HashEmbedder()) as workspace:
        base = workspace.collection("c", create=True)
        for path in sorted(Path(sys.argv[2]).iterdir()):
            kept += [source for source, _ in base.add(path).documents]
        found = [row.source for row in base.documents()]
        hits = {hit.source for hit in base.search("number 3 of the text", 100)}
    print(json.dumps({"kept": kept, "found": found, "hits": len(hits)}))
except StoreError as error:
    print(json.dumps({"kept": kept, "error": str(error)}))
"""

SCRIPT = """
set -e
mount -t tmpfs -o size=2m none "$1"
"$2" -c "$3" "$1/data" "$4"
mount -o remount,size=64m "$1"
"$2" -c "$3" "$1/data" "$4"
"""


def test_full_disk_is_said_and_heals(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs a mount namespace of its own, to fill a disk")
    documents, disk = tmp_path / "documents", tmp_path / "disk"
    documents.mkdir()
    disk.mkdir()
    for number in range(12):
        (documents / f"{number:02}.md").write_text(f"This is number {number} of the text. " * 2_000)
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", str(disk), sys.executable, INGEST, str(documents)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    full, healed = (json.loads(line) for line in result.stdout.splitlines())
    assert "full" in full["error"]
    assert 0 < len(full["kept"]) < 12
    assert set(healed["kept"]) | set(full["kept"]) == set(healed["found"]) == {f"{n:02}.md" for n in range(12)}
    assert not set(healed["kept"]) & set(full["kept"])
    assert healed["hits"] > 0
