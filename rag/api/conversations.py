"""Conversations of the page: listed, searched, renamed and removed; their turns asked, followed and stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from starlette.responses import StreamingResponse

from models.base import InputError, Message, SamplingParams
from models.catalog import Name
from rag.access import Principal
from rag.answer import AnswerStream
from rag.api.answers import MAX_TURNS, SILENCE, Body, sse
from rag.api.errors import ApiError, missing
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.api.turns import Turns, TurnsDep, turn_object
from rag.retrieve import MAX_QUESTION_CHARACTERS
from rag.store.conversations import MAX_TITLE_CHARACTERS
from rag.store.records import Conversation, StoredTurn
from rag.worker import DrainingError, QueueFullError

router = APIRouter(prefix="/api")

MAX_PAGE = 200
MAX_TURNS_OF_A_CONVERSATION = 1000
MAX_FOLLOWED = 32
HISTORY_TURNS = 20
"""So many turns of a conversation a question goes on from."""

Row = Annotated[int, Path(ge=1, lt=2**63)]
Question = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, pattern=r"\S")]


class NewTitle(Body):
    """What a conversation shall be called."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE_CHARACTERS, pattern=r"\S")]


class NewTurn(Body):
    """A question; without a collection the model answers alone."""

    question: Question
    collection: Name | None = None
    adapter: Name | None = None
    replaces: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(
        default=None, description="a turn that this one takes the place of; those behind it go, too"
    )


