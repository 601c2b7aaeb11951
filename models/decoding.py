"""
From logits to the text that may be shown: the parts of a decoding loop that need no model and no torch.

Three steps, each testable on its own: :func:`choose` draws the next token, :class:`Detokenizer` turns tokens into text
without ever showing half a character, and :class:`StopStrings` holds text back while it may still become a stop string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from models.base import SamplingParams

_INCOMPLETE = "\ufffd"  # what a decoder writes for bytes that are not (yet) a character


def choose(
    logits: npt.NDArray[np.float32],
    params: SamplingParams,
    source: np.random.Generator,
    barred: int | None = None,
) -> tuple[int, float]:
    """
    Choose the next token.

    Args:
        logits: the model's score for every token, shape ``(vocabulary,)``.
        params: ``temperature`` and ``top_p`` decide; at temperature 0 the likeliest token is taken.
        source: where chance comes from; untouched when greedy.
        barred: a token that is not chosen; the probability returned is that of all tokens.

    Returns:
        The token's id, and the natural logarithm of its probability under the model (temperature 1, every token).
        The logarithm is NaN if the model computed one.
    """
    relative = logits.astype(np.float64) - logits.max()
    weighed = relative
    if barred is not None:
        weighed = relative.copy()
        weighed[barred] = -np.inf
    chosen = _draw(weighed - weighed.max(), params, source) if params.temperature > 0 else int(weighed.argmax())
    return chosen, _logprob(relative, chosen)


def choose_opening(
    logits: npt.NDArray[np.float32], params: SamplingParams, source: np.random.Generator, opening: int
) -> tuple[int, float, float]:
    """
    Choose the first token; whether it is ``opening`` is decided by that token's probability, if ``params`` says so.

    Returns:
        The token's id, the natural logarithm of its probability, and that of the opening's.
    """
    relative = logits.astype(np.float64) - logits.max()
    likely = _logprob(relative, opening)
    if params.opening_from is None:
        return (*choose(logits, params, source), likely)
    if np.exp(likely) >= params.opening_from:
        return opening, likely, likely
    return (*choose(logits, params, source, barred=opening), likely)


def _logprob(relative: npt.NDArray[np.float64], token: int) -> float:
    return float(relative[token] - np.log(np.exp(relative).sum()))


def _draw(relative: npt.NDArray[np.float64], params: SamplingParams, source: np.random.Generator) -> int:
    """Draw from the smallest set of tokens that holds ``top_p`` (nucleus sampling, arXiv 1904.09751)."""
    with np.errstate(over="ignore"):  # a tiny temperature makes all but the best minus infinity, as it should
        weights = np.exp(relative / params.temperature)
    order = np.argsort(-weights, kind="stable")
    cumulative = np.cumsum(weights[order])
    nucleus = cumulative[np.searchsorted(cumulative, params.top_p * cumulative[-1])]
    return int(order[np.searchsorted(cumulative, source.random() * nucleus, side="right")])


class Detokenizer:
    """
    Turns a growing list of tokens into text, a piece for every token.

    The pieces joined are exactly the decoded list, where its bytes are valid text (a byte-fallback tokenizer marks
    others as wrong afterwards, when they may already have been shown). Only the tokens since the last piece, and those
    of that piece as context, are decoded each time: what a token adds may depend on its neighbour (a space, half a
    character), never on the whole answer, so a long answer costs no more per token than a short one.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._context: list[int] = []
        self._pending: list[int] = []

    def push(self, token: int) -> str:
        """Add a token; return the text that it completes, empty while a character is still incomplete."""
        self._pending.append(token)
        piece = self._piece()
        # A token without text of its own is no context: a space at the beginning would be lost behind it.
        if not piece or piece.endswith(_INCOMPLETE):
            return ""
        self._context, self._pending = self._pending, []
        return piece

    def flush(self) -> str:
        """Return what is left when no further token comes; incomplete characters show as U+FFFD."""
        piece = self._piece()
        self._context, self._pending = self._pending, []
        return piece

    def _piece(self) -> str:
        return self._decode(self._context + self._pending)[len(self._decode(self._context)) :]


class StopStrings:
    """
    Ends a text before the first stop string, however the string is cut into pieces.

    Attributes:
        found: True once a stop string is complete; nothing that follows is shown.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise ValueError("a stop string is empty; every text would end before its first character")
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Add text; return what may be shown, without anything that may be the beginning of a stop string."""
        self._held += text
        # The string that is complete first wins, not the one that begins first: so the result is the same
        # whether the text came in one piece or letter by letter.
        complete = [(at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if complete:
            self.found = True
            shown, self._held = self._held[: min(complete)[1]], ""
            return shown
        kept = max((n for stop in self._stops for n in range(1, len(stop)) if self._held.endswith(stop[:n])), default=0)
        at = len(self._held) - kept
        shown, self._held = self._held[:at], self._held[at:]
        return shown

    def flush(self) -> str:
        """Return what was held back, when no further text comes."""
        shown, self._held = self._held, ""
        return shown
