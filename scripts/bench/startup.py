"""
``python -m scripts.bench.startup``: how long commands take to answer, the server to be ready, and what it occupies.

Resident memory is read from ``/proc`` (Linux) when the server is ready and again after questions were answered.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from models import command

COMMANDS = ("models.fetch", "rag.ingest", "rag.ask", "rag.serve")
HANDBOOK = Path(__file__).resolve().parents[2] / "docs" / "samples" / "handbook"
KEY = "bench-key-of-the-start-up-measurement"
PORT = 8399
QUESTIONS = ("How long are camera recordings kept?", "Who may open the cash safe?", "What is the muster point?")


def seconds(*arguments: str) -> float:
    """Return how long a command takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", *arguments], check=True, capture_output=True)
    return time.perf_counter() - started


def resident_mib(process: int) -> float:
    """Return the resident memory of a process, MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def is_ready() -> bool:
    """Return whether the server takes questions."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=1) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def ask(question: str) -> None:
    """Ask the server."""
    body = json.dumps({"question": question, "collection": "handbook", "max_tokens": 64}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/ask", body, headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        reply.read()


def serve(data: str) -> dict[str, float]:
    """Start the server, ask it, stop it; return seconds and MiB."""
    arguments = [sys.executable, "-m", "rag.serve", "--data-dir", data, "--port", str(PORT)]
    started = time.perf_counter()
    with subprocess.Popen(
        arguments, env={**os.environ, "HOMEGROUND_API_KEY": KEY}, stdout=subprocess.DEVNULL
    ) as server:
        while not is_ready():
            if server.poll() is not None:
                raise SystemExit(f"the server ended with {server.returncode}")
            time.sleep(0.05)
        ready = time.perf_counter() - started
        before = resident_mib(server.pid)
        for question in QUESTIONS:
            ask(question)
        after = resident_mib(server.pid)
        server.terminate()
    return {"ready_s": ready, "ready_mib": before, "after_questions_mib": after}


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(rounds: Annotated[int, typer.Option(help="how often each is measured")] = 5) -> None:
    """Measure start-up and memory."""
    helps = {name: statistics.median(seconds(name, "--help") for _ in range(rounds)) for name in COMMANDS}
    with tempfile.TemporaryDirectory() as data:
        seconds("rag.ingest", str(HANDBOOK), "--collection", "handbook", "--data-dir", data)
        runs = [serve(data) for _ in range(rounds)]
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print(json.dumps({"help_s": helps, **medians, "rounds": rounds}, indent=2))


if __name__ == "__main__":
    command.run(app)
