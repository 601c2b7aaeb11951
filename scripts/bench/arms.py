"""Everything that continues a prompt: our engines, llama.cpp's server, CTranslate2; and how one run is timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from models import adapter_store
from models.base import InputError, Message, SamplingParams
from models.generator import LocalGenerator
from models.store import Model
from scripts.bench.peers import gguf as gguf_files
from scripts.bench.peers.llama_server import LlamaServer
from scripts.bench.peers.processes import Talk


class Run(NamedTuple):
    """One answer: seconds to its first token and to its last, those that cores worked for it, and its text."""

    first_token_s: float
    total_s: float
    first_processor_s: float
    processor_s: float
    text: str


Arm = Callable[[list[Message], int], Run]
"""Continues a conversation by so many tokens."""

FOLLOW_UP = "And why is that?"


def timed(arm: Arm, prompt: list[Message], tokens: int, new_tokens: int) -> dict[str, float]:
    """Answer a prompt of so many tokens, and one that goes on from it."""
    run = arm(prompt, new_tokens)
    again = arm([*prompt, Message("assistant", run.text), Message("user", FOLLOW_UP)], new_tokens)
    return {
        "first_token_s": run.first_token_s,
        "prompt_tokens_per_s": tokens / run.first_token_s,
        "decoded_per_s": (new_tokens - 1) / (run.total_s - run.first_token_s),
        "total_s": run.total_s,
        "first_processor_s": run.first_processor_s,
        "processor_s": run.processor_s,
        "follow_up_first_token_s": again.first_token_s,
    }


def our_arms(generators: Mapping[str, LocalGenerator], adapter: str | None, scope: str) -> dict[str, Arm]:
    """Return our engines by name, each with an adapter, too, if there is one; nothing is re-used across scopes."""
    arms: dict[str, Arm] = {}
    for name, generator in generators.items():
        arms[name] = _our_arm(generator, None, scope)
        if adapter is not None:
            merged = "merged" in generator._engine.key(adapter_store.locate(adapter))
            arms[f"{name}, adapter {'merged' if merged else 'applied'}"] = _our_arm(generator, adapter, scope)
    return arms


def _our_arm(generator: LocalGenerator, adapter: str | None, scope: str) -> Arm:
    def run(messages: list[Message], new_tokens: int) -> Run:
        started, worked, first, words = time.perf_counter(), time.process_time(), 0.0, ""
        first_worked = 0.0
        params = SamplingParams(max_tokens=new_tokens)
        with closing(generator.stream(messages, params, adapter, scope)) as tokens:
            for token in tokens:
                first = first or time.perf_counter() - started
                first_worked = first_worked or time.process_time() - worked
                words += token.text
        return Run(first, time.perf_counter() - started, first_worked, time.process_time() - worked, words)

    return run


def peers_arms(
    model: Model, counting: LocalGenerator, python: Path, gguf: Path | None, running: ExitStack
) -> dict[str, Arm]:
    """
    Start the peers with the same weights.

    Args:
        model: the generator.
        counting: the same on an engine of ours: its tokens are what they get.
        python: the interpreter of the peers' environment.
        gguf: the model for llama.cpp; None for that of the catalog.
        running: ends them.

    Raises:
        InputError: llama.cpp or CTranslate2 cannot run this model.
    """
    threads = len(os.sched_getaffinity(0))
    server = LlamaServer(python, gguf or gguf_files.gguf(model.name), model.context_length, threads)
    running.enter_context(server)
    words = [str(python), "-m", "scripts.bench.peers.ctranslate2_peer", str(model.directory), str(threads)]
    other = running.enter_context(Talk("CTranslate2", words))
    return {"llama.cpp, server": _llama_arm(server, counting), "CTranslate2, int8": _ctranslate2_arm(other, counting)}


def _llama_arm(server: LlamaServer, counting: LocalGenerator) -> Arm:
    tokenizer: Any = counting._tokenizer._tokenizer
    ends = frozenset(number for number in tokenizer.all_special_ids)

    def run(messages: list[Message], new_tokens: int) -> Run:
        ids = counting._tokenizer.prompt_ids(messages)
        prompt = tokenizer.decode(ids)
        read = server.count(prompt)
        if read not in (len(ids), len(ids) + 1):  # it may put a token for the beginning before them
            raise InputError(f"llama.cpp reads {read} tokens where the model's own tokenizer has {len(ids)}.")
        told = server.answer(prompt, ends, new_tokens)
        return Run(**{key: told[key] for key in Run._fields})

    return run


def _ctranslate2_arm(process: Talk, counting: LocalGenerator) -> Arm:
    def run(messages: list[Message], new_tokens: int) -> Run:
        told = process.ask({"ids": counting._tokenizer.prompt_ids(messages), "new_tokens": new_tokens})
        if told["new_tokens"] != new_tokens:
            raise InputError(f"CTranslate2 made {told['new_tokens']} tokens, {new_tokens} were asked for.")
        return Run(**{key: told[key] for key in Run._fields})

    return run
