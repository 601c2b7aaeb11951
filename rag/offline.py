"""
The proof that nothing reaches out: ingest, ask, serve and a short training, watched, where there is no network.

On Linux the programs run in a network namespace of their own that holds nothing but loopback. Python's own attempts are
stopped and noted by :mod:`rag.connections`; those of compiled code come to the kernel, which counts the packets that
have no route. Where no namespace may be made, only the first is done, and the result says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.base import StoreError
from rag import connections
from rag.config import Settings

INTERFACE_FLAGS = 0x8914  # SIOCSIFFLAGS
UP_AND_RUNNING = 0x41  # IFF_UP | IFF_RUNNING
PATIENCE_S = 900
SERVER_PATIENCE_S = 180

QUESTION = "What does a lost badge cost?"
DOCUMENTS = {
    "badges.md": "# Badges\n\nA lost badge is replaced at the front desk for five pounds.\n",
    "leave.md": "# Leave\n\nEverybody has 25 days of annual leave.\n",
}
ROWS = 8
TRAINING = {
    "steps": 2,
    "batch_size": 2,
    "max_length": 256,
    "kl_weight": 0,
    "eval_every": 2,
    "gate": {"general": "general.txt"},
}


@dataclass(slots=True)
class Proof:
    """
    What was run, and what was tried meanwhile.

    Attributes:
        isolation: ``network namespace``, or ``audit hook`` where none may be made.
        steps: seconds by step.
        attempts: each with ``module``, ``event``, ``address`` and ``program``.
        packets: packets without a route, of compiled code; None without a namespace.
    """

    isolation: str
    steps: dict[str, float] = field(default_factory=dict)
    attempts: list[dict[str, str]] = field(default_factory=list)
    packets: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing was tried."""
        return not self.attempts and not self.packets


def prove(settings: Settings) -> Proof:
    """
    Run the proof with the configured models, on documents of its own; takes a minute or two.

    Raises:
        StoreError: one of the programs failed.
    """
    isolated = _may_isolate()
    command = [sys.executable, "-m", "rag.offline", settings.model_dump_json()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())}
    result = subprocess.run(  # noqa: S603 - the command is fixed
        ["unshare", "--map-root-user", "--net", *command] if isolated else command,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=4 * PATIENCE_S,
    )
    if result.returncode:
        raise StoreError(f"the proof could not be carried out: {result.stderr.strip()[-1500:]}")
    return Proof(**json.loads(result.stdout))


def _may_isolate() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    trial = ["unshare", "--map-root-user", "--net", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0  # noqa: S603


def _search_path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [str(Path(__file__).resolve().parents[1]), *([given] if given else [])]


def _prove_here(settings: Settings) -> Proof:
    """Run the programs in this process's network, which is an empty one if the namespace could be made."""
    proof = Proof("network namespace" if _is_empty_network() else "audit hook")
    if proof.isolation == "network namespace":
        _raise_loopback()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        record = work / "attempts.jsonl"
        environment = _watched(work, record, settings)
        for name, step in (("ingest", _ingest), ("ask", _ask), ("serve", _serve), ("train", _train)):
            started = time.perf_counter()
            step(work, environment, settings)
            proof.steps[name] = round(time.perf_counter() - started, 1)
        if record.exists():
            proof.attempts = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    proof.packets = _packets_without_route() if proof.isolation == "network namespace" else None
    return proof


def _watched(work: Path, record: Path, settings: Settings) -> dict[str, str]:
    """Return the environment in which Python programs are watched and our settings are this proof's own."""
    hook = work / "hook"
    hook.mkdir()
    source = Path(connections.__file__).read_text(encoding="utf-8")
    (hook / "sitecustomize.py").write_text(f"{source}\n\nwatch()\n", encoding="utf-8")
    kept = {
        name: value for name, value in os.environ.items() if name not in ("HOMEGROUND_WATCH", "HOMEGROUND_REMOTE__URL")
    }
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(hook), *_search_path()]),
        connections.FILE_VARIABLE: str(record),
        "HOMEGROUND_DATA_DIR": str(work / "data"),
        "HOMEGROUND_ADAPTERS_DIR": str(work / "adapters"),
        "HOMEGROUND_EMBEDDER": settings.embedder,
        "HOMEGROUND_GENERATOR": settings.generator,
        "HOMEGROUND_ENGINE": settings.engine,
        "HOMEGROUND_COLLECTION": "proof",
    }


