"""The process that reads files, seen from outside: asked, listened to, given up, and asked what it died of."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.base import HomegroundError, InputError
from rag.load.frames import read_frame, write_frame
from rag.load.values import Limits

logger = logging.getLogger(__name__)

_PACKAGES = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-m", "rag.load.child")
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_PATIENCE = 2
"""The child ends itself at the time limit; a child that cannot is killed at this multiple of it."""
_ANSWER_BYTES_PER_CHARACTER = 16
_ANSWER_BYTES = 1 << 20


class ReadingProcess:
    """
    A running ``rag.load.child`` and the pipes to it.

    Args:
        limits: what one file may cost.

    Raises:
        HomegroundError: the process does not start.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._longest_answer = limits.characters * _ANSWER_BYTES_PER_CHARACTER + _ANSWER_BYTES
        self._process = subprocess.Popen(  # noqa: S603 - the command is fixed
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_PACKAGES,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # its buffers, one a core, would use up the address space
        )
        self._timed_out = threading.Event()
        self._write(json.dumps(asdict(limits)).encode())
        if self._read(_START_SECONDS) is None:
            self.stop()
            raise HomegroundError(
                "the process that reads files does not start; to see why, run "
                f"`{' '.join(_COMMAND)} < {os.devnull}` in {_PACKAGES}."
            )
        if sys.platform != "linux":
            logger.warning("this system does not enforce the memory limit for reading files")

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self._process.poll() is not None

    def send(self, request: bytes, data: bytes | None) -> None:
        """Ask for a file, or send its bytes along; if the process is dead, that shows when its answer does not come."""
        self._write(request)
        if data is not None:
            self._write(data)

    def receive(self) -> dict[str, Any]:
        """
        Return the answer to the earliest request that has none yet.

        Raises:
            InputError: the process did not survive that file, and is of no more use.
        """
        answer = self._read(_PATIENCE * self._limits.seconds)
        if answer is None:
            raise InputError(self._cause_of_death())
        return answer

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # from what was not sent yet
                pipe.close()  # type: ignore[union-attr]  # both are pipes

    def _write(self, payload: bytes) -> None:
        with suppress(BrokenPipeError):
            write_frame(self._process.stdin, payload)  # type: ignore[arg-type]

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message; None if the process is dead, is killed after that time, or talks nonsense."""
        watchdog = threading.Timer(seconds, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            frame = read_frame(self._process.stdout, self._longest_answer)  # type: ignore[arg-type]
            answer = None if frame is None else json.loads(frame)
        except ValueError:
            answer = None
        finally:
            watchdog.cancel()
            watchdog.join()
        return answer if isinstance(answer, dict) and not self._timed_out.is_set() else None

    def _give_up(self) -> None:
        self._timed_out.set()
        self._process.kill()

    def _cause_of_death(self) -> str:
        """Say what ended the process, in the file's terms."""
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._timed_out.is_set() or (sys.platform != "win32" and status == -signal.SIGALRM):
            return f"takes longer to read than the limit of {self._limits.seconds:g} s."
        cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        memory = f"{self._limits.memory_bytes / 2**20:g} MiB of memory"
        return f"stopped the process that reads files ({cause}): it is damaged, or needs more than {memory}."
