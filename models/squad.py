"""How answers are compared with expected ones, as SQuAD's evaluation does it (arXiv 1606.05250)."""

from __future__ import annotations

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """Return a text's words without case, punctuation or articles; where nothing else is left, the articles."""
    plain = text.lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split() or plain.split()


def f1(answer: str, expected: str) -> float:
    """Return the harmonic mean of precision and recall over words."""
    found, wanted = words(answer), words(expected)
    if not found or not wanted:
        return float(found == wanted)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))


def same(answer: str, expected: str) -> float:
    """Return 1 if both have the same words (exact match)."""
    return float(words(answer) == words(expected))


def contains(answer: str, expected: str) -> float:
    """Return 1 if the words of the expected answer stand in the answer one behind the other."""
    found, wanted = words(answer), words(expected)
    return float(
        bool(wanted) and any(found[at : at + len(wanted)] == wanted for at in range(len(found) - len(wanted) + 1))
    )
