"""
Files to documents, through child processes that may hang, crash or run out of memory without harm to this one.

Requests are sent ahead of the answers, so that the next files are read while the caller works on this one. The pipes
bound how far: few requests may be under way, and a child whose answers are not taken waits.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from models.base import InputError
from rag.load.files import too_large
from rag.load.process import ReadingProcess
from rag.load.values import Limits, Outcome, Parsed, SourceFile
from rag.types import Document, Heading

_AHEAD_FILES = 32
_AHEAD_BYTES = 4096
"""With a path of the greatest length on top, this still fits into any pipe, so sending never waits for a child."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A file on its way: what a child is sent, which one, and what the document needs beside the child's answer."""

    source: str
    request: bytes
    data: bytes | None = None
    modified: float = 0.0
    origin: str = ""
    child: int = 0


class Parser:
    """
    Reads files in child processes; each starts at its first file and again after each crash. Use it as a context.

    A parser does one thing at a time: threads need one each.

    Args:
        limits: what one file may cost; None takes the defaults of :class:`~rag.load.values.Limits`.
        workers: how many processes read at the same time, ``>= 1``.
    """

    def __init__(self, limits: Limits | None = None, workers: int = 1) -> None:
        self._limits = limits or Limits()
        self._workers = workers
        self._children: dict[int, ReadingProcess] = {}
        self._busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes."""
        while self._children:
            self._children.popitem()[1].stop()

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
        if any(child.has_ended() for child in self._children.values()):
            self.close()
        under_way: deque[_Job | Outcome] = deque()
        turns = cycle(range(self._workers))
        try:
            while True:
                while _has_room(under_way) and (job := next(jobs, None)):
                    if isinstance(job, _Job):
                        job = replace(job, child=next(turns))
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

    def _send(self, job: _Job) -> None:
        if job.child not in self._children:
            self._children[job.child] = ReadingProcess(self._limits)
        self._children[job.child].send(job.request, job.data)

    def _receive(self, job: _Job, later: Iterable[_Job | Outcome]) -> Parsed | InputError:
        """Take the answer to a job; if the child died over it, a new one gets the jobs that were sent after it."""
        if job.child not in self._children:
            raise ValueError("the parser was closed while it was reading files")
        try:
            answer = self._children[job.child].receive()
        except InputError as error:
            self._children.pop(job.child).stop()
            for unanswered in later:
                if isinstance(unanswered, _Job) and unanswered.child == job.child:
                    self._send(unanswered)
            return error
        return InputError(answer["error"]) if "error" in answer else _parsed(answer, job)


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
