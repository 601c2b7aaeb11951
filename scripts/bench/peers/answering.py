"""
Questions answered end to end: what every system is given, and what it tells about each answer; no import of ours.

A system is one process for all questions, so that those of all systems can take turns: it reads its :class:`Work`,
indexes the documents, loads the model, and then answers a question a line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from scripts.bench.peers import lines

QUESTION = "{context}\n\nQuestion: {question}"
"""What follows the instructions."""

CONTEXT_TOKENS = 2048
"""What the peers' models are loaded for; prompt and answer fit into it with room to spare."""


@dataclass(frozen=True, slots=True)
class Work:
    """
    What is answered from what, and by which model.

    Attributes:
        texts: id, title and text of every document.
        embedder: a sentence-transformers directory.
        generator: the model's directory, float32.
        gguf: the file that it was made of, for llama.cpp.
        engine: ``llama.cpp``, ``transformers`` or, for Homeground, ``openvino``.
        instructions: what a model is told to do with the passages, which is what Homeground tells it.
        chunk_tokens: size of a chunk, in the embedder's tokens.
        passages: how many the model gets to read.
        new_tokens: how long every answer is.
        threads: how many cores a model may take.
    """

    texts: list[tuple[str, str, str]]
    embedder: str
    generator: str
    gguf: str
    engine: str
    instructions: str
    chunk_tokens: int
    passages: int
    new_tokens: int
    threads: int

    def write(self, path: Path) -> None:
        """Write it for :meth:`read`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Work:
        """Read what :meth:`write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**data, "texts": [tuple(row) for row in data["texts"]]})

    def template(self, context: str, question: str) -> str:
        """Return the prompt as a template of a peer, with its own words for the two places."""
        return f"{self.instructions}\n\n{QUESTION}".replace("{context}", context).replace("{question}", question)


class Passage(NamedTuple):
    """What the model was given of a document."""

    source: str
    text: str


Show = Callable[[str], None]
"""Takes the next piece of an answer's text."""

Ask = Callable[[str, Show], list[Passage]]
"""Answers a question piece by piece, and returns what the answer is made from."""


class Counts(Protocol):
    """The tokens of the last answer; see :mod:`scripts.bench.peers.tokens`."""

    prompt: int
    new: int

    def wait(self) -> None:
        """Wait until the model has ended."""
        ...


def serve(ask: Ask, counts: Counts) -> None:
    """Answer the questions on standard input."""

    def answer(question: str) -> dict[str, Any]:
        pieces: list[str] = []
        first: list[float] = []

        def show(piece: str) -> None:
            if piece and not first:
                first.append(time.perf_counter() - started)
            pieces.append(piece)

        started, worked = time.perf_counter(), time.process_time()
        passages = ask(question, show)
        total = time.perf_counter() - started
        counts.wait()
        processor = time.process_time() - worked
        return {
            "text": "".join(pieces),
            "passages": [list(passage) for passage in passages],
            "prompt_tokens": counts.prompt,
            "new_tokens": counts.new,
            "first_token_s": first[0],
            "total_s": total,
            "processor_s": processor,
        }

    lines.serve(answer)
