"""The commands as people type them, in processes of their own: exit codes, one JSON object, one line for an error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "docs" / "samples" / "handbook"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


COMMANDS = (
    "models.fetch", "models.export", "rag.ingest", "rag.ask", "rag.serve", "rag.evaluate", "rag.tune", "rag.ground",
    "rag.users", "rag.doctor", "rag.backup", "finetune.train", "finetune.adapters", "finetune.export",
    "scripts.decide",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_the_command_without_importing_torch(command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert result.returncode == 0
    assert "Usage" in result.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"torch", "transformers", "openvino", "faiss", "tantivy"}


def test_ask_without_models_is_one_line_that_says_what_to_run(tmp_path: Path) -> None:
    result = run("rag.ingest", str(HANDBOOK), "--data-dir", str(tmp_path), HOMEGROUND_MODELS_DIR=str(tmp_path / "none"))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "python -m models.fetch" in result.stderr
    assert "Traceback" not in result.stderr


def test_ask_about_an_unknown_collection_names_the_existing_ones(tmp_path: Path) -> None:
    result = run("rag.ask", "What?", "--collection", "none", "--data-dir", str(tmp_path))
    assert result.returncode == 2
    assert "there is no collection 'none' (existing: none yet)" in result.stderr


def test_wrong_settings_are_all_named_in_one_line(tmp_path: Path) -> None:
    settings = tmp_path / "s.yaml"
    settings.write_text("chunk:\n  size: 1\nunknown: 3\n")
    result = run("rag.ask", "What?", "--config", str(settings), "--data-dir", str(tmp_path))
    assert result.returncode == 2
    assert "line 2: chunk.size" in result.stderr
    assert "line 3: unknown: unknown setting" in result.stderr


@pytest.mark.weights
def test_ingest_and_ask_print_one_object_each(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "good.md").write_text("# Canteen\n\nThe canteen opens at noon and closes at two.\n")
    (documents / "empty.md").write_bytes(b"")
    data = ("--data-dir", str(tmp_path / "data"), "--collection", "c", "--json")

    result = run("rag.ingest", str(documents), *data)
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert report["documents"] == [{"source": "good.md", "chunks": 1}]
    assert report["errors"] == [{"source": "empty.md", "error": "is empty."}]
    assert {"unchanged", "removed", "seconds"} <= report.keys()

    result = run("rag.ask", "When does the canteen open?", *data)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert {"answer", "abstained", "citations", "timings", "model", "adapter", "collection", "engine"} <= answer.keys()
    assert answer["timings"].keys() == {"retrieve_s", "first_token_s", "total_s", "prompt_tokens", "new_tokens"}
    for citation in answer["citations"]:
        assert {"source", "page", "heading", "quote", "start", "end", "score"} <= citation.keys()

    again = json.loads(run("rag.ask", "When does the canteen open?", *data).stdout)
    assert again["answer"] == answer["answer"]
    plain = json.loads(run("rag.ask", "When does the canteen open?", "--no-retrieval", *data).stdout)
    assert plain["collection"] is None


@pytest.mark.weights
def test_ingest_shows_a_table_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "bad.pdf").write_bytes(b"%PDF-1.4 nothing behind")
    result = run("rag.ingest", str(tmp_path / "d"), "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 1
    assert "Not indexed" in result.stdout
    assert "bad.pdf" in result.stdout
