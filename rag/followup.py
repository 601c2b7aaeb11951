"""
Follow-up questions: what to search for, and where its passages stand among those that the conversation holds.

"And for my brother?" finds nothing alone, so it is searched for together with what it follows.

A rule, not a model: put behind the question that it follows, a follow-up brings the evidence among the first three
passages for 21 of 22 of our conversations, alone for 15 (docs/benchmarks.md). It costs nothing and cannot invent. It
reads English words; in other languages only short questions are taken for follow-ups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.base import Message
from rag.index.lexical import words
from rag.types import Hit, Place

LONGEST_FOLLOW_UP = 7
"""A question with more words of its own than this, stop words not counted, is understood without what went before."""

SHORTEST_WHOLE = 3
"""One with fewer words of its own than this is not."""

MOST_PASSAGES = 2
"""A conversation holds at most so many times as many passages as a question brings."""

EARLIER = 2
"""So many questions back is looked for passages that the model has read; a search takes some 10 ms."""

MAX_CHARACTERS = 2_000
"""Of a long chain of follow-ups the end is searched for."""

_OPENING = re.compile(r"(?:and|but|or|also|then|why|what about|how about|what if)\b", re.IGNORECASE)
_POINTER = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|these|those|he|him|his|she|her|hers|ones?|instead|afterwards|again|same|"
    r"such|former|latter)\b",
    re.IGNORECASE,
)


def standalone(question: str, history: Sequence[Message]) -> str:
    """
    Return what to search for, so that a follow-up question is found without the conversation.

    Args:
        question: the question as it was asked.
        history: earlier turns, oldest first; only the user's are read, because an answer may be wrong.

    Returns:
        The question itself if it is understood alone; else the question that it follows, made whole in the same way,
        and then the question.
    """
    whole = ""
    for turn in [*(turn.content for turn in history if turn.role == "user"), question]:
        whole = f"{whole} {turn}"[-MAX_CHARACTERS:] if whole and _depends(turn) else turn
    return whole


def questions_before(history: Sequence[Message]) -> list[str]:
    """Return the last questions of a conversation, oldest first, each as it was searched for."""
    asked = [at for at, turn in enumerate(history) if turn.role == "user" and turn.content.strip()]
    return [standalone(history[at].content, history[:at])[-MAX_CHARACTERS:] for at in asked[-EARLIER:]]


def in_place(held: Sequence[Hit], found: Sequence[Hit], most: int) -> tuple[Hit, ...]:
    """
    Return a follow-up question's passages behind those that the prompt before it held, each once.

    While a conversation keeps to its subject, the model has then read all but the new ones. Where nothing found is
    held already, the subject has changed; there, and where it would be too many, the conversation begins anew.

    Args:
        held: the passages of the prompt before, in its order.
        found: what the question brought, best first.
        most: of one question; a conversation may hold twice as many.
    """
    fresh = [hit for hit in found if not any(_covers(other.place, hit.place) for other in held)]
    if len(fresh) == len(found) or len(held) + len(fresh) > MOST_PASSAGES * most:
        return tuple(found)
    return (*held, *fresh)


def _covers(one: Place, other: Place) -> bool:
    return one.document_id == other.document_id and one.start <= other.start and other.end <= one.end


def _depends(question: str) -> bool:
    own = len(words(question))
    if own > LONGEST_FOLLOW_UP:
        return False
    return own < SHORTEST_WHOLE or bool(_OPENING.match(question.strip()) or _POINTER.search(question))
