"""
Chat completions, as OpenAI's API gives them.

A ``model`` is ``generator[:adapter][@collection]``. With a collection, the last turn is the question, the earlier ones
are the history, and the sources come as ``annotations``. A field that would change the result and is not supported is
refused.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from models.base import Message, SamplingParams
from rag.access import Principal
from rag.answer import AnswerStream
from rag.api.answers import (
    MAX_TURN_CHARACTERS,
    MAX_TURNS,
    SILENCE,
    EventStream,
    MaxTokens,
    Seed,
    Temperature,
    TopP,
    natural,
    outcomes,
    require_bounded,
    sse,
    unless_gone,
    whole,
)
from rag.api.errors import ApiError, as_api_error
from rag.api.models import Target, resolve
from rag.api.search import answer_object
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.types import Answer
from rag.worker import Job, Waiting

router = APIRouter(prefix="/v1")

HARMLESS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""Fields of OpenAI's API that say nothing about the answer's text."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}
"""Fields that are not supported, with the values that ask for nothing."""


class TextPart(BaseModel):
    """A part of a turn; only text is read."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=MAX_TURN_CHARACTERS)]


class ChatMessage(BaseModel):
    """A turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_TURN_CHARACTERS)] | Annotated[list[TextPart], Field(max_length=64)]

    def as_message(self) -> Message:
        """Return it as generators take it."""
        text = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(BaseModel):
    """What a stream holds beside the text."""

    include_usage: bool | None = False


_Stop = Annotated[str, Field(min_length=1, max_length=256)]


class ChatBody(BaseModel):
    """A conversation to be continued."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: Annotated[str, Field(max_length=256)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_TURNS)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: MaxTokens | None = None
    max_completion_tokens: MaxTokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    stop: _Stop | Annotated[list[_Stop], Field(max_length=4)] | None = None

    def params(self, default_max_tokens: int) -> SamplingParams:
        """Return how tokens are chosen; greedily unless a temperature is given."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return SamplingParams(
            max_tokens=self.max_completion_tokens or self.max_tokens or default_max_tokens,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            seed=natural(self.seed),
            stop=tuple(stops),
        )


@router.post("/chat/completions")
async def complete(body: ChatBody, request: Request, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Continue a conversation, with or without retrieval, at once or as a stream."""
    _refuse_unsupported(body)
    turns = [message.as_message() for message in body.messages]
    require_bounded(sum(len(turn.content) for turn in turns))
    if turns[-1].role != "user":
        raise ApiError(400, f"the last message is the {turns[-1].role}'s; expected the user's.", param="messages")
    target = await run_in_threadpool(resolve, service, principal, body.model)
    job = service.submit(principal, target.collection, lambda: _begin(body, turns, target, principal, service))
    reply = _Reply(body.model)
    if not body.stream:
        return JSONResponse(reply.completion(await whole(request, service, job), job))
    try:
        events = outcomes(service, job)
        first = await unless_gone(request, _first(events))
    except BaseException:
        job.cancel()
        raise
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return EventStream(_chunks(reply, first, events, job, usage=usage), job)


def _refuse_unsupported(body: ChatBody) -> None:
    """
    Refuse what would change the result and is not supported.

    Raises:
        ApiError: a field is unknown, or has a value that asks for something.
    """
    for name, value in (body.model_extra or {}).items():
        if value is None or name in HARMLESS or value in NEUTRAL.get(name, ()):
            continue
        raise ApiError(400, f"{name} is not supported; leave it out.", code="unsupported_parameter", param=name)


def _begin(
    body: ChatBody, turns: list[Message], target: Target, principal: Principal, service: Service
) -> AnswerStream:
    params = body.params(service.workspace.settings.answer.max_tokens)
    question, history = turns[-1].content, turns[:-1]
    if target.collection is None:
        stream = service.workspace.chat(
            question, adapter=target.adapter, history=history, params=params, scope=principal.name
        )
    else:
        stream = service.collection(principal, target.collection).stream(
            question, adapter=target.adapter, history=history, params=params, scope=principal.name
        )
    return service.noted(stream, principal, question)


_Outcome = Waiting | str | Answer | None


async def _first(events: AsyncIterator[_Outcome]) -> _Outcome:
    """Wait for the first word, so that an error before it still has its status; not longer than a heartbeat."""
    async for outcome in events:
        if not isinstance(outcome, Waiting):
            return outcome
    raise ValueError("the job ended without an Answer")


async def _chunks(
    reply: _Reply, first: _Outcome, events: AsyncGenerator[_Outcome, None], job: Job, *, usage: bool
) -> AsyncIterator[str]:
    """Encode a stream; an error in its middle is the last event, without ``[DONE]``."""
    yield reply.chunk({"role": "assistant", "content": ""})
    outcome = first
    try:
        while True:
            match outcome:
                case None:
                    yield SILENCE
                case str():
                    yield reply.chunk({"content": outcome})
                case Answer():
                    yield reply.last_chunk(outcome, job)
                    if usage:
                        yield reply.usage_chunk(outcome)
                    yield sse("[DONE]")
                    return
            outcome = await anext(events)
    except Exception as error:
        yield sse(as_api_error(error).as_object())


class _Reply:
    """The envelope of one completion."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def completion(self, answer: Answer, job: Job) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": url_citations(answer)}
        choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
        return self._head | {
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(answer),
            "homeground": answer_object(answer, job),
        }

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> str:  # noqa: ANN401 - JSON
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return sse(self._head | {"object": "chat.completion.chunk", "choices": [choice]} | more)

    def last_chunk(self, answer: Answer, job: Job) -> str:
        delta = {"annotations": url_citations(answer)}
        return self.chunk(delta, answer.finish_reason, homeground=answer_object(answer, job))

    def usage_chunk(self, answer: Answer) -> str:
        return sse(self._head | {"object": "chat.completion.chunk", "choices": [], "usage": _usage(answer)})


def url_citations(answer: Answer) -> list[dict[str, Any]]:
    """
    Return an answer's citations as OpenAI's annotations.

    ``start_index`` and ``end_index`` enclose the marker in the text, or all of it where the model wrote none; the
    address opens the quote in the page.
    """
    shown = []
    seen: Counter[int] = Counter()
    for citation in answer.citations:
        places = [match.span() for match in re.finditer(rf"\[{citation.number}\]", answer.text)]
        begin, end = places[min(seen[citation.number], len(places) - 1)] if places else (0, len(answer.text))
        seen[citation.number] += 1
        address = f"/#/document/{citation.collection}/{citation.document_id}?start={citation.start}&end={citation.end}"
        place = {"url": address, "title": citation.title, "start_index": begin, "end_index": end}
        shown.append({"type": "url_citation", "url_citation": place})
    return shown


def _usage(answer: Answer) -> dict[str, int]:
    timings = answer.timings
    return {
        "prompt_tokens": timings.prompt_tokens,
        "completion_tokens": timings.new_tokens,
        "total_tokens": timings.prompt_tokens + timings.new_tokens,
    }
