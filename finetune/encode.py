"""
An example becomes token ids and a mask of what is learnt; the masks are built here and nowhere else.

A mask is the difference between two renderings: the conversation up to where an answer begins, and with the answer. So
it needs no marker in the chat template and cannot slip. What is learnt of an answer ends with the token that ends the
turn, so that the model learns to stop; nothing is ever masked by the id of a token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from finetune.examples import Example
from models.base import InputError, Message
from models.prompt import abstains
from models.tokenizer import ChatTokenizer

BEHIND_THE_END = 16
PLACEHOLDER = "x"

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """
    An example as the model reads it.

    Attributes:
        example: as it was encoded: without the passages and turns that had to be left out.
        ids: shape ``(length,)``.
        learnt: which ids are predicted and learnt, shape ``(length,)``; never the first, at least one.
        left_out: how many distractors and earlier exchanges were left out to make it fit.
    """

    example: Example
    ids: Ids
    learnt: Mask
    left_out: int

    @property
    def place(self) -> str:
        """Where the example stands."""
        return self.example.place


def encode(example: Example, tokenizer: ChatTokenizer, max_length: int) -> Row:
    """
    Encode an example; what is too long loses distractors first, then its oldest exchanges, never a part of an answer.

    Args:
        example: what is learnt.
        tokenizer: of the base model.
        max_length: most tokens.

    Raises:
        InputError: it is too long even so, the template refuses it, or no mask can be built.
    """
    left_out = 0
    while True:
        whole = tokenizer.conversation_ids(_turns(example))
        # A template puts a few tokens behind the last end token; masks are built only for what may fit.
        if len(whole) <= max_length + BEHIND_THE_END:
            ids, learnt = _masked(example, whole, tokenizer)
            if len(ids) <= max_length:
                return Row(example, ids, learnt, left_out)
        shorter = _shorter(example)
        if shorter is None:
            raise InputError(
                f"needs {len(whole)} tokens, max_length is {max_length}"
                + (f"; {left_out} passages or turns were left out already" if left_out else "")
            )
        example, left_out = shorter, left_out + 1


def _turns(example: Example) -> tuple[Message, ...]:
    return (*example.prompt, Message("assistant", example.answer))


def _masked(example: Example, whole: list[int], tokenizer: ChatTokenizer) -> tuple[Ids, Mask]:
    prompt, turns = example.prompt, _turns(example)
    earlier = [n for n, turn in enumerate(prompt) if turn.role == "assistant"] if example.learns_history else []
    prefix = tokenizer.prompt_ids(prompt)
    if whole[: len(prefix)] != prefix and not earlier:
        whole = _joined(example, prefix, tokenizer)
    learnt = np.zeros(len(whole), np.bool_)
    end = 0
    for number in (*earlier, len(prompt)):
        complete = whole if number == len(prompt) else tokenizer.conversation_ids(turns[: number + 1])
        begin, end = _answer(tokenizer, tokenizer.prompt_ids(turns[:number]), complete, whole)
        learnt[begin:end] = True
    return np.array(whole[:end], np.int64), learnt[:end]


def _joined(example: Example, prefix: list[int], tokenizer: ChatTokenizer) -> list[int]:
    """
    Return the ids of prompt, answer and end, encoded apart.

    An answer that begins with a line break or an indent is encoded together with the line break before it otherwise,
    but in serving the prompt is there first and the model goes on from it.
    """
    sample = tokenizer.conversation_ids((*example.prompt, Message("assistant", PLACEHOLDER)))
    behind = len(prefix) + len(tokenizer.plain_ids(PLACEHOLDER))
    return (
        [*prefix, *tokenizer.plain_ids(example.answer), *sample[behind:]] if sample[: len(prefix)] == prefix else sample
    )


def _answer(
    tokenizer: ChatTokenizer, prefix: Sequence[int], complete: Sequence[int], whole: Sequence[int]
) -> tuple[int, int]:
    """
    Return where an answer begins in the whole conversation, and where its end token is behind it.

    Args:
        tokenizer: knows the end tokens.
        prefix: ids of the turns before the answer, up to where it begins.
        complete: ids of the turns with the answer.
        whole: ids of all turns.
    """
    begin = len(prefix)
    end = next((at + 1 for at in range(begin, len(complete)) if complete[at] in tokenizer.end_ids), None)
    if complete[:begin] != prefix or (end is not None and whole[:end] != complete[:end]):
        raise InputError(
            "the chat template writes this conversation differently with and without its answer, so no mask can be "
            "built; use rows of one question and one answer"
        )
    if end is None:
        raise InputError("the chat template puts no end token behind an answer, so the model would never learn to stop")
    return begin, end


def _shorter(example: Example) -> Example | None:
    """Leave out the last distractor, else the oldest exchange; None where neither is left."""
    # Without a word on which passage holds the answer, any of them may.
    if example.sources and (example.holds_evidence or abstains(example.answer)):
        distractor = next((n for n in reversed(range(len(example.sources))) if not example.sources[n].evidence), None)
        if distractor is not None and len(example.sources) > 1:
            kept = example.sources[:distractor] + example.sources[distractor + 1 :]
            return replace(example, sources=kept, answer=_renumbered(example.answer, distractor + 1))
    system = example.history[:1] if example.history and example.history[0].role == "system" else ()
    exchanges = example.history[len(system) :]
    return replace(example, history=(*system, *exchanges[2:])) if exchanges else None


def _renumbered(answer: str, left_out: int) -> str:
    """Take the marker of a source that was left out away, and count those behind it down by one."""

    def marker(match: re.Match[str]) -> str:
        number = int(match[2])
        if number == left_out:
            return ""
        return f"{match[1]}[{number - 1 if number > left_out else number}]"

    return re.sub(r"(\s?)\[(\d{1,3})\]", marker, answer)
