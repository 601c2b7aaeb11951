"""``python -m rag.ingest`` as a process: moved and selected files, Ctrl-C, watching, another embedder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from models import store
from models.manifest import write_manifest
from tests.fakes import write_tiny_embedder
from tests.serving import wait_until

ROOT = Path(__file__).parents[2]
KEY = "hg-end-to-end-0123456789"
PATIENCE_S = 120

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a models directory that holds two tiny embedders."""
    base = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("tiny-one", "tiny-two")):
        directory = write_tiny_embedder(base / name, 128, seed)
        write_manifest(directory, store.describe(directory, name, "embedder", base / f"{name}.stamp"))
    return base


@pytest.fixture
def environment(tmp_path: Path, models: Path) -> dict[str, str]:
    own = {
        "COLUMNS": "200",
        "HOMEGROUND_DATA_DIR": str(tmp_path / "data"),
        "HOMEGROUND_MODELS_DIR": str(models),
        "HOMEGROUND_EMBEDDER": "tiny-one",
    }
    return {**os.environ, **own}


@pytest.fixture
def ingest(environment: dict[str, str]) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rag.ingest", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "drafts").mkdir(parents=True)
    (folder / "badges.md").write_text("# Badges\n\nA lost badge costs five pounds.\n")
    (folder / "fire.txt").write_text("In case of fire, walk to the pier.\n")
    (folder / "drafts" / "idea.md").write_text("# Idea\n\nPerhaps.\n")
    return folder


def stored(environment: dict[str, str]) -> list[str]:
    """Read the sources from the database of a process that may be running."""
    path = Path(environment["HOMEGROUND_DATA_DIR"]) / "homeground.sqlite"
    if not path.exists():
        return []
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(10_000)
    try:
        return [source for (source,) in connection.execute("SELECT source FROM documents ORDER BY source")]
    except apsw.SQLError:  # no table yet
        return []
    finally:
        connection.close()


