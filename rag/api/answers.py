"""What both answering APIs share: bounded request fields, and carrying a job's outcomes to a client that may leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing, suppress
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from rag.api.errors import ApiError
from rag.api.service import Service
from rag.types import Answer
from rag.worker import Job, Waiting

HEARTBEAT_S = 5.0
"""The longest silence on a stream; clients may take four of it for a lost connection."""

MAX_TURNS = 200
MAX_TURN_CHARACTERS = 100_000
MAX_CONVERSATION_CHARACTERS = 400_000

MaxTokens = Annotated[int, Field(ge=1, le=8192)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]

T = TypeVar("T")


class Body(BaseModel):
    """A request's JSON: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def natural(seed: int | None) -> int | None:
    """Return a seed as a number from 0 on, which is what random sources take."""
    return None if seed is None else seed % 2**64


def require_bounded(characters: int) -> None:
    """
    Refuse a conversation of more characters than any context holds.

    Raises:
        ApiError: it is too long (422).
    """
    if characters > MAX_CONVERSATION_CHARACTERS:
        raise ApiError(
            422,
            f"the conversation has {characters} characters; at most {MAX_CONVERSATION_CHARACTERS} are read.",
            code="context_length_exceeded",
        )


async def outcomes(service: Service, job: Job) -> AsyncGenerator[Waiting | str | Answer | None, None]:
    """
    Yield a job's outcomes until its Answer; None stands for five seconds of silence.

    White space before the first word is left out, so that the pieces joined are the answer's text.
    """
    begun = False
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                outcome = await job.next()
        except TimeoutError:
            yield None
            continue
        if isinstance(outcome, str):
            outcome = outcome if begun else outcome.lstrip()
            begun = begun or bool(outcome)
            if outcome:
                yield outcome
            continue
        if isinstance(outcome, Answer):
            service.metrics.count_answer(outcome.timings, job.queued_s)
        yield outcome
        if isinstance(outcome, Answer):
            return


async def whole(request: Request, service: Service, job: Job) -> Answer:
    """
    Wait for a job's Answer; when the client goes away, the job is given up.

    Raises:
        ApiError: the client went away (499); nobody reads it.
    """

    async def wait() -> Answer:
        async with aclosing(outcomes(service, job)) as stream:
            async for outcome in stream:
                if isinstance(outcome, Answer):
                    return outcome
        raise ValueError("the job ended without an Answer")

    try:
        return await unless_gone(request, wait())
    finally:
        job.cancel()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """
    Return what ``work`` returns, unless the client goes away first; the request's body must have been read.

    Raises:
        ApiError: the client went away (499); nobody reads it.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ApiError(499, "the client closed the connection.", "client_error")
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class EventStream(StreamingResponse):
    """
    Server-sent events about a job; the job is given up when the response ends, however it ends.

    Args:
        events: the encoded events.
        job: what they are about.
    """

    def __init__(self, events: AsyncIterator[str], job: Job) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._job.cancel()


def sse(data: Mapping[str, Any] | str, event: str | None = None) -> str:
    """Encode one server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, allow_nan=False)
    return f"event: {event}\ndata: {text}\n\n" if event else f"data: {text}\n\n"


SILENCE = ": waiting\n\n"
"""A comment, which every client skips."""
