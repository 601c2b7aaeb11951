"""The server of llama.cpp's Python binding, compiled for this processor, in the peers' environment."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import psutil

from models.base import InputError
from scripts.bench.peers.processes import ROOT, their_environment

LOADING_S = 120


class LlamaServer:
    """
    A running server, with the model's context and greedy answers.

    Args:
        python: the interpreter of the peers' environment.
        gguf: the model.
        context: how many tokens it holds.
        threads: how many cores it may take.
    """

    def __init__(self, python: Path, gguf: Path, context: int, threads: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{port}"
        options = {"model": gguf, "n_ctx": context, "n_threads": threads, "n_threads_batch": threads, "port": port}
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(python), "-m", "llama_cpp.server", "--host", "127.0.0.1", *words],
            cwd=ROOT,
            env=their_environment(str(python)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + LOADING_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self._address}/v1/models", timeout=1).close()
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
            else:
                return
        self._process.kill()
        raise InputError(
            "llama.cpp's server did not start; run `python -m llama_cpp.server --model FILE` in the peers' environment."
        )

    def count(self, text: str) -> int:
        """Return how many tokens it reads in a text."""
        return int(self._post("/extras/tokenize/count", {"input": text})["count"])

    def answer(self, prompt: str, ends: frozenset[int], new_tokens: int) -> dict[str, Any]:
        """
        Continue a text.

        Args:
            prompt: as the model reads it.
            ends: tokens that it must not choose, because they end an answer.
            new_tokens: how many it makes.

        Returns:
            ``text``; ``first_token_s`` and ``total_s``, and as ``first_processor_s`` and ``processor_s`` what cores
            worked in the server.
        """
        body = {
            "prompt": prompt,
            "max_tokens": new_tokens,
            "temperature": 0,
            "repeat_penalty": 1,
            "stream": True,
            "logit_bias": {str(end): -100 for end in ends},
        }
        pieces, reason = [], None
        started, worked, first, first_worked = time.perf_counter(), self._worked(), 0.0, 0.0
        with self._open("/v1/completions", body) as reply:
            for line in reply:
                if line.startswith(b"data: {"):
                    choice = json.loads(line[6:])["choices"][0]
                    first = first or time.perf_counter() - started
                    first_worked = first_worked or self._worked() - worked
                    pieces.append(choice["text"])
                    reason = choice["finish_reason"] or reason
        total = time.perf_counter() - started
        if reason != "length":
            raise InputError(f"llama.cpp ended an answer by itself ({reason}); its time cannot be compared.")
        return {
            "text": "".join(pieces),
            "first_token_s": first,
            "total_s": total,
            "first_processor_s": first_worked,
            "processor_s": self._worked() - worked,
        }

    def _worked(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def _post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._open(route, body) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer

    def _open(self, route: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - a response
        headers = {"Content-Type": "application/json"}
        return urllib.request.urlopen(
            urllib.request.Request(self._address + route, json.dumps(body).encode(), headers), timeout=600
        )

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()
