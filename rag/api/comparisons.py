"""Comparisons: one question asked of two to four arms, a vote, and votes as questions that ``rag.evaluate`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from models.catalog import Name
from rag.access import Principal
from rag.api.answers import Body
from rag.api.conversations import (
    NewTurn,
    Question,
    Row,
    begin_turn,
    check_choice,
    own_conversation,
    remove_conversation,
)
from rag.api.errors import ApiError
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.api.turns import TurnsDep, turn_object
from rag.store.records import Conversation, StoredTurn

router = APIRouter(prefix="/api/comparisons")

MAX_REASON_CHARACTERS = 1000
MAX_EXPORTED = 10_000


class Arm(Body):
    """What the question is asked of."""

    collection: Name | None = None
    adapter: Name | None = None


class NewComparison(Body):
    """A question for several arms."""

    question: Question
    arms: list[Arm] = Field(min_length=2, max_length=4)


class Vote(Body):
    """Which arm answered best; without one, whether all were equally good or all bad."""

    best: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(default=None, description="the turn of an arm")
    verdict: Literal["best", "equal", "bad"]
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)] = ""


@router.post("", status_code=202)
async def compare(body: NewComparison, service: ServiceDep, principal: PrincipalDep, turns: TurnsDep) -> dict[str, Any]:
    """Ask every arm, none of which sees what another says; ``GET /api/events`` follows their turns."""
    for arm in body.arms:
        await run_in_threadpool(check_choice, service, principal, arm.collection, arm.adapter)
    store = service.workspace.store.conversations
    made = await run_in_threadpool(store.create, principal.name, "comparison", body.question)
    asked = [NewTurn(question=body.question, collection=arm.collection, adapter=arm.adapter) for arm in body.arms]
    arms = [await begin_turn(service, turns, principal, made.id, turn, []) for turn in asked]
    return _shown(made) | {"arms": arms}


@router.get("")
def list_comparisons(
    service: ServiceDep, principal: PrincipalDep, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """List the caller's comparisons, the last first."""
    found = service.workspace.store.conversations.find(principal.name, "comparison", limit=limit)
    return {"comparisons": [_shown(one) for one in found]}


@router.get("/export")
def export(service: ServiceDep, principal: PrincipalDep) -> Response:
    """Return what was voted on as JSON Lines, a question a line, as ``rag.evaluate`` reads them."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in voted_rows(service, principal))
    headers = {"Content-Disposition": 'attachment; filename="comparisons.jsonl"'}
    return Response(lines, media_type="application/jsonl", headers=headers)


def voted_rows(service: Service, principal: Principal, collection: str | None = None) -> list[dict[str, Any]]:
    """
    Return what a principal voted on as questions with accepted answers and the quotes behind them.

    Args:
        service: the server's state.
        principal: whose votes.
        collection: only the evidence in this one, and only questions that were asked of it; None for all.
    """
    store = service.workspace.store.conversations
    found = store.find(principal.name, "comparison", limit=MAX_EXPORTED)
    rows = []
    for one in reversed(found):
        arms = store.turns(one.id)
        if one.vote and (collection is None or any(arm.collection == collection for arm in arms)):
            kept = [arm for arm in arms if collection is None or arm.collection in (None, collection)]
            rows.append(_row(one, one.vote, kept))
    return [row for row in rows if row]


@router.get("/{comparison_id}")
def read_comparison(comparison_id: Row, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return a comparison with its arms."""
    found = own_conversation(service, principal.name, comparison_id, "comparison")
    arms = service.workspace.store.conversations.turns(comparison_id)
    return _shown(found) | {"arms": [turn_object(arm) for arm in arms]}


@router.post("/{comparison_id}/vote")
def vote(comparison_id: Row, body: Vote, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Record what somebody thinks of the answers, in place of an earlier vote."""
    own_conversation(service, principal.name, comparison_id, "comparison")
    store = service.workspace.store.conversations
    arms = {turn.id for turn in store.turns(comparison_id)}
    if (body.verdict == "best") != (body.best in arms):
        raise ApiError(422, "`best` names an arm of this comparison exactly when the verdict is `best`.", param="best")
    store.vote(comparison_id, body.model_dump())
    return _shown(own_conversation(service, principal.name, comparison_id, "comparison"))


@router.delete("/{comparison_id}", status_code=204)
async def delete_comparison(
    comparison_id: Row, service: ServiceDep, principal: PrincipalDep, turns: TurnsDep
) -> Response:
    """Remove a comparison; arms that still run are stopped."""
    await remove_conversation(service, turns, principal, comparison_id, "comparison")
    return Response(status_code=204)


def _row(comparison: Conversation, vote: Mapping[str, Any], arms: Sequence[StoredTurn]) -> dict[str, Any] | None:
    """
    Return a comparison as a question with the answers that somebody accepted, and the quotes behind them.

    Where all answers were bad nobody knows a good one: None.
    """
    liked = [arm for arm in arms if arm.state == "done" and arm.result and vote["best"] in (None, arm.id)]
    if vote["verdict"] == "bad" or not liked:
        return None
    results = [arm.result for arm in liked if arm.result and not arm.result["abstained"]]
    citations = [citation for result in results for citation in result["citations"]]
    evidence = {(citation["source"], citation["quote"]): None for citation in citations}
    return {
        "id": f"comparison-{comparison.id}",
        "question": comparison.title,
        "answers": list(dict.fromkeys(result["answer"] for result in results)),
        "answerable": bool(results),
        "evidence": [{"source": source, "quote": quote} for source, quote in evidence],
        "verdict": vote["verdict"],
        "reason": vote["reason"],
        "arms": [
            {"collection": arm.collection, "adapter": arm.adapter, "answer": arm.text, "best": arm.id == vote["best"]}
            for arm in arms
        ],
    }


def _shown(comparison: Conversation) -> dict[str, Any]:
    return {"id": comparison.id, "question": comparison.title, "created": comparison.created, "vote": comparison.vote}
