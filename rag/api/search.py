"""Searching and asking, as the page does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.base import Message, SamplingParams
from models.catalog import Name
from rag.access import Principal
from rag.answer import AnswerStream
from rag.api.answers import (
    MAX_TURN_CHARACTERS,
    MAX_TURNS,
    SILENCE,
    Body,
    EventStream,
    MaxTokens,
    Seed,
    Temperature,
    TopP,
    natural,
    outcomes,
    require_bounded,
    sse,
    whole,
)
from rag.api.errors import as_api_error
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.ask import as_object
from rag.retrieve import MAX_QUESTION_CHARACTERS
from rag.types import Answer, Filter, Hit
from rag.worker import Job, Waiting

router = APIRouter(prefix="/api")

MAX_HITS = 100
MAX_PATTERN_STARS = 8

_Text = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]
_Word = Annotated[str, Field(max_length=256)]
_Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
_Pattern = Annotated[str, Field(max_length=256, pattern=rf"^([^*]*\*){{0,{MAX_PATTERN_STARS}}}[^*]*$")]


class Where(Body):
    """Which documents may be looked at; every condition that is given must hold."""

    source: _Pattern | None = Field(default=None, description="shell pattern on the source")
    media_type: _Word | None = None
    modified_from: _Seconds | None = Field(default=None, description="seconds since 1970")
    modified_before: _Seconds | None = Field(default=None, description="seconds since 1970")
    metadata: dict[_Word, _Word | bool | _Integer | float] = Field(default={}, max_length=16)

    def as_filter(self) -> Filter:
        """Return it as retrieval takes it."""
        return Filter(self.source, self.media_type, self.modified_from, self.modified_before, self.metadata)


class SearchBody(Body):
    """A search."""

    question: _Text
    collection: Name | None = Field(default=None, description="null takes the configured one")
    k: int = Field(default=10, ge=1, le=MAX_HITS)
    where: Where | None = None


class Turn(Body):
    """An earlier turn of a conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=MAX_TURN_CHARACTERS)]


class AskBody(Body):
    """A question; without a collection the model answers alone."""

    question: _Text
    collection: Name | None = None
    adapter: Name | None = None
    history: list[Turn] = Field(default=[], max_length=MAX_TURNS)
    where: Where | None = None
    stream: bool = False
    max_tokens: MaxTokens | None = None
    temperature: Temperature = 0.0
    top_p: TopP = 1.0
    seed: Seed | None = None
    prompt: bool = Field(default=False, description="give the messages that the model read, too")


@router.post("/search")
def search(body: SearchBody, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return the best passages for a question, best first."""
    collection = service.collection(principal, body.collection or service.workspace.settings.collection)
    hits = collection.search(body.question, body.k, where=body.where.as_filter() if body.where else None)
    service.log.note(principal, "search", collection.name, [hit.source for hit in hits], body.question)
    return {"collection": collection.name, "hits": [hit_object(hit) for hit in hits]}


@router.post("/ask")
async def ask(body: AskBody, request: Request, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Answer a question, at once or as server-sent events: ``queued``, ``token``, then ``answer`` or ``error``."""
    require_bounded(sum(len(turn.content) for turn in body.history))
    service.require_adapter(body.adapter)
    if body.collection is not None:
        await run_in_threadpool(service.allowed, principal, body.collection)
    job = service.submit(principal, body.collection, lambda: _begin(body, principal, service))
    if body.stream:
        return EventStream(_events(service, job, prompt=body.prompt), job)
    return JSONResponse(answer_object(await whole(request, service, job), job, prompt=body.prompt))


def _begin(body: AskBody, principal: Principal, service: Service) -> AnswerStream:
    params = SamplingParams(
        max_tokens=body.max_tokens or service.workspace.settings.answer.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=natural(body.seed),
    )
    history = [Message(turn.role, turn.content) for turn in body.history]
    if body.collection is None:
        stream = service.workspace.chat(
            body.question, adapter=body.adapter, history=history, params=params, scope=principal.name
        )
        return service.noted(stream, principal, body.question)
    stream = service.collection(principal, body.collection).stream(
        body.question,
        adapter=body.adapter,
        history=history,
        where=body.where.as_filter() if body.where else None,
        params=params,
        scope=principal.name,
    )
    return service.noted(stream, principal, body.question)


async def _events(service: Service, job: Job, *, prompt: bool) -> AsyncIterator[str]:
    try:
        async for outcome in outcomes(service, job):
            match outcome:
                case None:
                    yield SILENCE
                case Waiting():
                    yield sse({"ahead": outcome.ahead}, "queued")
                case Answer():
                    yield sse(answer_object(outcome, job, prompt=prompt), "answer")
                case text:
                    yield sse({"text": text}, "token")
    except Exception as error:
        yield sse(as_api_error(error).as_object(), "error")


def answer_object(answer: Answer, job: Job, *, prompt: bool = False) -> dict[str, Any]:
    """Return an answer as JSON: what ``rag.ask --json`` prints, the passages looked at, the time in the queue."""
    shown = as_object(answer)
    shown["timings"]["queued_s"] = job.queued_s
    if prompt:
        shown["prompt"] = [asdict(message) for message in answer.prompt]
    return shown | {"hits": [hit_object(hit) for hit in answer.hits]}


def hit_object(hit: Hit) -> dict[str, Any]:
    """Return a passage as JSON."""
    shown = asdict(hit)
    chunk = shown.pop("chunk")
    return shown | {
        "text": chunk["text"],
        "table_header": chunk["table_header"],
        "start": chunk["start"],
        "end": chunk["end"],
        "page": chunk["page"],
        "heading": " > ".join(chunk["headings"]),
    }
