"""
The reference generator: transformers and PEFT behind the Generator protocol, on a CPU, CUDA or MPS.

The decoding loop is our own, because three promises need it: a request can be cancelled between two tokens, every token
carries its exact log-probability, and a seeded draw depends on nothing but its own request. Importing this module
imports torch and transformers (seconds), so entry points import it last.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from jinja2 import TemplateError
from peft import LoraConfig, LoraModel, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from models import adapters as adapter_files
from models.adapters import Adapter
from models.base import FinishReason, InputError, Message, ModelError, SamplingParams, Token, TokenStream
from models.decoding import Detokenizer, StopStrings, choose
from models.prompt import PROMPT_FORMAT
from models.store import Model


class TransformersGenerator:
    """
    Continues conversations with a causal language model, with any number of LoRA adapters resident.

    One request runs at a time: a stream takes a lock with its first token and gives it back before its last one, or
    when it is closed or fails, so calls from several threads wait for each other. Close a stream that is not read to
    its end (``contextlib.closing``): a thread that starts a second one beside it would wait for itself. Counting tokens
    never waits for a stream.
    """

    def __init__(self, model: Model, device: str | None = None, adapters: Sequence[Adapter] = ()) -> None:
        """
        Load the model, then the adapters.

        Args:
            model: where it lies and how long its context is.
            device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.
            adapters: LoRA adapters of this model; each is verified before it is loaded.

        Raises:
            ModelError: the model cannot be loaded or has no chat template or end token; an adapter does not fit.
        """
        transformers_logging.disable_progress_bar()
        self._model = model
        self._device = torch.device(device or torch.accelerator.current_accelerator(check_available=True) or "cpu")
        self._tokenizer, self._network = _load(model, self._device)
        self._end_ids = _end_ids(self._network, self._tokenizer, model)
        self._running = Lock()
        self._tokenizing = Lock()  # reading control tokens as text switches the tokenizer for a moment
        self._lora: LoraModel | None = None
        self._keys: dict[str, str] = {}
        for adapter in adapters:
            self.load_adapter(adapter)

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
        """Names of the loaded adapters, sorted."""
        return tuple(sorted(self._keys))

    @property
    def chat_template_sha256(self) -> str:
        """SHA-256 of the chat template's text, in hexadecimal."""
        return hashlib.sha256(self._tokenizer.get_chat_template().encode()).hexdigest()

    def token_ids(self, text: str) -> list[int]:
        """Return the ids of a rendered text; control tokens in it are read as such, none are added."""
        with self._tokenizing:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the exact length in tokens of the prompt that :meth:`stream` would read."""
        return len(self._prompt_ids(messages))

    def load_adapter(self, adapter: Adapter) -> None:
        """
        Verify a LoRA adapter and keep it resident; waits for a running stream.

        Args:
            adapter: the adapter's directory with its manifest; only ``adapter_model.safetensors`` is read.

        Raises:
            ModelError: it was made for another base, prompt or template, is damaged, or one of its name is loaded.
        """
        if adapter.name in self._keys:
            raise ModelError(
                f"an adapter {adapter.name!r} is loaded already; rename one, or restart to load another version."
            )
        adapter_files.verify(
            adapter,
            base=self._model,
            prompt_format=PROMPT_FORMAT,
            chat_template_sha256=self.chat_template_sha256,
            tokenize=self.token_ids,
        )
        config = _lora_config(adapter)
        with self._running:
            self._keys[adapter.name] = self._insert(adapter, config)

    def stream(self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None) -> TokenStream:
        """
        Yield the answer's tokens, one for every step of the model; see :class:`models.base.Generator`.

        The arguments are checked at once, the model starts with the first token. ``params.max_tokens`` is clipped to
        what the context has left. Control tokens inside the messages are read as plain text, so that a quoted document
        cannot open a turn of its own.

        Raises:
            ModelError: no adapter of that name.
            InputError: the prompt leaves no room for an answer, or the chat template refuses the conversation.
        """
        if adapter is not None and adapter not in self._keys:
            known = ", ".join(self.adapters) or "none"
            raise ModelError(f"no adapter {adapter!r} is loaded for {self.name!r}; loaded: {known}.")
        prompt = self._prompt_ids(messages)
        room = self.context_length - len(prompt)
        if room < 1:
            raise InputError(
                f"the prompt has {len(prompt)} tokens, but {self.name!r} reads {self.context_length}, answer included; "
                "shorten the conversation or choose a model with a longer context."
            )
        return self._decode(prompt, replace(params, max_tokens=min(params.max_tokens, room)), adapter)

    def _decode(self, prompt: list[int], params: SamplingParams, adapter: str | None) -> TokenStream:
        text, stops = Detokenizer(self._text), StopStrings(params.stop)
        source = np.random.default_rng(params.seed)
        with self._running:
            self._activate(adapter)
            unread, cache = prompt, None
            for count in itertools.count(1):
                logits, cache = self._step(unread, cache)
                chosen, logprob = choose(logits, params, source)
                if math.isnan(logprob):
                    raise ModelError(f"{self.name!r} computed a value that is not a number on {self._device.type}.")
                ended = chosen in self._end_ids
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

    def _activate(self, adapter: str | None) -> None:
        if self._lora is None:
            return
        if adapter is None:
            self._lora.disable_adapter_layers()
        else:
            self._lora.set_adapter(self._keys[adapter], inference_mode=True)
            self._lora.enable_adapter_layers()

    def _insert(self, adapter: Adapter, config: LoraConfig) -> str:
        """Put the adapter's weights into the network, switched off; return the name that PEFT knows it by."""
        # PEFT makes module names of adapter names, and those may not hold a dot, nor be called "keys".
        key = f"adapter{len(self._lora.peft_config) if self._lora else 0}"
        weights = load_file(adapter.directory / adapter_files.WEIGHTS)
        try:
            if self._lora is None:
                self._lora = LoraModel(self._network, config, key, low_cpu_mem_usage=True)
            else:
                self._lora.peft_config[key] = config
                self._lora.inject_adapter(self._network, key, low_cpu_mem_usage=True)
            result = set_peft_model_state_dict(self._network, weights, key, low_cpu_mem_usage=True)
        except (ValueError, RuntimeError) as error:
            reason = textwrap.shorten(str(error), 300)
            raise ModelError(f"the adapter {adapter.name!r} does not fit {self.name!r}: {reason}") from error
        finally:
            self._activate(None)
        strangers = [*result.unexpected_keys, *(name for name in result.missing_keys if f".{key}." in name)]
        if strangers:
            raise ModelError(
                f"the adapter {adapter.name!r} does not fit {self.name!r}: {len(strangers)} weights are missing or "
                f"have no place, for example {strangers[0]}; its adapter_config.json describes other weights."
            )
        return key

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            with self._tokenizing:
                ids: list[int] = self._tokenizer.apply_chat_template(
                    turns, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
                )
        except TemplateError as error:
            raise InputError(f"the chat template of {self.name!r} refuses this conversation: {error}") from error
        return ids

    def _text(self, ids: Sequence[int]) -> str:
        with self._tokenizing:
            text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _load(model: Model, device: torch.device) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    local = {"local_files_only": True, "trust_remote_code": False}
    # float32 on a CPU: without bf16 instructions, bf16 is two to three times slower there. On an accelerator bf16
    # halves memory; fp16 is not used, because models trained in bf16 overflow in it.
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    try:
        # The length limit is ours to check, with an error instead of the tokenizer's warning.
        tokenizer = AutoTokenizer.from_pretrained(str(model.directory), model_max_length=sys.maxsize, **local)
        network, report = AutoModelForCausalLM.from_pretrained(
            str(model.directory), dtype=dtype, use_safetensors=True, output_loading_info=True, **local
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{model.name!r} in {model.directory} could not be loaded: {textwrap.shorten(str(error), 300)} Expected a "
            "causal language model as safetensors; fetch one with `python -m models.fetch`."
        ) from error
    if report["missing_keys"]:
        raise ModelError(
            f"{model.name!r} in {model.directory} lacks {len(report['missing_keys'])} weights, for example "
            f"{min(report['missing_keys'])}; fetch it again with `python -m models.fetch`."
        )
    if not tokenizer.chat_template:
        raise ModelError(
            f"{model.name!r} in {model.directory} has no chat template; expected an instruction-tuned model."
        )
    return tokenizer, network.to(device).eval()


def _end_ids(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, model: Model) -> frozenset[int]:
    """Return every id that ends a turn: those of ``generation_config.json`` and the tokenizer's own."""
    configured = network.generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    ends = frozenset(end for end in (*several, tokenizer.eos_token_id) if end is not None)
    if not ends:
        raise ModelError(f"{model.name!r} in {model.directory} names no end token, so its answers would never stop.")
    return ends


def _lora_config(adapter: Adapter) -> LoraConfig:
    """Read the adapter's settings; refuse what would change the base model itself, or have no effect here."""
    config = LoraConfig.from_pretrained(str(adapter.directory), local_files_only=True)
    settings = {"bias": config.bias, "init_lora_weights": config.init_lora_weights}
    if config.bias != "none" or config.init_lora_weights not in (True, False, "gaussian"):
        raise ModelError(
            f"the adapter {adapter.name!r} has {settings}, which changes the base model's own weights; "
            "expected bias='none' and init_lora_weights=True."
        )
    if config.alora_invocation_tokens:
        raise ModelError(f"the adapter {adapter.name!r} is an activated LoRA; expected one that is always on.")
    config.inference_mode = True
    return config
