"""Leaks: test questions that were learnt, and test files that retrieval would read."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from models.base import ConfigError
from scripts.decide.config import DecideConfig
from scripts.decide.wording import apart

ENOUGH_WORDS = 4
"""A question of so many words is recognised in a longer turn, too; a shorter one only where it is the whole turn."""

_ENDS = ".?!…。？！"
_QUOTES = "\"'`“”„‟‘’‚‛«»‹›「」『』"
_BRACKETS = "()[]{}*_"


def plain(text: str) -> str:
    """Return a text without case, surplus space, surrounding quotes and its last stop: equal where two ask the same."""
    line = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return line.rstrip(f"{_ENDS}{_QUOTES} ").lstrip(f"{_QUOTES}¿¡ ") or line


class Questions:
    """
    Questions, to be recognised wherever they are asked.

    Args:
        texts: the questions; they go by their numbers.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole: defaultdict[str, list[int]] = defaultdict(list)
        self._runs: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._lengths: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)  # by how they begin
        for number, text in enumerate(texts):
            self._whole[plain(text)].append(number)
            said = _words(text)
            if sum(any(map(str.isalnum, word)) for word in said) >= ENOUGH_WORDS:
                self._runs[said].append(number)
                self._lengths[said[:ENOUGH_WORDS]].add(len(said))

    def asked_in(self, turn: str) -> set[int]:
        """Return the numbers of the questions that a turn asks, as a whole or among other words."""
        found = set(self._whole.get(plain(turn), ()))
        said = _words(turn)
        for at in range(len(said) - ENOUGH_WORDS + 1):
            for length in self._lengths.get(said[at : at + ENOUGH_WORDS], ()):
                found.update(self._runs.get(said[at : at + length], ()))
        return found


def refuse_solutions(config: DecideConfig, out: Path) -> None:
    """
    Refuse documents among which the solutions lie: retrieval would read them.

    Args:
        config: the decision.
        out: its folder.

    Raises:
        ConfigError: files of the decision lie below its documents; all are named.
    """
    if config.documents is None:
        return
    folder = config.documents.resolve()
    edits = (change.file for change in config.changes)
    named = (("test", config.test), ("train", config.train), *(("changes", file) for file in edits), ("--out", out))
    inside = [f"{what} ({path})" for what, path in named if path is not None and path.resolve().is_relative_to(folder)]
    if inside:
        lie = "lies" if len(inside) == 1 else "lie"
        raise ConfigError(
            f"documents: {' and '.join(inside)} {lie} below {config.documents}, so retrieval would read the solutions; "
            "move what is no document out of that folder."
        )


def _words(text: str) -> tuple[str, ...]:
    """Return a text's words without the punctuation around them; signs such as those of C++ and C# stay."""
    behind, before = _ENDS + _QUOTES + _BRACKETS + ",;:、，；：", _QUOTES + _BRACKETS + "¿¡"
    return tuple(word.rstrip(behind).lstrip(before) or word for word in apart(plain(text)).split())
