"""What runs a language model's network: the vocabulary of the engines, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from models.adapters import Adapter

EngineName = Literal["auto", "transformers", "openvino"]
Logits = npt.NDArray[np.float32]

AdapterKey = tuple[str, ...]
"""What tells adapters apart, retrained ones of the same name included; empty for the base model."""


class Reading(Protocol):
    """What a network has read of one conversation, with one adapter or none."""

    def read(self, ids: Sequence[int]) -> Logits:
        """Read on, at least one token; return the scores of what comes next, shape ``(vocabulary,)``."""
        ...


class Engine(Protocol):
    """A network in memory, for as many threads at a time as it has places."""

    @property
    def name(self) -> str:
        """What it is called in answers and settings, for example ``transformers``."""
        ...

    @property
    def places(self) -> int:
        """How many answers are made at once."""
        ...

    def place(self) -> AbstractContextManager[object]:
        """Wait for a place; it is held as long as an answer is made."""
        ...

    @property
    def can_go_on(self) -> bool:
        """Whether a reading can begin with another's; not where a network forgets what lies far back."""
        ...

    def pays(self, known: int, total: int) -> bool:
        """
        Return whether a reading comes sooner to its end if it begins with another's.

        Args:
            known: tokens that would not be computed again.
            total: all tokens of the prompt.
        """
        ...

    def key(self, adapter: Adapter | None) -> AdapterKey:
        """Return what readings have in common that can begin with each other's."""
        ...

    def begin(
        self, adapter: Adapter | None, known: Reading | None = None, length: int = 0, *, ours: bool = False
    ) -> Reading:
        """
        Begin to read.

        Args:
            adapter: the LoRA adapter, or None for the base model.
            known: a reading of the same key whose first tokens are not to be computed again; it stays as it is, unless
                it is ours.
            length: how many tokens these are.
            ours: nobody else needs ``known``, and ``length`` is all that it has read, so it may be gone on with itself.

        Raises:
            ModelError: the adapter is damaged or does not fit.
        """
        ...


def adapter_key(adapter: Adapter | None) -> AdapterKey:
    """Return what tells an adapter from all others."""
    return () if adapter is None else (adapter.name, *sorted(adapter.files.values()))