@contextmanager
def running(environment: dict[str, str], module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_sync_reports_what_moved_and_removes_what_is_left_out(ingest: Run, folder: Path) -> None:
    first = json.loads(ingest(folder, "--sync", "--json").stdout)
    assert {row["source"] for row in first["documents"]} == {"badges.md", "fire.txt", "drafts/idea.md"}
    (folder / "fire.txt").rename(folder / "drafts" / "fire.txt")
    moved = ingest(folder, "--sync", "--json")
    assert moved.returncode == 0, moved.stderr
    assert moved.stderr == ""
    report = json.loads(moved.stdout)
    assert (report["documents"], report["reused"], report["unchanged"], report["removed"]) == ([], 1, 2, 1)
    assert report["interrupted"] is False
    left = json.loads(ingest(folder, "--sync", "--json", "--include", "*.md", "--exclude", "drafts/").stdout)
    assert (left["unchanged"], left["removed"]) == (1, 2)
    assert "1 unchanged, 0 removed" in ingest(folder, "--exclude", "drafts/").stdout


def test_ctrl_c_keeps_what_is_stored_and_the_next_run_goes_on(
    ingest: Run, folder: Path, environment: dict[str, str]
) -> None:
    for number in range(400):
        (folder / f"{number:03}.txt").write_text(f"Rule {number} stands in every window. " * 200)
    with running(environment, "rag.ingest", folder, "--json") as process:
        wait_until(lambda: stored(environment), PATIENCE_S)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "of 403 files done, and all of it stored; run the same command again to go on" in errors
    report = json.loads(output)
    assert report["interrupted"] is True
    assert 0 < len(report["documents"]) < 403
    assert stored(environment) == sorted(row["source"] for row in report["documents"])
    for number in range(100, 400):
        (folder / f"{number:03}.txt").unlink()
    rest = json.loads(ingest(folder, "--json").stdout)
    before = [row["source"] for row in report["documents"] if (folder / row["source"]).exists()]
    assert rest["unchanged"] == len(before)
    assert len(rest["documents"]) == 103 - len(before)


def test_watch_prints_an_object_for_each_change_until_ctrl_c(folder: Path, environment: dict[str, str]) -> None:
    with running(environment, "rag.ingest", folder, "--watch", "--json", "--exclude", "drafts/") as process:
        assert process.stdout

        def next_report() -> dict[str, Any]:
            assert process.stdout
            report: dict[str, Any] = json.loads(process.stdout.readline())
            return report

        assert {row["source"] for row in next_report()["documents"]} == {"badges.md", "fire.txt"}
        (folder / "canteen.md").write_text("# Canteen\n\nIt opens at noon.\n")
        assert [row["source"] for row in next_report()["documents"]] == ["canteen.md"]
        (folder / "canteen.md").rename(folder / "food.md")
        report = next_report()
        assert (report["reused"], report["removed"], report["documents"]) == (1, 1, [])
        (folder / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
        assert [problem["source"] for problem in next_report()["errors"]] == ["broken.pdf"]
        (folder / "fire.txt").unlink()
        assert next_report()["removed"] == 1
        assert stored(environment) == ["badges.md", "food.md"]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (0, "")
    assert f"Watching {folder}; Ctrl-C ends it." in errors
    assert "Traceback" not in errors


def test_watch_survives_a_folder_that_is_away_for_a_moment(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with running(environment, "rag.ingest", folder, "--watch") as process:
        assert process.stdout
        assert process.stderr
        assert "3 documents indexed" in process.stdout.readline()
        away = folder.rename(tmp_path / "away")
        assert "Watching" in process.stderr.readline()
        assert "What is indexed of it stays" in process.stderr.readline()
        (away / "badges.md").unlink()
        assert len(stored(environment)) == 3
        away.rename(folder)
        assert "1 removed" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


def test_reembed_gives_the_collection_another_embedder(ingest: Run, folder: Path, environment: dict[str, str]) -> None:
    ingest(folder, "--collection", "rules")
    other = ("--collection", "rules", "--embedder", "tiny-two", "--json")
    refused = ingest(folder, *other)
    assert refused.returncode == 2
    assert "keeps the embedder that built it, 'tiny-one'; leave --embedder out, or change it with" in refused.stderr
    for row in folder.rglob("*.*"):
        row.unlink()
    result = ingest("--reembed", *other)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert {row["source"] for row in report["documents"]} == {"badges.md", "fire.txt", "drafts/idea.md"}
    assert json.loads(ingest("--reembed", *other).stdout)["unchanged"] == 3
    assert len(stored(environment)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give files or folders to index; or --reembed"),
        (["{folder}", "--reembed"], "give files or folders to index; or --reembed"),
        (["{folder}/badges.md", "--watch"], "only folders that exist can be watched"),
        (["{folder}/nowhere", "--watch"], "only folders that exist can be watched"),
        (["{folder}", "--exclude", "!"], "'!' is no pattern for files"),
    ],
)
def test_ingest_refuses_what_makes_no_sense(ingest: Run, folder: Path, arguments: list[str], message: str) -> None:
    result = ingest(*(argument.format(folder=folder) for argument in arguments))
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.weights
def test_server_watches_a_folder_and_embeds_an_old_collection_again(
    ingest: Run, folder: Path, environment: dict[str, str]
) -> None:
    assert ingest(folder, "--collection", "old").returncode == 0
    del environment["HOMEGROUND_EMBEDDER"], environment["HOMEGROUND_MODELS_DIR"]
    usual = {name: value for name, value in os.environ.items() if name == "HOMEGROUND_MODELS_DIR"}
    environment |= usual | {"HOMEGROUND_API_KEY": KEY}
    with running(environment, "rag.serve", "--port", 0, "--watch", f"{folder}=watched") as process:
        assert process.stdout
        url = process.stdout.readline().split("listens on ")[1].split(";")[0]
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:

            def embedder_of(name: str) -> str | None:
                listed = client.get("/api/collections").json()["collections"]
                return next((row["embedder"] for row in listed if row["name"] == name and row["documents"] == 3), None)

            wait_until(lambda: client.get("/readyz").status_code == 200, PATIENCE_S)
            wait_until(lambda: embedder_of("watched") and embedder_of("old") == embedder_of("watched"), PATIENCE_S)
            (folder / "canteen.md").write_text("# Canteen\n\nThe canteen opens at noon.\n")
            search = {"question": "When does the canteen open?", "collection": "watched", "k": 1}
            wait_until(
                lambda: client.post("/api/search", json=search).json()["hits"][0]["source"] == "canteen.md", PATIENCE_S
            )
            found = client.post("/api/search", json=search | {"question": "lost badge", "collection": "old"}).json()
            assert found["hits"][0]["source"] == "badges.md"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
