"""
The reference engine: transformers and PEFT, on a CPU, CUDA or MPS.

Importing this module imports torch and transformers (seconds), so entry points import it last.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from models.adapters import Adapter
from models.engine import AdapterKey, Logits, Reading, adapter_key
from models.lora import ResidentAdapters, verifier
from models.network import best_device, best_dtype, load_network
from models.store import Model
from models.tokenizer import ChatTokenizer


class TransformersEngine:
    """
    A model's network with any number of LoRA adapters resident; one is loaded when it is first asked for.

    Args:
        model: where it lies.
        tokenizer: the model's.
        device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.

    Raises:
        ModelError: the model cannot be loaded.
    """

    def __init__(self, model: Model, tokenizer: ChatTokenizer, device: str | None = None) -> None:
        self._device = best_device(device)
        self.network = load_network(model, best_dtype(self._device)).to(self._device)
        self.lora = ResidentAdapters(self.network, verifier(model, tokenizer))

    @property
    def name(self) -> str:
        """``transformers``."""
        return "transformers"

    @property
    def can_go_on(self) -> bool:
        """Whether every layer keeps all that it has read; sliding windows do not."""
        return all(type(layer) is DynamicLayer for layer in DynamicCache(config=self.network.config).layers)

    def pays(self, known: int, total: int) -> bool:
        """Return whether anything is known."""
        return known > 0

    def key(self, adapter: Adapter | None) -> AdapterKey:
        """Return what tells an adapter from all others."""
        return adapter_key(adapter)

    def begin(
        self, adapter: Adapter | None, known: Reading | None = None, length: int = 0, *, ours: bool = False
    ) -> Reading:
        """Begin to read; see :class:`models.engine.Engine`. Views cost nothing, so ``ours`` changes nothing."""
        self.lora.activate(adapter)
        cache = known.beginning(length) if isinstance(known, _Reading) else None
        return _Reading(self.network, self.lora, adapter, cache)


class _Reading:
    """A key-value cache, and the adapter that it was made with."""

    def __init__(
        self, network: PreTrainedModel, lora: ResidentAdapters, adapter: Adapter | None, cache: Cache | None
    ) -> None:
        self._network, self._lora, self._adapter, self._cache = network, lora, adapter, cache

    # Inference mode belongs to a thread, and a stream may be advanced by a different thread each time: so it is
    # entered for a step, never across a yield.
    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> Logits:
        self._lora.activate(self._adapter)
        output = self._network(
            input_ids=torch.tensor([list(ids)], device=self._network.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = output.past_key_values
        logits: Logits = output.logits[0, -1].float().cpu().numpy()
        return logits

    @torch.inference_mode()
    def beginning(self, length: int) -> Cache | None:
        """Return a cache of the first tokens; its tensors are views, and a layer that reads on makes new ones."""
        if self._cache is None:
            return None
        return DynamicCache([(layer.keys[:, :, :length], layer.values[:, :, :length]) for layer in self._cache.layers])
