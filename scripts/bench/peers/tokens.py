"""
What a language model is given and what it makes, counted below every framework; and no answer that ends early.

Frameworks tell little about tokens while they stream, and a model that stops after three words would look fast. Both
are settled where all of them arrive: the ``generate`` of llama.cpp's Python binding, and that of transformers.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

LONGEST_WAIT_S = 60
"""A framework that streams hands on the last piece before ``generate`` itself has returned."""


class Counter:
    """
    The tokens of the answer made last.

    Args:
        new_tokens: how many every answer gets.

    Attributes:
        prompt: tokens given.
        new: tokens made.
    """

    def __init__(self, new_tokens: int) -> None:
        self._wanted = new_tokens
        self._done = threading.Event()
        self.prompt = self.new = 0

    def wait(self) -> None:
        """Wait until the model has ended, and get ready for the next answer."""
        if not self._done.wait(LONGEST_WAIT_S):
            raise RuntimeError("the text has come to its end, the model has not")
        self._done.clear()

    def watch_llama_cpp(self) -> None:
        """Count in llama.cpp, and bar the tokens that end a text."""
        import llama_cpp

        original, ends = llama_cpp.Llama.generate, list[int]()

        def barred(_: Any, scores: Any) -> Any:  # noqa: ANN401 - arrays of single precision
            scores[ends] = -np.inf
            return scores

        def generate(model: Any, tokens: Sequence[int], **options: Any) -> Iterator[int]:  # noqa: ANN401 - theirs
            vocabulary: ctypes.c_void_p = model._model.vocab
            if not ends:
                ends.extend(one for one in range(model.n_vocab()) if llama_cpp.llama_vocab_is_eog(vocabulary, one))
            self.prompt, self.new = len(tokens), 0
            options["logits_processor"] = llama_cpp.LogitsProcessorList([barred])
            try:
                for token in original(model, tokens, **options):
                    self.new += 1
                    yield token
            finally:
                self._done.set()

        llama_cpp.Llama.generate = generate

    def watch_transformers(self) -> None:
        """Count in transformers; greedy, and exactly so many tokens."""
        from transformers import GenerationMixin

        original = GenerationMixin.generate

        def generate(model: Any, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401 - theirs
            given: Any = inputs[0] if inputs else options.get("input_ids", options.get("inputs"))
            lengths = {"max_new_tokens": self._wanted, "min_new_tokens": self._wanted, "max_length": None}
            made = original(model, *inputs, **{**options, **lengths, "do_sample": False})
            sequences = getattr(made, "sequences", made)
            self.prompt = given.shape[-1]
            self.new = sequences.shape[-1] - self.prompt
            self._done.set()
            return made

        GenerationMixin.generate = generate
