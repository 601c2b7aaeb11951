"""
Outputs kept by the hash of everything that goes into them.

An arm has a file named by the hash of its model, adapter, documents and settings, and in it a line for each question.
What is there is not made again: a second run with one change repeats what changed, an interrupted one goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.base import InputError


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that the model was given: its document and its words."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A quote behind an answer, with the share of the claim's words that it holds."""

    source: str
    quote: str
    support: float


@dataclass(frozen=True, slots=True)
class Output:
    """
    What an arm made of a question, as it is kept.

    Attributes:
        text: the answer.
        passages: what it was given to read, best first.
        citations: the quotes behind it.
        first_token_s: until the first token, retrieval included.
        total_s: until the last.
        prompt_tokens: 0 where the model was not asked, because nothing was found.
        new_tokens: the same.
        energy_j: of the processors meanwhile; None where it cannot be read.
        peak_mib: most memory meanwhile; None where it cannot be read.
    """

    text: str
    passages: tuple[Passage, ...]
    citations: tuple[Cited, ...]
    first_token_s: float
    total_s: float
    prompt_tokens: int
    new_tokens: int
    energy_j: float | None
    peak_mib: float | None


_OUTPUT = TypeAdapter(Output)


def digest(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts that JSON can hold."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Outputs:
    """
    The outputs of one arm.

    Args:
        folder: where the files of all arms lie.
        facts: everything that decides what the arm answers.

    Raises:
        InputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.key = digest(facts)
        self._file = folder / f"{self.key[:32]}.jsonl"
        self._found: dict[str, Output] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = self._file.read_text(encoding="utf-8").split("\n") if self._file.is_file() else []
        except OSError as error:
            raise InputError(f"{folder} cannot be used ({error.strerror}); name another folder with --out.") from error
        for line in lines:
            try:
                kept = json.loads(line)
                self._found[kept["question"]] = _OUTPUT.validate_python(kept["output"])
            except (ValueError, KeyError, TypeError, ValidationError):
                continue  # cut off by an interruption: made again
        if lines:
            self._rewrite()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, question: str) -> Output | None:
        """Return what is kept for a question, by its hash."""
        return self._found.get(question)

    def add(self, question: str, output: Output) -> None:
        """Keep an output; it is in the file when this returns."""
        self._found[question] = output
        with self._file.open("a", encoding="utf-8") as file:
            file.write(_line(question, output))

    def _rewrite(self) -> None:
        """Write the file without what was cut off, so that the next line begins a line."""
        text = "".join(_line(question, output) for question, output in self._found.items())
        beside = self._file.with_suffix(".tmp")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._file)


def _line(question: str, output: Output) -> str:
    return json.dumps({"question": question, "output": asdict(output)}, ensure_ascii=False) + "\n"
