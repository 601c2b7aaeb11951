"""
The reading process: takes names of files from standard input, gives back their text on standard output.

``python -m rag.load.child`` is started by :class:`rag.load.parser.Parser`, never by hand. Hostile and damaged files are
opened here and nowhere else: what hangs, eats memory or crashes, takes only this process with it. Nothing here imports
torch, so it starts in a moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from models.base import InputError
from rag.load import formats
from rag.load.files import read_file
from rag.load.frames import read_frame, write_frame
from rag.load.values import Limits

if sys.platform == "linux":
    import resource

_LONGEST_REQUEST = 1 << 20


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    requests, answers = _take_pipes()
    first = read_frame(requests, _LONGEST_REQUEST)
    if first is None:
        return
    limits = Limits(**json.loads(first))
    _limit_memory(limits.memory_bytes)
    write_frame(answers, b"{}")
    while (request := read_frame(requests, _LONGEST_REQUEST)) is not None:
        fields = json.loads(request)
        data = None if "path" in fields else read_frame(requests, limits.input_bytes)
        _set_alarm(limits.seconds)
        answer = _answer(fields, data, limits)
        _set_alarm(0)  # waiting for the parent to take the answer is not this file's fault
        write_frame(answers, answer)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes to ourselves, so that nothing a library prints gets between the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return sys.stdin.buffer, answers


def _limit_memory(limit: int) -> None:
    if sys.platform == "linux":
        _, highest = resource.getrlimit(resource.RLIMIT_AS)
        limit = limit if highest == resource.RLIM_INFINITY else min(limit, highest)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave a document's text on disk


def _set_alarm(seconds: float) -> None:
    """End this process by a signal after some seconds, also in the middle of C code; 0 calls it off."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _answer(request: dict[str, Any], data: bytes | None, limits: Limits) -> bytes:
    """Read one file; any failure becomes an answer too."""
    modified = 0.0
    memory = f"{limits.memory_bytes / 2**20:g} MiB of memory"
    try:
        if data is None:
            data, modified = read_file(Path(request["path"]), limits.input_bytes)
        return _read(data, request["name"], modified, limits)
    except InputError as error:
        reason = str(error)
    except MemoryError:
        reason = ""  # while the error holds on to the memory, there is none for a sentence
    except Exception as error:  # whatever a parser trips over is a fault of this file, and the next one may be fine
        reason = f"is damaged, or needs more than {memory} ({type(error).__name__}: {error})."
    reason = reason or f"needs more than {memory}."
    return json.dumps({"error": reason}).encode()


def _read(data: bytes, name: str, modified: float, limits: Limits) -> bytes:
    media_type, extracted = formats.read(data, name)
    if len(extracted.text) > limits.characters:
        raise InputError(f"holds {len(extracted.text):,} characters of text, and the limit is {limits.characters:,}.")
    answer = {
        "text": extracted.text,
        "title": extracted.title,
        "media_type": media_type,
        "headings": [(heading.start, heading.level, heading.title) for heading in extracted.headings],
        "page_starts": extracted.page_starts,
        "metadata": dict(extracted.metadata),
        "warnings": extracted.warnings,
        "sha256": hashlib.sha256(data).hexdigest(),
        "modified": modified,
    }
    return json.dumps(answer, ensure_ascii=False).encode(errors="replace")


if __name__ == "__main__":
    main()
