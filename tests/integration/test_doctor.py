"""The doctor names what is there and what is not; an attempt to reach another machine is stopped and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.manifest import write_manifest
from models.store import describe
from rag import connections
from rag.config import load
from rag.offline import Proof, prove
from tests.fakes import write_tiny_embedder, write_tiny_generator

ROOT = Path(__file__).parents[2]
ATTEMPTS = """
import http.client, socket, sys
sys.path.insert(0, sys.argv[1])
import phones_home
for host in ("127.0.0.1", "localhost", "::1"):
    socket.getaddrinfo(host, 80)
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""
PHONES_HOME = """
import socket, urllib.request
for attempt in (
    lambda: urllib.request.urlopen("http://collector.example/ping"),
    lambda: socket.create_connection(("192.0.2.1", 443), 1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 53)),
):
    try:
        attempt()
    except OSError:
        pass
"""


def doctor(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rag.doctor", "--data-dir", str(tmp_path / "data"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "HOMEGROUND_MODELS_DIR": str(tmp_path / "models"), **environment},
    )


def write_models(folder: Path) -> None:
    for name, role, write in (
        ("tiny-embedder", "embedder", write_tiny_embedder),
        ("tiny", "generator", write_tiny_generator),
    ):
        directory = write(folder / name)
        write_manifest(directory, describe(directory, name, role, folder / ".stamps" / f"{name}.json"))  # type: ignore[arg-type]


def test_missing_models_are_a_problem_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    told = doctor(tmp_path, "--json")
    assert told.returncode == 1, told.stderr
    facts = json.loads(told.stdout)
    states = {one["what"]: one["state"] for one in facts["findings"]}
    assert not facts["good"]
    assert states["models"] == "problem"
    assert {states[what] for what in ("disk", "memory", "SQLite", "data", "telemetry", "homeground")} <= {
        "ok",
        "warning",
    }
    assert "python -m models.fetch all-minilm-l6-v2" in told.stderr


def test_machine_that_has_everything_is_well(tmp_path: Path) -> None:
    write_models(tmp_path / "models")
    names = {"HOMEGROUND_EMBEDDER": "tiny-embedder", "HOMEGROUND_GENERATOR": "tiny"}
    told = doctor(tmp_path, **names)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "problem" not in told.stdout
    assert not (tmp_path / "data").exists()


def test_store_of_a_newer_version_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    code = f"import apsw; apsw.Connection({str(tmp_path / 'data' / 'homeground.sqlite')!r}).pragma('user_version', 999)"
    subprocess.run([sys.executable, "-c", code], check=True)
    told = doctor(tmp_path, "--json")
    assert "was written by a newer Homeground" in told.stderr


def test_attempts_are_stopped_and_named_with_their_module(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    shutil.copy(connections.__file__, hook / "sitecustomize.py")
    with (hook / "sitecustomize.py").open("a") as file:
        file.write("\n\nwatch()\n")
    (tmp_path / "phones_home.py").write_text(PHONES_HOME)
    record = tmp_path / "attempts.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(hook), connections.FILE_VARIABLE: str(record)}
    subprocess.run([sys.executable, "-c", ATTEMPTS, str(tmp_path)], check=True, env=environment)
    attempts = [json.loads(line) for line in record.read_text().splitlines()]
    assert [one["address"] for one in attempts] == ["collector.example", "192.0.2.1", "192.0.2.2 port 53"]
    assert {one["module"] for one in attempts} == {"phones_home"}


def test_proof_is_good_only_without_attempts_and_packets() -> None:
    assert Proof("network namespace", packets=0).is_good
    assert Proof("audit hook").is_good
    assert not Proof("network namespace", packets=1).is_good
    assert not Proof("audit hook", attempts=[{"module": "x"}]).is_good


def test_ingest_ask_serve_and_training_reach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_models(tmp_path / "models")
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "models"))
    proof = prove(load(data_dir=tmp_path / "data", environment={}, embedder="tiny-embedder", generator="tiny"))
    assert proof.attempts == []
    assert not proof.packets
    assert set(proof.steps) == {"ingest", "ask", "serve", "train"}
