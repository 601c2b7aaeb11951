"""Prompts of a given length, no two of which begin alike, so that no engine has read one before."""

from __future__ import annotations

from models import general
from models.base import Generator, Message


def long_prompt(generator: Generator, tokens: int, number: int) -> list[Message]:
    """
    Return a prompt of plain text.

    Args:
        generator: counts its tokens.
        tokens: how many it has at most; it has nearly so many.
        number: tells prompts apart, from the first word on.
    """
    words = " ".join(general.paragraphs() * (1 + tokens // 50)).split(" ")
    words = words[37 * number % 1000 :]
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if generator.count_tokens(_asking(words[:middle], number)) <= tokens:
            low = middle
        else:
            high = middle - 1
    return _asking(words[:low], number)


def _asking(words: list[str], number: int) -> list[Message]:
    return [Message("user", f"{number}. Retell this at length:\n\n" + " ".join(words))]
