"""
Files to documents, through a child process that may hang, crash or run out of memory without harm to this one.

Requests are sent ahead of the answers, so that the next files are read while the caller works on this one. The pipes
bound how far: few requests may be under way, and a child whose answers are not taken waits.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from models.base import HomegroundError, InputError
from rag.load.files import too_large
from rag.load.frames import read_frame, write_frame
from rag.load.values import Limits, Outcome, Parsed, SourceFile
from rag.types import Document, Heading

logger = logging.getLogger(__name__)

_PACKAGES = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-m", "rag.load.child")
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_PATIENCE = 2
"""The child ends itself at the time limit; a child that cannot is killed at this multiple of it."""
_ANSWER_BYTES_PER_CHARACTER = 16
_ANSWER_BYTES = 1 << 20
_AHEAD_FILES = 32
_AHEAD_BYTES = 4096
"""With a path of the greatest length on top, this still fits into any pipe, so sending never waits for the child."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A file on its way: what the child is sent, and what the document needs beside the child's answer."""

    source: str
    request: bytes
    data: bytes | None = None
    modified: float = 0.0
    origin: str = ""


class Parser:
    """
    Reads files in a child process; the child starts at first use and again after each crash. Use it as a context.

    A parser does one thing at a time: threads need one each.

    Args:
        limits: what one file may cost; None takes the defaults of :class:`~rag.load.values.Limits`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: _Child | None = None
        self._busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        if self._child:
            self._child.stop()
            self._child = None

    def parse(self, path: Path, source: str) -> Parsed:
        """
        Read one file.

        Args:
            path: where it is.
            source: the document's identity in its collection.

        Raises:
            InputError: the file cannot be read; the message begins with the source.
            HomegroundError: the child process does not start.
        """
        return self._parse_one(_file_job(SourceFile(path, source)))

    def parse_bytes(self, data: bytes, source: str, modified: float = 0.0) -> Parsed:
        """
        Read an uploaded file, under the same limits.

        Args:
            data: the whole file.
            source: the document's identity in its collection; its suffix decides how the bytes are read.
            modified: when it was last changed, seconds since 1970; 0 when unknown.

        Raises:
            InputError: the file cannot be read; the message begins with the source.
            HomegroundError: the child process does not start.
        """
        if len(data) > self._limits.input_bytes:
            raise InputError(f"{source} {too_large(len(data), self._limits.input_bytes)}")
        return self._parse_one(_Job(source, json.dumps({"name": Path(source).name}).encode(), data, modified))

    def parse_many(self, files: Iterable[SourceFile | Outcome]) -> Iterator[Outcome]:
        """
        Read files in order, some ahead of the one that is handed out.

        Args:
            files: the files; outcomes among them (:func:`~rag.load.files.find_files` gives some) are passed on.

        Yields:
            One outcome for each file, as soon as it and all before it are read.

        Raises:
            HomegroundError: the child process does not start.
        """
        return self._outcomes(file if isinstance(file, Outcome) else _file_job(file) for file in files)

    def _parse_one(self, job: _Job) -> Parsed:
        (outcome,) = self._outcomes(iter([job]))
        if isinstance(outcome.result, InputError):
            raise InputError(f"{outcome.source} {outcome.result}") from outcome.result
        return outcome.result

    def _outcomes(self, jobs: Iterator[_Job | Outcome]) -> Iterator[Outcome]:
        if self._busy:
            raise ValueError("this parser is still reading other files; finish those first, or use a second parser")
        self._busy = True
        if self._child and self._child.has_ended():
            self.close()
        under_way: deque[_Job | Outcome] = deque()
        try:
            while True:
                while _has_room(under_way) and (job := next(jobs, None)):
                    self._send(job)
                    under_way.append(job)
                if not under_way:
                    return
                job = under_way.popleft()
                yield job if isinstance(job, Outcome) else Outcome(job.source, self._receive(job, under_way))
        except BaseException:  # also when the caller takes no more: answers to come must not be taken for later ones
            self.close()
            raise
        finally:
            self._busy = False

    def _send(self, job: _Job | Outcome) -> None:
        if isinstance(job, _Job):
            self._child = self._child or _Child(self._limits)
            self._child.send(job)

    def _receive(self, job: _Job, later: Iterable[_Job | Outcome]) -> Parsed | InputError:
        """Take the answer to a job; if the child died over it, a new one gets the jobs that were sent after it."""
        if self._child is None:
            raise ValueError("the parser was closed while it was reading files")
        try:
            answer = self._child.receive()
        except InputError as error:
            self.close()
            for unanswered in later:
                self._send(unanswered)
            return error
        return InputError(answer["error"]) if "error" in answer else _parsed(answer, job)


class _Child:
    """The reading process and the pipes to it."""

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

    def send(self, job: _Job) -> None:
        """Ask for a file; a child that is dead meanwhile is noticed when its answer does not come."""
        self._write(job.request)
        if job.data is not None:
            self._write(job.data)

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


def _has_room(under_way: deque[_Job | Outcome]) -> bool:
    """Tell whether another request may be sent before the next answer is taken."""
    waiting = sum(len(job.request) for job in under_way if isinstance(job, _Job))
    return len(under_way) < _AHEAD_FILES and waiting <= _AHEAD_BYTES


def _file_job(file: SourceFile) -> _Job:
    path = file.path.absolute()
    request = json.dumps({"path": str(path), "name": path.name}).encode()
    return _Job(file.source, request, origin=str(path))


def _parsed(answer: dict[str, Any], job: _Job) -> Parsed:
    document = Document(
        source=job.source,
        text=answer["text"],
        title=answer["title"],
        media_type=answer["media_type"],
        headings=tuple(Heading(*fields) for fields in answer["headings"]),
        page_starts=tuple(answer["page_starts"]),
        metadata=MappingProxyType(answer["metadata"]),
        sha256=answer["sha256"],
        modified=answer["modified"] or job.modified,
        origin=job.origin,
    )
    return Parsed(document, tuple(answer["warnings"]))