def _ingest(work: Path, environment: Mapping[str, str], settings: Settings) -> None:
    documents = work / "documents"
    documents.mkdir()
    for name, text in DOCUMENTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    _run("rag.ingest", environment, str(documents))


def _ask(work: Path, environment: Mapping[str, str], settings: Settings) -> None:
    _run("rag.ask", environment, QUESTION, "--max-tokens", "16", "--json")


def _train(work: Path, environment: Mapping[str, str], settings: Settings) -> None:
    rows = [{"prompt": f"Say {number}.", "completion": str(number)} for number in range(ROWS)]
    (work / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (work / "general.txt").write_text("\n\n".join(DOCUMENTS.values()), encoding="utf-8")
    run = {"base": settings.generator, "name": "proof", "data": {"train": "train.jsonl"}, **TRAINING}
    (work / "train.yaml").write_text(json.dumps(run), encoding="utf-8")
    _run("finetune.train", environment, "--config", str(work / "train.yaml"), "--json")


def _serve(work: Path, environment: Mapping[str, str], settings: Settings) -> None:
    """Start the server, and ask it as a program does."""
    command = [sys.executable, "-m", "rag.serve", "--port", "0"]
    log = work / "serve.log"
    key = "hg-" + os.urandom(16).hex()
    with log.open("w") as out:
        server = subprocess.Popen(  # noqa: S603 - the command is fixed
            command, stdout=out, stderr=subprocess.STDOUT, env={**environment, "HOMEGROUND_API_KEY": key}
        )
    try:
        address = _wait_for_server(server, log)
        listed = _request(f"{address}/v1/models", key)
        model = next(one["id"] for one in listed["data"] if one["id"].endswith("@proof"))
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16}
        _request(f"{address}/v1/chat/completions", key, body)
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def _wait_for_server(server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the server's address once it is ready."""
    deadline = time.monotonic() + SERVER_PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        text = log.read_text(encoding="utf-8")
        if "Ready after" in text:
            return text.partition("Homeground listens on ")[2].partition(";")[0]
        time.sleep(0.2)
    raise StoreError(f"rag.serve did not become ready: {log.read_text(encoding='utf-8')[-1000:]}")


def _request(url: str, key: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - an address of our own server
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_S) as response:
        answer: dict[str, Any] = json.loads(response.read())
    return answer


def _run(module: str, environment: Mapping[str, str], *arguments: str) -> None:
    result = subprocess.run(  # noqa: S603 - the command is fixed
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=PATIENCE_S,
    )
    if result.returncode:
        raise StoreError(f"{module} ended with {result.returncode}: {result.stderr.strip()[-1000:]}")


def _is_empty_network() -> bool:
    """Tell whether this process's network holds nothing but loopback."""
    if sys.platform != "linux":
        return False
    lines = Path("/proc/net/dev").read_text(encoding="ascii").splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines] == ["lo"]


def _raise_loopback() -> None:
    """Switch loopback on, which is off in a new namespace."""
    import fcntl
    import socket
    import struct

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, INTERFACE_FLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))


def _packets_without_route() -> int:
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    old = int(dict(zip(*rows, strict=True))["OutNoRoutes"])
    new = Path("/proc/net/snmp6")
    lines = new.read_text().splitlines() if new.exists() else []
    return old + sum(int(line.split()[1]) for line in lines if line.startswith("Ip6OutNoRoutes"))


def main() -> None:
    """Run the proof in this process's network, and print it."""
    proof = _prove_here(Settings.model_validate_json(sys.argv[1]))
    sys.stdout.write(json.dumps(asdict(proof)))


if __name__ == "__main__":
    main()
