"""The LoRA adapters resident in a network: verified and inserted once, then switched from step to step."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from peft import LoraConfig, LoraModel, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from models.adapters import WEIGHTS, Adapter, verify
from models.base import ModelError
from models.engine import AdapterKey, adapter_key
from models.prompt import PROMPT_FORMAT
from models.store import Model
from models.tokenizer import ChatTokenizer

MAX_RESIDENT = 16
"""More adapters than this make the one used longest ago give up its place; one of rank 16 on 135M takes 20 MB."""


BASE = "__base__"
"""What PEFT calls a row of a batch that no adapter changes."""


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
        self._resident: dict[AdapterKey, str] = {}  # what PEFT calls them; the one used longest ago first
        self._active: str | None = None
        self._inserted = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the resident adapters, sorted."""
        return tuple(sorted({key[0] for key in self._resident}))

    def activate(self, adapter: Adapter | None) -> None:
        """
        Make the network compute with an adapter, or as the base model.

        An adapter that is not resident is verified and read first; one that was trained anew is another.

        Raises:
            ModelError: it does not fit, is damaged, or could change more than a plain LoRA does; the base model is
                active then.
        """
        self._switch(None if adapter is None else self._name(adapter))

    def keep(self, adapter: Adapter | None) -> None:
        """
        Make an adapter resident, whatever the network computes with now.

        Raises:
            ModelError: as :meth:`activate`.
        """
        if adapter is not None:
            self._name(adapter)

    @contextmanager
    def rows(self, adapters: Sequence[Adapter | None]) -> Iterator[None]:
        """
        Let each row of a batch compute with its own adapter, or as the base model.

        Args:
            adapters: at most :data:`MAX_RESIDENT`, one for each row; if they differ, none that :meth:`needs_all_rows`.

        Raises:
            ModelError: as :meth:`activate`.
        """
        names = [None if adapter is None else self._name(adapter) for adapter in adapters]
        self._switch(next((name for name in names if name is not None), None))
        if len(set(names)) == 1:
            yield
            return
        told = {"adapter_names": [name or BASE for name in names]}
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, options: (args, options | told), with_kwargs=True)
            for layer in self._layers
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def needs_all_rows(self, adapter: Adapter | None) -> bool:
        """Return whether a resident adapter cannot share a batch with others: DoRA, in PEFT 0.21."""
        return (
            adapter is not None
            and self._lora is not None
            and bool(self._lora.peft_config[self._name(adapter)].use_dora)
        )

    def _name(self, adapter: Adapter) -> str:
        """Return what PEFT calls an adapter, which is resident then."""
        key = adapter_key(adapter)
        if key in self._resident:
            self._resident[key] = self._resident.pop(key)
            return self._resident[key]
        self._switch(None)
        self._verify(adapter)
        self._resident[key] = self._insert(adapter)
        while len(self._resident) > MAX_RESIDENT:
            self._remove(self._resident.pop(next(iter(self._resident))))
        return self._resident[key]

    def _switch(self, name: str | None) -> None:
        if name == self._active:
            return
        # PEFT's own switching looks through all modules and their weights' gradients: 31 ms for SmolLM2-135M.
        for layer in self._layers:
            layer._disable_adapters = name is None
            layer._active_adapter = [] if name is None else [name]
        self._active = name

    def _remove(self, name: str) -> None:
        self._switch(None)  # deleting an active adapter would make another one active
        if self._lora is not None:
            self._lora.delete_adapter(name)

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
        self._lora.eval()  # what PEFT adds is made for training
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
