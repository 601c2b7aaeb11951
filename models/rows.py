"""
One token for each of several conversations, read in one step of a transformers network.

What needs no context sees one batch, a row for each conversation; the attention of each row sees its own cache only, so
none is padded to the length of another, or copied. Importing this module imports torch and transformers (seconds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from transformers import AttentionInterface, Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from models.base import ModelError

NAME = "homeground_rows_{}"
"""What transformers knows our attention by, behind which its own of that name computes."""

TRIED = ((1, 2), (3, 4, 2), (2, 1))
"""What some conversations have read, and which token comes next, at the end."""

MAX_DIFFERENCE = 0.05
"""Of scores that are computed in a batch, beside the largest; some thousandths with bf16."""

REFUSED = "this model does not answer several requests at once; set server.slots to 1."

ROOM = 256
"""Tokens for which a cache has room ahead, so that a token does not copy all those before it."""


def new_cache(network: PreTrainedModel) -> DynamicCache:
    """Return an empty cache for one conversation."""
    cache = DynamicCache(config=network.config)
    cache.layers = [_Roomy() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def beginning(cache: DynamicCache, length: int) -> DynamicCache:
    """Return a cache of the first tokens; its tensors are views, and a layer that reads on makes new ones."""
    begun = DynamicCache()
    begun.layers = [_Roomy(layer.keys[:, :, :length], layer.values[:, :, :length]) for layer in cache.layers]
    return begun


class _Roomy(DynamicLayer):  # type: ignore[misc] # transformers is not followed by mypy
    """Keys and values of one layer, of shape ``(1, heads, tokens, size)``, with room to grow in place."""

    def __init__(self, keys: torch.Tensor | None = None, values: torch.Tensor | None = None) -> None:
        super().__init__()
        self._room: list[torch.Tensor] = []
        if keys is not None and values is not None:
            self.lazy_initialization(keys, values)
            self.keys, self.values = keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values of new tokens; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        known = self.get_seq_length()
        length = known + key_states.shape[2]
        if not self._room or length > self._room[0].shape[2]:
            self._room = [
                new.new_empty(*new.shape[:2], length + ROOM, new.shape[3]) for new in (key_states, value_states)
            ]
            if known:
                self._room[0][:, :, :known], self._room[1][:, :, :known] = self.keys, self.values
        self._room[0][:, :, known:length], self._room[1][:, :, known:length] = key_states, value_states
        self.keys, self.values = (room[:, :, :length] for room in self._room)
        return self.keys, self.values


def read(network: PreTrainedModel, caches: Sequence[Cache], tokens: Sequence[int]) -> torch.Tensor:
    """
    Read a token for each of several conversations.

    Args:
        network: its attention is one of those that transformers knows by name.
        caches: what each has read, at least one token; they grow.
        tokens: of each.

    Returns:
        The scores of what comes next, shape ``(conversations, vocabulary)``.
    """
    device = network.device
    lengths = [cache.get_seq_length() for cache in caches]
    with _by_rows(network):
        output = network(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            position_ids=torch.tensor(lengths, device=device)[:, None],
            attention_mask=torch.zeros(
                1, 1, 1, 1, device=device
            ),  # so that none is made: a token sees all that its cache holds
            past_key_values=_Rows(caches),
            use_cache=True,
        )
    scores: torch.Tensor = output.logits[:, -1]
    return scores


def require(network: PreTrainedModel) -> None:
    """
    Try whether a network reads for several as it reads for one.

    Raises:
        ModelError: it does not.
    """
    positions = str(getattr(network.config, "rope_parameters", None))
    if any(kind in positions for kind in ("longrope", "dynamic")):
        raise ModelError(f"{REFUSED} Where a token stands changes with the longest conversation of a batch.")
    nexts = [last for *_, last in TRIED]
    try:
        with torch.inference_mode():
            expected = torch.cat(
                [_scores(network, cache, [token]) for cache, token in zip(_begun(network), nexts, strict=True)]
            )
            found = read(network, _begun(network), nexts)
    except Exception as error:  # whatever an unknown architecture makes of lists
        raise ModelError(f"{REFUSED} {type(error).__name__}: {error}") from error
    most = float((found - expected).abs().max() / expected.abs().max())
    if not most <= MAX_DIFFERENCE:
        raise ModelError(f"{REFUSED} Its scores differ by {most:.1%}.")


def _begun(network: PreTrainedModel) -> list[DynamicCache]:
    """Return the caches of conversations that have begun."""
    caches = [new_cache(network) for _ in TRIED]
    for cache, (*first, _) in zip(caches, TRIED, strict=True):
        _scores(network, cache, first)
    return caches


def _scores(network: PreTrainedModel, cache: Cache, tokens: list[int]) -> torch.Tensor:
    ids = torch.tensor([tokens], device=network.device)
    scores: torch.Tensor = network(input_ids=ids, past_key_values=cache, use_cache=True).logits[:, -1]
    return scores


class _Rows(Cache):  # type: ignore[misc] # transformers is not followed by mypy
    """The caches of several conversations; what it gives to a layer's attention are lists, an entry for each."""

    def __init__(self, caches: Sequence[Cache]) -> None:
        super().__init__(layers=[])
        self._caches = caches

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Add a row of keys and values to each cache; return all that each holds."""
        rows = enumerate(self._caches)
        held = [cache.update(keys[at : at + 1], values[at : at + 1], layer_idx) for at, cache in rows]
        return [pair[0] for pair in held], [pair[1] for pair in held]


@contextmanager
def _by_rows(network: PreTrainedModel) -> Iterator[None]:
    """Let a network's attention take lists, a row's keys and values each."""
    own = network.config._attn_implementation
    name = NAME.format(own)
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, partial(_attend, ALL_ATTENTION_FUNCTIONS[own]))
    network.config._attn_implementation = name
    try:
        yield
    finally:
        network.config._attn_implementation = own


def _attend(
    compute: Callable[..., tuple[torch.Tensor, object]],
    module: nn.Module,
    query: torch.Tensor,
    key: list[torch.Tensor],
    value: list[torch.Tensor],
    *_: object,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Compute each row's attention to all that its cache holds; shape ``(rows, 1, heads, size)``."""
    held = enumerate(zip(key, value, strict=True))
    return torch.cat([compute(module, query[at : at + 1], *pair, None, **options)[0] for at, pair in held]), None
