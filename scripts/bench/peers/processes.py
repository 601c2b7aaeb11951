"""One system, one process: run it, read its answer, and watch what it occupies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import psutil

from models.base import InputError


class System(StrEnum):
    """What is compared."""

    HOMEGROUND = "homeground"
    LANGCHAIN = "langchain"
    LLAMAINDEX = "llamaindex"
    HAYSTACK = "haystack"
    TXTAI = "txtai"


OURS = System.HOMEGROUND
ROOT = Path(__file__).resolve().parents[3]
QUIET = {"HAYSTACK_TELEMETRY_ENABLED": "False", "SCARF_NO_ANALYTICS": "true", "LANGSMITH_TRACING": "false"}
MEMORY_INTERVAL_S = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a run gave.

    Attributes:
        result: the object that the system printed.
        process_s: from the start of the process to its end, imports and loading of the model included.
        peak_mib: most resident memory of it and its children together; pages that they share count more than once.
    """

    result: dict[str, Any]
    process_s: float
    peak_mib: float


def run(system: System, python: Path, task: str, path: Path, *options: str) -> Outcome:
    """
    Run a system's task in its environment.

    Args:
        system: which one.
        python: the interpreter of the peers' environment.
        task: ``retrieval`` or ``ingest``.
        path: what the task reads.
        options: of the command line in :mod:`scripts.bench.peers.contract`.

    Raises:
        InputError: it failed; what it wrote to standard error stands above.
    """
    environment = {**os.environ, **QUIET}
    if system != OURS and task == "ingest":
        environment.pop("OMP_WAIT_POLICY", None)  # our commands set it, theirs do not; beside other work it decides
    started = time.perf_counter()
    with subprocess.Popen(
        command(system, python, task, str(path), *options),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        peak: list[float] = [0.0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - started
        watcher.join()
    if process.returncode != 0:
        raise InputError(f"{system} ended with {process.returncode} at {task} {path}; see above.")
    return Outcome(json.loads(output.splitlines()[-1]), seconds, peak[0])


class Talk:
    """
    A process that answers lines until it is closed (:mod:`scripts.bench.peers.lines`).

    Args:
        name: what it is called in errors.
        words: its command line.

    Attributes:
        peak_mib: most resident memory so far, as :class:`Outcome` counts it.
    """

    def __init__(self, name: str, words: Sequence[str]) -> None:
        self._name = name
        self._process = subprocess.Popen(
            words, cwd=ROOT, env=their_environment(words[0]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._peak = [0.0]
        threading.Thread(target=_watch, args=(self._process.pid, self._peak), daemon=True).start()

    @property
    def peak_mib(self) -> float:
        """Most resident memory so far."""
        return self._peak[0]

    def ask(self, request: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
        """
        Send a line and wait for the answer.

        Raises:
            InputError: the process has ended; what it wrote to standard error stands above.
        """
        sending, reading = self._process.stdin, self._process.stdout
        if sending is None or reading is None:
            raise ValueError("the process has no pipes")
        try:
            sending.write(json.dumps(request) + "\n")
            sending.flush()
            line = reading.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise InputError(f"{self._name} ended with {self._process.wait()}; see above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()


def their_environment(interpreter: str) -> dict[str, str]:
    """Return the variables for a process: our commands set how their threads wait, the others' do not."""
    variables = {**os.environ, **QUIET}
    if interpreter != sys.executable:
        variables.pop("OMP_WAIT_POLICY", None)
    return variables


def command(system: System, python: Path, *words: str) -> list[str]:
    """Return the command line of a system in its environment."""
    interpreter = sys.executable if system == OURS else str(python)
    return [interpreter, "-m", f"scripts.bench.peers.{OURS if system == OURS else f'{system}_peer'}", *words]


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the highest sum of resident memory of a process and its descendants, MiB, until it ends."""
    try:
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(_resident(member) for member in family) / 2**20)
            time.sleep(MEMORY_INTERVAL_S)
    except psutil.NoSuchProcess:
        return


def _resident(process: psutil.Process) -> int:
    """Return the resident memory of a process, bytes; converters come and go, and one that is gone has none."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
