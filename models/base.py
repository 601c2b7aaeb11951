"""
The vocabulary of every model: messages, sampling, tokens, the protocols, the errors.

Nothing here imports torch, so a command that only needs a name or an error answers at once.
"""

from __future__ import annotations

from collections.abc import Generator as PythonGenerator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
Vectors = npt.NDArray[np.float32]


class HomegroundError(Exception):
    """Something the user can put right; the message says what was found, what was expected and what to run."""


class ConfigError(HomegroundError):
    """A settings file, an environment variable or a flag is wrong."""


class ModelError(HomegroundError):
    """A model or an adapter is missing, damaged, or does not fit."""


class StoreError(HomegroundError):
    """The data directory is locked, full, damaged, or was built by something else."""


class InputError(HomegroundError):
    """A document, a question or a request cannot be used as it is."""


class AccessError(HomegroundError):
    """The caller may not do this."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """
    How the next tokens are chosen.

    Attributes:
        max_tokens: the most new tokens, ``>= 1``.
        temperature: ``0`` is greedy (the default); above it, tokens are drawn from the softmax at this temperature.
        top_p: nucleus sampling; draws from the smallest set of tokens that holds this probability, in ``(0, 1]``.
        seed: makes a draw repeatable; without effect when greedy.
        stop: strings that end the answer; the text ends before the first one.
        opening: a text whose probability as the answer's beginning, by its first token, comes with the first token.
        opening_from: that probability from which on the answer begins so, and below which it does not; None leaves
            the choice to the model.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    opening: str = ""
    opening_from: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """
    One step of a generator.

    Attributes:
        id: the vocabulary id that the model chose.
        text: what may be shown now. Empty while a character or a possible stop string is still incomplete.
        logprob: natural logarithm of the probability the model gave this token, before temperature.
        finish_reason: set on the last token only: ``stop`` (end of turn or stop string) or ``length``.
        opening_logprob: on the first token, if ``opening`` was asked for: natural logarithm of its probability. None
            where an engine cannot tell.
    """

    id: int
    text: str
    logprob: float
    finish_reason: FinishReason | None = None
    opening_logprob: float | None = None


TokenStream = PythonGenerator[Token, None, None]
"""Tokens as they are made; closing it stops the model before its next step."""


class Embedder(Protocol):
    """Turns text into L2-normalised vectors."""

    @property
    def name(self) -> str:
        """The catalog name, or the directory's name."""
        ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 over the weights; vectors of two hashes are never compared."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read, special tokens not counted."""
        ...

    def token_starts(self, text: str) -> npt.NDArray[np.int64]:
        """Character offset at which each of the text's tokens begins, ascending, shape ``(n_tokens,)``."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed passages; float32, shape ``(len(texts), dim)``."""
        ...

    def embed_query(self, text: str) -> Vectors:
        """Embed one question; float32, shape ``(dim,)``."""
        ...


class Reranker(Protocol):
    """Reads a question and a passage together; slower than comparing their vectors, and often better."""

    @property
    def name(self) -> str:
        """The catalog name, or the directory's name."""
        ...

    def score(self, question: str, passages: Sequence[str]) -> Vectors:
        """How well each passage answers the question; float32 in ``[0, 1]``, shape ``(len(passages),)``."""
        ...


class Generator(Protocol):
    """Continues a conversation, token by token."""

    @property
    def name(self) -> str:
        """The catalog name, or the directory's name."""
        ...

    @property
    def engine(self) -> str:
        """What runs the model, for example ``transformers``."""
        ...

    @property
    def places(self) -> int:
        """How many answers are made at once; what is asked for beyond that waits."""
        ...

    @property
    def context_length(self) -> int:
        """The most tokens of prompt and answer together."""
        ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that a request may ask for, sorted."""
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact length in tokens of the prompt that :meth:`stream` would read."""
        ...

    def forget(self) -> None:
        """Let go of everything that earlier prompts left in memory; an answer in the making takes its own with it."""
        ...

    def stream(
        self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None, scope: str | None = None
    ) -> TokenStream:
        """
        Yield the answer's tokens; closing the iterator stops the model before its next step.

        Args:
            messages: the conversation, ending with the turn to answer.
            params: how tokens are chosen, and when to stop.
            adapter: name of a LoRA adapter, or None for the base model.
            scope: whose request it is; what it reads may shorten later requests of the same scope, and of no other.
                None keeps nothing.

        Raises:
            ModelError: no adapter of that name.
            InputError: the prompt leaves no room for an answer in the context.
        """
        ...
