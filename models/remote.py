"""
A generator on another machine: any OpenAI-compatible server that tells how long a prompt is.

Two kinds are understood, told apart by what they answer: vLLM (``/tokenize`` counts a conversation, and LoRA adapters
are models with a ``parent``) and llama.cpp's server (``/apply-template``, then ``/tokenize``). Others cannot keep the
promise of exact token counts and are refused. The server is named by the user's settings, and nothing else is reached.
It renders the conversation itself, and reads what looks like a control token as one; so a document that writes
``<|im_end|>`` has that taken apart before it is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import httpx2 as httpx

from models.adapter_store import not_offered
from models.base import ConfigError, FinishReason, InputError, Message, ModelError, SamplingParams, Token, TokenStream

UNKNOWN_ID = -1
"""Where the server does not say which token of its vocabulary it chose."""

_ID = "token_id:"
_DATA = b"data:"
_END = b"[DONE]"

_CONTROL = re.compile(r"<(?=[|｜/]?\w[\w|｜▁ -]{0,40}>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+)\])")
"""Where a control token of the known chat templates may begin: <|im_end|>, <s>, <end_of_turn>, [INST], ..."""

PLACES = 8


class RemoteGenerator:
    """
    A model that an OpenAI-compatible server runs; requests of several threads go out at the same time.

    Args:
        url: of the interface, for example ``http://gpu-box:8000/v1``.
        model: its name there.
        key: sent as a bearer token; None sends none.
        timeout_s: how long the server may be silent.

    Raises:
        ModelError: the server cannot be reached, or does not serve the model.
        ConfigError: it does not tell how long a prompt or its context is.
    """

    def __init__(self, url: str, model: str, key: str | None = None, timeout_s: float = 120) -> None:
        self._url, self._model = url.rstrip("/"), model
        self._root = self._url.removesuffix("/v1")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # trust_env: no proxy of the environment may see what is asked here.
        self._client = httpx.Client(headers=headers, timeout=timeout_s, trust_env=False)
        cards = {card["id"]: card for card in self._cards()}
        if model not in cards:
            raise ModelError(
                f"the server at {self._url} serves {', '.join(sorted(cards)) or 'nothing'}, not {model!r}."
            )
        self._counts_conversations = "max_model_len" in cards[model]
        self._context_length = self._read_context_length(cards[model])
        self.count_tokens([Message("user", "x")])

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return self._model

    @property
    def engine(self) -> str:
        """``remote``."""
        return "remote"

    @property
    def places(self) -> int:
        """How many answers are asked for at once, unless the settings say; the server may well make them wait."""
        return PLACES

    @property
    def context_length(self) -> int:
        """The most tokens of prompt and answer together."""
        return self._context_length

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that the server offers for the model now, sorted."""
        return tuple(sorted(card["id"] for card in self._cards() if card.get("parent") == self._model))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """
        Return the exact length in tokens of the prompt that :meth:`stream` would have read.

        Raises:
            ConfigError: the server does not tell.
            ModelError: it cannot be reached.
        """
        turns = _turns(messages)
        try:
            if self._counts_conversations:
                body = {"model": self._model, "messages": turns, "add_generation_prompt": True}
                return int(self._post("tokenize", body)["count"])
            prompt = self._post("apply-template", {"messages": turns})["prompt"]
            body = {"content": prompt, "add_special": True, "parse_special": True}
            return len(self._post("tokenize", body)["tokens"])
        except (KeyError, InputError) as error:
            raise ConfigError(
                f"the server at {self._url} does not tell how many tokens a conversation has; use vLLM or llama.cpp's "
                "server."
            ) from error

    def forget(self) -> None:
        """Do nothing: what the server remembers is its own."""

    def stream(
        self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None, scope: str | None = None
    ) -> TokenStream:
        """
        Yield the answer's tokens; see :class:`models.base.Generator`. Closing it ends the request.

        Raises:
            ModelError: no adapter of that name, or the server cannot be reached or breaks off.
            InputError: the server refuses the request, for example because the prompt is too long.
            ConfigError: the opening is to be decided by its probability, which only local models tell.
        """
        if params.opening_from is not None:
            raise ConfigError("answer.decline_from: a remote server does not tell that probability; leave it out.")
        if adapter is not None and adapter not in (offered := self.adapters):
            raise not_offered(adapter, self._model, offered)
        room = self.context_length - self.count_tokens(messages)
        if room < 1:
            raise InputError(
                f"the prompt leaves no room for an answer in the {self.context_length} tokens that {self.name!r} reads."
            )
        body: dict[str, Any] = {
            "model": adapter or self._model,
            "messages": _turns(messages),
            "max_tokens": min(params.max_tokens, room),
            "temperature": params.temperature,
            "top_p": params.top_p,
            "stream": True,
            "logprobs": True,
        }
        if params.seed is not None:
            body["seed"] = params.seed
        if params.stop:
            body["stop"] = list(params.stop)
        if self._counts_conversations:
            body["return_tokens_as_token_ids"] = True
        return self._tokens(body)

    def _tokens(self, body: dict[str, Any]) -> TokenStream:
        held: list[Token] = []  # the last token carries the reason, which comes behind it
        with self._reached(), self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
            self._require(response)
            for event in _events(response):
                if "error" in event:
                    raise ModelError(f"the server at {self._url} broke off: {event['error']}")
                for choice in event.get("choices", []):
                    fresh = _read(choice)
                    yield from held if fresh else ()
                    held = fresh or held
                    if choice.get("finish_reason"):
                        reason: FinishReason = "length" if choice["finish_reason"] == "length" else "stop"
                        last = held.pop() if held else Token(UNKNOWN_ID, "", 0.0)
                        yield from held
                        yield Token(last.id, last.text, last.logprob, reason)
                        return
        raise ModelError(f"the server at {self._url} ended its answer without a reason; it may have been stopped.")

    def _cards(self) -> list[dict[str, Any]]:
        with self._reached():
            response = self._client.get(f"{self._url}/models")
            self._require(response)
            return cast(list[dict[str, Any]], response.json()["data"])

    def _read_context_length(self, card: dict[str, Any]) -> int:
        if self._counts_conversations:
            return int(card["max_model_len"])
        with self._reached():
            response = self._client.get(f"{self._root}/props")
            length = (
                response.json().get("default_generation_settings", {}).get("n_ctx") if response.is_success else None
            )
        if not length:
            raise ConfigError(
                f"the server at {self._url} does not tell how long its context is; use vLLM or llama.cpp's server."
            )
        return int(length)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._reached():
            response = self._client.post(f"{self._root}/{path}", json=body)
            self._require(response)
            return cast(dict[str, Any], response.json())

    def _require(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        response.read()
        said = response.text[:500].strip()
        if response.status_code in (400, 404, 413, 422):
            raise InputError(f"the server at {self._url} refuses the request ({response.status_code}): {said}")
        raise ModelError(f"the server at {self._url} answers {response.status_code}: {said}")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise ModelError(
                f"the server at {self._url} cannot be used ({type(error).__name__}: {error}); is it running?"
            ) from error


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return a conversation as it is sent, its control tokens broken by a word joiner, which shows nothing."""
    return [
        {"role": message.role, "content": _CONTROL.sub(lambda found: found[0] + "\u2060", message.content)}
        for message in messages
    ]


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """
    Yield the objects of a stream of server-sent events.

    Lines end with a line feed only: an answer may hold U+2028 and others, at which text in Python is split, too.
    """
    unfinished = b""
    for piece in response.iter_bytes():
        *lines, unfinished = (unfinished + piece).split(b"\n")
        for line in lines:
            data = line.removeprefix(_DATA).strip()
            if line.startswith(_DATA) and data != _END:
                yield json.loads(data)


def _read(choice: dict[str, Any]) -> list[Token]:
    """Return the tokens of a piece; its text is the last one's, because a character may span several."""
    text = (choice.get("delta") or {}).get("content") or ""
    said = ((choice.get("logprobs") or {}).get("content")) or ([{}] if text else [])
    tokens = []
    for number, one in enumerate(said, start=1):
        name = str(one.get("token", ""))
        token_id = int(name.removeprefix(_ID)) if name.startswith(_ID) else UNKNOWN_ID
        tokens.append(Token(token_id, text if number == len(said) else "", float(one.get("logprob", 0.0))))
    return tokens
