"""
A model's tokenizer and chat template: the one way from a conversation to token ids, in training and in serving.

Control tokens inside a message are read as plain text, so that a quoted document cannot open a turn of its own.
Importing this module imports transformers (seconds), so entry points import it last.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from threading import Lock

from jinja2 import TemplateError
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from models.base import InputError, Message, ModelError
from models.store import Model

LOCAL = {"local_files_only": True, "trust_remote_code": False}
GENERATION_FILE = "generation_config.json"


class ChatTokenizer:
    """
    Turns conversations into the token ids that a model reads, and token ids into text; safe from several threads.

    Attributes:
        end_ids: every id that ends a turn: those of ``generation_config.json`` and the tokenizer's own.
        pad_id: what fills a batch up; never told apart from other tokens by its id alone.
    """

    def __init__(self, model: Model) -> None:
        """
        Read the tokenizer files of a model.

        Raises:
            ModelError: they cannot be read, or name no chat template or no end token.
        """
        self._model = model
        try:
            # The length limit is ours to check, with an error instead of the tokenizer's warning.
            self._tokenizer = AutoTokenizer.from_pretrained(str(model.directory), model_max_length=sys.maxsize, **LOCAL)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the tokenizer of {model.name!r} in {model.directory} cannot be read: {error}") from error
        if not self._tokenizer.chat_template:
            raise ModelError(
                f"{model.name!r} in {model.directory} has no chat template; expected an instruction-tuned model."
            )
        self._reading = Lock()  # reading control tokens as text switches the tokenizer for a moment
        self.end_ids = _end_ids(model, self._tokenizer.eos_token_id)
        pad = self._tokenizer.pad_token_id
        self.pad_id: int = min(self.end_ids) if pad is None else pad

    @property
    def template_sha256(self) -> str:
        """SHA-256 of the chat template's text, in hexadecimal."""
        return hashlib.sha256(self._tokenizer.get_chat_template().encode()).hexdigest()

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """
        Return the ids of a conversation up to where the next answer begins.

        Raises:
            InputError: the chat template refuses the conversation.
        """
        return self._ids(messages, add_generation_prompt=True)

    def conversation_ids(self, messages: Sequence[Message]) -> list[int]:
        """
        Return the ids of a conversation whose turns are all complete.

        Raises:
            InputError: the chat template refuses the conversation.
        """
        return self._ids(messages, add_generation_prompt=False)

    def token_ids(self, text: str) -> list[int]:
        """Return the ids of a rendered text; control tokens in it are read as such, none are added."""
        with self._reading:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def plain_ids(self, text: str) -> list[int]:
        """Return the ids of a text in which control tokens are read as text, too."""
        with self._reading:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def text(self, ids: Sequence[int], *, control: bool = False) -> str:
        """Return the text of ids, with the control tokens or without."""
        with self._reading:
            text: str = self._tokenizer.decode(ids, skip_special_tokens=not control, clean_up_tokenization_spaces=False)
        return text

    def save(self, directory: str) -> None:
        """Write the tokenizer files into a directory."""
        self._tokenizer.save_pretrained(directory)

    def _ids(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            with self._reading:
                ids: list[int] = self._tokenizer.apply_chat_template(
                    turns,
                    add_generation_prompt=add_generation_prompt,
                    return_dict=False,
                    sanitize_control_tokens=True,
                    enable_thinking=False,  # templates of models that think aloud leave it out then
                )
        except TemplateError as error:
            raise InputError(f"the chat template of {self._model.name!r} refuses this conversation: {error}") from error
        return ids


def _end_ids(model: Model, own: int | None) -> frozenset[int]:
    """Read the ids that end a turn, from the files alone: no weights are needed to build training rows."""
    if (model.directory / GENERATION_FILE).is_file():
        settings = GenerationConfig.from_pretrained(str(model.directory), local_files_only=True)
    else:
        settings = GenerationConfig.from_model_config(AutoConfig.from_pretrained(str(model.directory), **LOCAL))
    configured = settings.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    ends = frozenset(end for end in (*several, own) if end is not None)
    if not ends:
        raise ModelError(f"{model.name!r} in {model.directory} names no end token, so its answers would never stop.")
    return ends