@router.get("/conversations")
def list_conversations(
    service: ServiceDep,
    principal: PrincipalDep,
    contains: Annotated[str, Query(max_length=256)] = "",
    skip: Annotated[int, Query(ge=0, le=10**6)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """List the caller's conversations, the last changed first; ``more`` says whether there are others."""
    store = service.workspace.store.conversations
    found = store.find(principal.name, "chat", contains=contains, skip=skip, limit=limit + 1)
    return {"conversations": [_shown(one) for one in found[:limit]], "more": len(found) > limit}


@router.post("/conversations", status_code=201)
def create_conversation(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Make an empty conversation."""
    return _shown(service.workspace.store.conversations.create(principal.name, "chat"))


@router.get("/conversations/{conversation_id}")
def read_conversation(conversation_id: Row, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return a conversation with its turns."""
    found = own_conversation(service, principal.name, conversation_id, "chat")
    turns = service.workspace.store.conversations.turns(conversation_id)
    return _shown(found) | {"turns": [turn_object(turn) for turn in turns]}


@router.patch("/conversations/{conversation_id}")
def rename_conversation(
    conversation_id: Row, body: NewTitle, service: ServiceDep, principal: PrincipalDep
) -> dict[str, Any]:
    """Give a conversation another title."""
    own_conversation(service, principal.name, conversation_id, "chat")
    service.workspace.store.conversations.rename(conversation_id, body.title.strip())
    return _shown(own_conversation(service, principal.name, conversation_id, "chat"))


@router.delete("/conversations/{conversation_id}", status_code=204)
async def delete_conversation(
    conversation_id: Row, service: ServiceDep, principal: PrincipalDep, turns: TurnsDep
) -> Response:
    """Remove a conversation; a turn of it that runs is stopped."""
    await remove_conversation(service, turns, principal, conversation_id, "chat")
    return Response(status_code=204)


@router.post("/conversations/{conversation_id}/turns", status_code=202)
async def ask_turn(
    conversation_id: Row, body: NewTurn, service: ServiceDep, principal: PrincipalDep, turns: TurnsDep
) -> dict[str, Any]:
    """Ask a question in a conversation; ``GET /api/events`` tells what becomes of it, whoever listens."""
    store = service.workspace.store.conversations
    await run_in_threadpool(own_conversation, service, principal.name, conversation_id, "chat")
    await run_in_threadpool(check_choice, service, principal, body.collection, body.adapter)
    before = await run_in_threadpool(store.turns, conversation_id)
    if body.replaces is not None:
        if body.replaces not in {turn.id for turn in before}:
            raise missing(f"conversation {conversation_id} has no turn {body.replaces}.", "turn_not_found")
        for turn in before:
            if turn.id >= body.replaces:
                turns.stop(turn.id)
        before = [turn for turn in before if turn.id < body.replaces]
    if len(before) >= MAX_TURNS_OF_A_CONVERSATION:
        raise ApiError(422, f"a conversation has at most {MAX_TURNS_OF_A_CONVERSATION} turns; begin another.")
    history = history_of(before, body.collection)
    return await begin_turn(service, turns, principal, conversation_id, body, history)


async def begin_turn(
    service: Service,
    turns: TurnsDep,
    principal: Principal,
    conversation_id: int,
    body: NewTurn,
    history: list[Message],
) -> dict[str, Any]:
    """
    Store a turn and begin to answer it; where there is no place for it, the turn itself says so.

    Returns:
        the turn as JSON.
    """
    store = service.workspace.store.conversations
    turn_id = await run_in_threadpool(
        store.add_turn, conversation_id, body.question, body.collection, body.adapter, body.replaces
    )
    try:
        turns.start(turn_id, principal, body.collection, partial(_stream, service, body, history, principal))
    except (QueueFullError, DrainingError) as error:
        refusal = {"error": {"message": str(error), "code": "busy"}}
        await run_in_threadpool(store.write_turn, turn_id, "failed", "", refusal)
    return turn_object(await run_in_threadpool(store.turn, principal.name, turn_id))


def history_of(turns: list[StoredTurn], collection: str | None) -> list[Message]:
    """
    Return what a question goes on from: the last turns that were answered from the same collection.

    A refusal says nothing that a later answer could build on, and would only invite the next one. What another
    collection said is left out, so that a question never mixes what two collections hold.
    """
    told = [
        turn
        for turn in turns
        if turn.state == "done" and turn.collection == collection and turn.result and not turn.result["abstained"]
    ]
    messages = []
    for turn in told[-min(HISTORY_TURNS, MAX_TURNS // 2) :]:
        messages += [Message("user", turn.question), Message("assistant", turn.text)]
    return messages


def _stream(service: Service, body: NewTurn, history: list[Message], principal: Principal) -> AnswerStream:
    params = SamplingParams(max_tokens=service.workspace.settings.answer.max_tokens)
    ask = service.workspace.chat if body.collection is None else service.collection(principal, body.collection).stream
    stream = ask(body.question, adapter=body.adapter, history=history, params=params, scope=principal.name)
    return service.noted(stream, principal, body.question)


@router.get("/turns/{turn_id}")
def read_turn(turn_id: Row, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return a turn with all that is known of its answer, the exact prompt included."""
    return turn_object(own_turn(service, principal.name, turn_id), prompt=True)


@router.post("/turns/{turn_id}/stop", status_code=204)
async def stop_turn(turn_id: Row, service: ServiceDep, principal: PrincipalDep, turns: TurnsDep) -> Response:
    """End a turn before the model's next token; what had arrived is kept."""
    await run_in_threadpool(own_turn, service, principal.name, turn_id)
    turns.stop(turn_id)
    return Response(status_code=204)


@router.get("/events")
async def follow_turns(
    service: ServiceDep,
    principal: PrincipalDep,
    turns: TurnsDep,
    follow: Annotated[str, Query(pattern=r"^\d{1,18}(:\d{1,9})?(,\d{1,18}(:\d{1,9})?)*$", max_length=1000)],
) -> Response:
    """
    Follow turns, as server-sent events, until all of them have ended.

    ``follow`` names them, each with the number of the last event that is known: ``17:0,18:25``. An event has ``turn``,
    ``n`` and ``type``: ``queued``, ``token``, and ``ended`` with the turn.
    """
    wanted = {int(turn): int(after or 0) for turn, _, after in (part.partition(":") for part in follow.split(","))}
    if len(wanted) > MAX_FOLLOWED:
        raise ApiError(422, f"at most {MAX_FOLLOWED} turns can be followed at a time.", param="follow")
    for turn_id in wanted:
        await run_in_threadpool(own_turn, service, principal.name, turn_id)

    async def events() -> AsyncIterator[str]:
        async with aclosing(turns.follow(principal.name, wanted)) as stream:
            async for event in stream:
                yield SILENCE if event is None else sse(event)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def check_choice(service: Service, principal: Principal, collection: str | None, adapter: str | None) -> None:
    """
    Check what a question is to be asked of, before anything is stored.

    Raises:
        ApiError: there is no such collection or adapter (404).
    """
    service.require_adapter(adapter)
    if collection is not None:
        service.allowed(principal, collection)


async def remove_conversation(
    service: Service, turns: Turns, principal: Principal, conversation_id: int, kind: str
) -> None:
    """
    Remove a conversation, or a comparison, of the caller's; turns of it that run are stopped.

    Raises:
        ApiError: there is none of that number and kind (404).
    """
    store = service.workspace.store.conversations
    await run_in_threadpool(own_conversation, service, principal.name, conversation_id, kind)
    for turn in await run_in_threadpool(store.turns, conversation_id):
        turns.stop(turn.id)
    await run_in_threadpool(store.delete, conversation_id)


def own_conversation(service: Service, scope: str, conversation_id: int, kind: str) -> Conversation:
    """
    Return a conversation of the caller's.

    Raises:
        ApiError: there is none of that number and kind (404).
    """
    try:
        found = service.workspace.store.conversations.get(scope, conversation_id)
    except InputError as error:
        raise missing(str(error), "conversation_not_found") from error
    if found.kind != kind:
        raise missing(f"there is no {kind} {conversation_id}.", "conversation_not_found")
    return found


def own_turn(service: Service, scope: str, turn_id: int) -> StoredTurn:
    """
    Return a turn of the caller's.

    Raises:
        ApiError: there is none of that number (404).
    """
    try:
        return service.workspace.store.conversations.turn(scope, turn_id)
    except InputError as error:
        raise missing(str(error), "turn_not_found") from error


def _shown(conversation: Conversation) -> dict[str, Any]:
    shown = asdict(conversation)
    for name in ("scope", "kind", "vote"):
        del shown[name]
    return shown
