"""
The generator: a network of this machine behind the Generator protocol, whatever engine runs it.

The decoding loop is our own, because three promises need it: a request can be cancelled between two tokens, every token
carries its exact log-probability, and a seeded draw depends on nothing but its own request.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from models.adapter_store import not_offered
from models.adapters import Adapter
from models.base import FinishReason, InputError, Message, ModelError, SamplingParams, Token, TokenStream
from models.decoding import Detokenizer, StopStrings, choose, choose_opening
from models.engine import AdapterKey, Engine, Reading, adapter_key
from models.prefix import EVERYBODY, PrefixCache
from models.prompt import FIXED_SYSTEM
from models.repeats import Repeats
from models.store import Model
from models.tokenizer import ChatTokenizer


@dataclass(slots=True)
class _Memory:
    """What earlier requests left; ``counted`` is the conversation that was counted last, until it is asked."""

    prefixes: PrefixCache = field(default_factory=PrefixCache)
    repeats: Repeats = field(default_factory=Repeats)
    counted: tuple[tuple[Message, ...], list[int]] = ((), [])


class LocalGenerator:
    """
    Continues conversations with a causal language model, with any number of LoRA adapters resident.

    As many requests run at a time as the engine has places, on most one: a stream takes a place with its first token
    and gives it back before its last one, or when it is closed or fails, so calls from several threads wait for each
    other. Close a stream that is not read to its end (``contextlib.closing``): a thread that starts a second one beside
    it would wait for itself. Counting tokens never waits for a stream.
    """

    def __init__(
        self, model: Model, tokenizer: ChatTokenizer, engine: Engine, offered: Callable[[], Sequence[Adapter]] = tuple
    ) -> None:
        """
        Put a loaded model to work; an adapter is loaded when a request first asks for it.

        Args:
            model: its name, and how long its context is.
            tokenizer: the model's.
            engine: runs its network.
            offered: tells, at each request, which LoRA adapters of this model may be asked for.
        """
        self._model, self._tokenizer, self._engine, self._offered = model, tokenizer, engine, offered
        self._memory = _Memory()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def engine(self) -> str:
        """What runs the model, for example ``transformers``."""
        return self._engine.name

    @property
    def places(self) -> int:
        """How many answers are made at once."""
        return self._engine.places

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
        ids = self._tokenizer.prompt_ids(messages)
        self._memory.counted = tuple(messages), ids
        return len(ids)

    def stream(
        self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None, scope: str | None = None
    ) -> TokenStream:
        """
        Yield the answer's tokens, one for every step of the model; see :class:`models.base.Generator`.

        The arguments are checked at once, the model starts with the first token. ``params.max_tokens`` is clipped to
        what the context has left.

        Raises:
            ModelError: no adapter of that name; with the first token, one that does not fit or is damaged.
            InputError: the prompt leaves no room for an answer, or the chat template refuses the conversation.
        """
        if scope == EVERYBODY:
            raise ValueError("a scope needs a name")
        chosen = None if adapter is None else self._find(adapter)
        prompt = self._counted(messages) or self._tokenizer.prompt_ids(messages)
        room = self.context_length - len(prompt)
        if room < 1:
            raise InputError(
                f"the prompt has {len(prompt)} tokens, but {self.name!r} reads {self.context_length}, answer included; "
                "shorten the conversation or choose a model with a longer context."
            )
        head = self._head(messages, prompt)
        return self._answer(prompt, head, replace(params, max_tokens=min(params.max_tokens, room)), chosen, scope)

    def forget(self) -> None:
        """Let go of earlier prompts and answers; see :class:`models.base.Generator`."""
        self._memory = _Memory()

    def _counted(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of what was counted last, to fit, if this is it; they are there for one request only."""
        memory = self._memory
        conversation, ids = memory.counted
        if conversation != tuple(messages):
            return []
        memory.counted = (), []
        return ids

    def _find(self, name: str) -> Adapter:
        offered = {adapter.name: adapter for adapter in self._offered()}
        if name not in offered:
            raise not_offered(name, self.name, sorted(offered))
        return offered[name]

    def _head(self, messages: Sequence[Message], prompt: Sequence[int]) -> int:
        """Return how many tokens of a prompt are fixed instructions, the same for everybody."""
        if not messages or messages[0].role != "system" or messages[0].content not in FIXED_SYSTEM:
            return 0
        try:
            ids = self._tokenizer.conversation_ids(messages[:1])
        except InputError:  # a template that renders no system turn alone
            return 0
        return len(ids) if list(prompt[: len(ids)]) == ids and len(ids) < len(prompt) else 0

    def _answer(
        self, prompt: list[int], head: int, params: SamplingParams, adapter: Adapter | None, scope: str | None
    ) -> TokenStream:
        memory, request = self._memory, Repeats.request(prompt, params, scope, adapter_key(adapter))
        with self._engine.place():
            tokens = list(memory.repeats.find(request))
            for token in tokens[:-1]:
                yield token
            if not tokens:
                with closing(self._decode(prompt, head, params, adapter, scope, memory.prefixes)) as fresh:
                    for token in fresh:
                        tokens.append(token)
                        if token.finish_reason:
                            break
                        yield token
                memory.repeats.keep(request, tokens)
        yield tokens[-1]  # when the model is free again: nobody has to ask for a token after it

    def _decode(
        self,
        prompt: list[int],
        head: int,
        params: SamplingParams,
        adapter: Adapter | None,
        scope: str | None,
        prefixes: PrefixCache,
    ) -> TokenStream:
        text, stops = Detokenizer(self._tokenizer.text), StopStrings(params.stop)
        source = np.random.default_rng(params.seed)
        key = self._engine.key(adapter)
        reading, done = self._begin(prompt, head, adapter, key, scope, prefixes)
        read, unread, is_sound = prompt[:done], prompt[done:], False
        opening = self._tokenizer.plain_ids(params.opening)[0] if params.opening else None
        try:
            for count in itertools.count(1):
                is_sound = False
                scores = reading.read(unread)
                likely = None
                if count == 1 and opening is not None:
                    chosen, probability, likely = choose_opening(scores, params, source, opening)
                else:
                    chosen, probability = choose(scores, params, source)
                if math.isnan(probability):
                    raise ModelError(f"{self.name!r} computed a value that is not a number with {self.engine}.")
                read, is_sound = read + unread, True
                ended = chosen in self._tokenizer.end_ids
                shown = "" if ended else stops.push(text.push(chosen))
                reason: FinishReason | None = "length" if count >= params.max_tokens else None
                if ended or stops.found:
                    reason = "stop"
                if reason and not stops.found:
                    shown += stops.push(text.flush()) + stops.flush()
                yield Token(chosen, shown, probability, reason, likely)
                unread = [chosen]
        finally:
            if scope is not None and is_sound and self._engine.can_go_on:
                prefixes.keep(read, scope, key, reading)

    def _begin(
        self,
        prompt: list[int],
        head: int,
        adapter: Adapter | None,
        key: AdapterKey,
        scope: str | None,
        prefixes: PrefixCache,
    ) -> tuple[Reading, int]:
        """Return a reading that this request may go on from, and how much of the prompt it has read."""
        if not self._engine.can_go_on:
            return self._engine.begin(adapter), 0
        known, shared = prefixes.longest(prompt, scope or EVERYBODY, key)
        if not self._engine.pays(max(shared, head), len(prompt)):
            return self._engine.begin(adapter), 0
        if shared < head:
            known, shared = self._engine.begin(adapter), head
            known.read(prompt[:head])
            prefixes.keep(prompt[:head], EVERYBODY, key, known)
        ours = known is not None and prefixes.let_go(known, shared, scope or EVERYBODY)
        return self._engine.begin(adapter, known, shared, ours=ours), shared
