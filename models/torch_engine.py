"""
The reference engine: transformers and PEFT, on a CPU, CUDA or MPS.

Importing this module imports torch and transformers (seconds), so entry points import it last.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from models import rows
from models.adapters import Adapter
from models.base import ConfigError, ModelError
from models.engine import AdapterKey, Logits, Reading, adapter_key
from models.lora import MAX_RESIDENT, ResidentAdapters, verifier
from models.network import best_device, best_dtype, load_network
from models.store import Model
from models.together import Together
from models.tokenizer import ChatTokenizer

logger = logging.getLogger(__name__)

PLACES = {"cuda": 8}
"""Answers at once on a device, where nobody says how many; on others one."""


class TransformersEngine:
    """
    A model's network with any number of LoRA adapters resident; one is loaded when it is first asked for.

    What several threads are to read is read together: each generated token of each answer is a row of one batch, with
    the adapter of its own. A prompt is read alone, because it fills the processor by itself.

    Args:
        model: where it lies.
        tokenizer: the model's.
        device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.
        places: how many answers are made at once; None leaves it to the device.

    Raises:
        ModelError: the model cannot be loaded, or cannot read for as many at once as are asked for.
        ConfigError: there are more places than adapters can be resident.
    """

    def __init__(
        self, model: Model, tokenizer: ChatTokenizer, device: str | None = None, places: int | None = None
    ) -> None:
        self._device = best_device(device)
        if places is not None and places > MAX_RESIDENT:
            raise ConfigError(f"{places} answers at once are asked for; {self.name} makes up to {MAX_RESIDENT}.")
        self.network = load_network(model, best_dtype(self._device)).to(self._device)
        self._places = self._possible(places)
        self.lora = ResidentAdapters(self.network, verifier(model, tokenizer))
        self._together = Together(self._read, self._places)

    def _possible(self, asked: int | None) -> int:
        places = asked or PLACES.get(self._device.type, 1)
        if places > 1:
            try:
                rows.require(self.network)
            except ModelError as error:
                if asked:
                    raise
                logger.warning("answers are made one after another: %s", error)
                return 1
        return places

    @property
    def name(self) -> str:
        """``transformers``."""
        return "transformers"

    @property
    def places(self) -> int:
        """How many answers are made at once."""
        return self._places

    def place(self) -> AbstractContextManager[None]:
        """Wait for a place; see :class:`models.engine.Engine`."""
        return self._together.place()

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
        if isinstance(known, _Reading) and length:
            return _Reading(self._together, adapter, rows.beginning(known.cache, length))
        return _Reading(self._together, adapter, rows.new_cache(self.network))

    # Inference mode belongs to a thread, and a stream may be advanced by a different thread each time: so it is
    # entered for a step, never across a yield.
    @torch.inference_mode()
    def _read(self, steps: list[_Step]) -> list[Logits | Exception]:
        """Read for several threads: one token behind others as rows of one batch, all else one by one."""
        found: dict[_Reading, Logits | Exception] = {}
        alike = [step for step in steps if self._is_row(step, found)] if len(steps) > 1 else []
        if len({adapter_key(step.reading.adapter) for step in alike}) > 1:
            alike = [step for step in alike if not self.lora.needs_all_rows(step.reading.adapter)]
        if len(alike) > 1:
            found.update(zip((step.reading for step in alike), self._rows(alike), strict=True))
        for step in steps:
            if step.reading not in found:
                found[step.reading] = self._alone(step)
        return [found[step.reading] for step in steps]

    def _is_row(self, step: _Step, failed: dict[_Reading, Logits | Exception]) -> bool:
        """Return whether a step is one token behind others, its adapter resident; note why it cannot be."""
        if len(step.ids) != 1 or not step.reading.cache.get_seq_length():
            return False
        try:
            self.lora.keep(step.reading.adapter)
        except ModelError as error:
            failed[step.reading] = error
            return False
        return True

    def _rows(self, steps: list[_Step]) -> list[Logits]:
        with self.lora.rows([step.reading.adapter for step in steps]):
            scores = rows.read(self.network, [step.reading.cache for step in steps], [step.ids[0] for step in steps])
        return list(scores.float().cpu().numpy())

    def _alone(self, step: _Step) -> Logits | Exception:
        """Read for one thread; what goes wrong is its own, not that of the others."""
        try:
            self.lora.activate(step.reading.adapter)
            output = self.network(
                input_ids=torch.tensor([list(step.ids)], device=self._device),
                past_key_values=step.reading.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        except Exception as error:
            return error
        logits: Logits = output.logits[0, -1].float().cpu().numpy()
        return logits


class _Reading:
    """A key-value cache, and the adapter that it was made with."""

    def __init__(self, together: Together[_Step, Logits], adapter: Adapter | None, cache: DynamicCache) -> None:
        self._together, self.adapter, self.cache = together, adapter, cache

    def read(self, ids: Sequence[int]) -> Logits:
        return self._together.do(_Step(self, ids))


class _Step(NamedTuple):
    """What a thread is to read."""

    reading: _Reading
    ids: Sequence[int]
