"""
The reference generator: transformers and PEFT behind the Generator protocol, on a CPU, CUDA or MPS.

The decoding loop is our own, because three promises need it: a request can be cancelled between two tokens, every token
carries its exact log-probability, and a seeded draw depends on nothing but its own request. Importing this module
imports torch and transformers (seconds), so entry points import it last.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from transformers import Cache

from models.adapter_store import not_offered
from models.adapters import Adapter
from models.base import FinishReason, InputError, Message, ModelError, SamplingParams, Token, TokenStream
from models.decoding import Detokenizer, StopStrings, choose
from models.lora import ResidentAdapters, verifier
from models.network import best_device, best_dtype, load_network
from models.store import Model
from models.tokenizer import ChatTokenizer


class TransformersGenerator:
    """
    Continues conversations with a causal language model, with any number of LoRA adapters resident.

    One request runs at a time: a stream takes a lock with its first token and gives it back before its last one, or
    when it is closed or fails, so calls from several threads wait for each other. Close a stream that is not read to
    its end (``contextlib.closing``): a thread that starts a second one beside it would wait for itself. Counting tokens
    never waits for a stream.
    """

    def __init__(
        self, model: Model, device: str | None = None, offered: Callable[[], Sequence[Adapter]] = tuple
    ) -> None:
        """
        Load the model; an adapter is loaded when a request first asks for it.

        Args:
            model: where it lies and how long its context is.
            device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.
            offered: tells, at each request, which LoRA adapters of this model may be asked for.

        Raises:
            ModelError: the model cannot be loaded or has no chat template or end token.
        """
        self._model = model
        self._device = best_device(device)
        self._tokenizer = ChatTokenizer(model)
        self._network = load_network(model, best_dtype(self._device)).to(self._device)
        self._offered = offered
        self._lora = ResidentAdapters(self._network, verifier(model, self._tokenizer))
        self._running = Lock()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def engine(self) -> str:
        """``transformers``."""
        return "transformers"

    @property
    def context_length(self) -> int:
        """The most tokens of prompt and answer together."""
        return self._model.context_length

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that a request may ask for now, sorted."""
        return tuple(sorted(adapter.name for adapter in self._offered()))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the exact length in tokens of the prompt that :meth:`stream` would read."""
        return len(self._tokenizer.prompt_ids(messages))

    def stream(self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None) -> TokenStream:
        """
        Yield the answer's tokens, one for every step of the model; see :class:`models.base.Generator`.

        The arguments are checked at once, the model starts with the first token. ``params.max_tokens`` is clipped to
        what the context has left.

        Raises:
            ModelError: no adapter of that name; with the first token, one that does not fit or is damaged.
            InputError: the prompt leaves no room for an answer, or the chat template refuses the conversation.
        """
        chosen = None if adapter is None else self._find(adapter)
        prompt = self._tokenizer.prompt_ids(messages)
        room = self.context_length - len(prompt)
        if room < 1:
            raise InputError(
                f"the prompt has {len(prompt)} tokens, but {self.name!r} reads {self.context_length}, answer included; "
                "shorten the conversation or choose a model with a longer context."
            )
        return self._decode(prompt, replace(params, max_tokens=min(params.max_tokens, room)), chosen)

    def _find(self, name: str) -> Adapter:
        offered = {adapter.name: adapter for adapter in self._offered()}
        if name not in offered:
            raise not_offered(name, self.name, sorted(offered))
        return offered[name]

    def _decode(self, prompt: list[int], params: SamplingParams, adapter: Adapter | None) -> TokenStream:
        text, stops = Detokenizer(self._tokenizer.text), StopStrings(params.stop)
        source = np.random.default_rng(params.seed)
        with self._running:
            self._lora.activate(adapter)
            unread, cache = prompt, None
            for count in itertools.count(1):
                logits, cache = self._step(unread, cache)
                chosen, logprob = choose(logits, params, source)
                if math.isnan(logprob):
                    raise ModelError(f"{self.name!r} computed a value that is not a number on {self._device.type}.")
                ended = chosen in self._tokenizer.end_ids
                shown = "" if ended else stops.push(text.push(chosen))
                reason: FinishReason | None = "length" if count >= params.max_tokens else None
                if ended or stops.found:
                    reason = "stop"
                if reason and not stops.found:
                    shown += stops.push(text.flush()) + stops.flush()
                token = Token(chosen, shown, logprob, reason)
                if reason:
                    break
                yield token
                unread = [chosen]
        yield token  # the last one, when the model is free again: nobody has to ask for a token after it

    # Inference mode belongs to a thread, and a stream may be advanced by a different thread each time: so it is
    # entered for a step, never across a yield.
    @torch.inference_mode()
    def _step(self, unread: list[int], cache: Cache | None) -> tuple[npt.NDArray[np.float32], Cache]:
        output = self._network(
            input_ids=torch.tensor([unread], device=self._device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[0, -1].float().cpu().numpy(), output.past_key_values
