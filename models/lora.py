"""The LoRA adapters resident in a network: verified and inserted once, then switched from request to request."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from peft import LoraConfig, LoraModel, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from models.adapters import CONFIG, WEIGHTS, Adapter, verify
from models.base import ModelError
from models.prompt import PROMPT_FORMAT
from models.store import Model
from models.tokenizer import ChatTokenizer

MAX_RESIDENT = 16
"""More adapters than this make the one used longest ago give up its place; one of rank 16 on 135M takes 20 MB."""


@dataclass(frozen=True, slots=True)
class _Resident:
    """An adapter in the network: the name that PEFT knows it by, and the digests of its files."""

    key: str
    files: tuple[str, str]


class ResidentAdapters:
    """
    Adapters by name, any of them or none active; for one thread at a time.

    Args:
        network: what they change.
        verify: raises a ModelError for an adapter that does not belong to the network; called before it is read.
    """

    def __init__(self, network: PreTrainedModel, verify: Callable[[Adapter], None]) -> None:
        self._network = network
        self._verify = verify
        self._lora: LoraModel | None = None
        self._layers: list[BaseTunerLayer] = []
        self._resident: dict[str, _Resident] = {}  # the one used longest ago first
        self._active: str | None = None
        self._inserted = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the resident adapters, sorted."""
        return tuple(sorted(self._resident))

    def activate(self, adapter: Adapter | None) -> None:
        """
        Make the network compute with an adapter, or as the base model.

        An adapter that is not resident, or whose files are not those that are resident, is verified and read first.

        Raises:
            ModelError: it does not fit, is damaged, or could change more than a plain LoRA does; the base model is
                active then.
        """
        if adapter is None:
            self._switch(None)
            return
        files = adapter.files[CONFIG], adapter.files[WEIGHTS]
        known = self._resident.pop(adapter.name, None)
        if known is not None and known.files != files:
            self._remove(known)
            known = None
        if known is None:
            self._verify(adapter)
            known = _Resident(self._insert(adapter), files)
            while len(self._resident) >= MAX_RESIDENT:
                self._remove(self._resident.pop(next(iter(self._resident))))
        self._resident[adapter.name] = known
        self._switch(known.key)

    def _switch(self, key: str | None) -> None:
        if key == self._active:
            return
        # PEFT's own switching looks through all modules and their weights' gradients: 31 ms for SmolLM2-135M.
        for layer in self._layers:
            layer._disable_adapters = key is None
            layer._active_adapter = [] if key is None else [key]
        self._active = key

    def _remove(self, resident: _Resident) -> None:
        self._switch(None)  # deleting an active adapter would make another one active
        if self._lora is not None:
            self._lora.delete_adapter(resident.key)

    def _insert(self, adapter: Adapter) -> str:
        """Put the adapter's weights into the network, switched off; return the name that PEFT knows it by."""
        # PEFT makes module names of adapter names, and those may not hold a dot, nor be called "keys".
        key = f"adapter{self._inserted}"
        self._inserted += 1
        config = LoraConfig.from_pretrained(str(adapter.directory), local_files_only=True)
        config.inference_mode = True
        weights = weights_of(adapter)
        try:
            if self._lora is None:
                self._lora = LoraModel(self._network, config, key, low_cpu_mem_usage=True)
            else:
                self._lora.peft_config[key] = config
                self._lora.inject_adapter(self._network, key, low_cpu_mem_usage=True)
            result = set_peft_model_state_dict(self._network, weights, key, low_cpu_mem_usage=True)
            strangers = [*result.unexpected_keys, *(name for name in result.missing_keys if f".{key}." in name)]
            if strangers:
                raise ValueError(
                    f"{len(strangers)} weights are missing or have no place, for example {strangers[0]}; its "
                    "adapter_config.json describes other weights"
                )
        except Exception as error:  # whatever PEFT makes of settings that it was not meant for
            self._discard(key)
            reason = textwrap.shorten(str(error), 300)
            raise ModelError(f"the adapter {adapter.name!r} does not fit: {reason}") from error
        self._layers = [module for module in self._network.modules() if isinstance(module, BaseTunerLayer)]
        self._active = key  # PEFT makes the first one active, and later ones not
        self._switch(None)
        return key

    def _discard(self, key: str) -> None:
        """Take an adapter out again, however far its insertion came, so that the base model is what it was."""
        self._active = None
        if self._lora is not None:
            self._lora.delete_adapter(key)
            self._lora.disable_adapter_layers()
            return
        for name, module in list(self._network.named_modules()):
            if isinstance(module, BaseTunerLayer):
                parent, _, child = name.rpartition(".")
                setattr(self._network.get_submodule(parent), child, module.get_base_layer())


def weights_of(adapter: Adapter) -> dict[str, Tensor]:
    """Return an adapter's weights by name in float32: PEFT keeps the type it is given, and half is for the disk."""
    return {name: weight.float() for name, weight in load_file(adapter.directory / WEIGHTS).items()}


def verifier(model: Model, tokenizer: ChatTokenizer) -> Callable[[Adapter], None]:
    """Return what raises a ModelError for every adapter that was not made for this model, prompt and tokenizer."""
    return partial(
        verify,
        base=model,
        prompt_format=PROMPT_FORMAT,
        chat_template_sha256=tokenizer.template_sha256,
        tokenize=tokenizer.token_ids,
    )
