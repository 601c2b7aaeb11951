"""Evaluations of a collection: its question sets, the scores over time, and what stands behind a number."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from models.base import InputError
from models.catalog import Name
from rag.access import Principal
from rag.api.answers import Body
from rag.api.comparisons import voted_rows
from rag.api.errors import ApiError, missing
from rag.api.evaluating import read_set, require_whole
from rag.api.launching import launch
from rag.api.runs import RunRow, visible
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.evaluate import known
from rag.store.records import QuestionSet

router = APIRouter(prefix="/api")

MAX_TEXT_CHARACTERS = 4_000_000
MAX_QUESTIONS = 5000
MAX_SETS = 50
SetRow = Annotated[int, Path(ge=1, lt=2**63)]


class NewQuestions(Body):
    """A question set: a file's text, or without one the questions whose answers were voted for."""

    collection: Name
    name: Name
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] | None = None


class NewEvaluation(Body):
    """What is to be measured."""

    set_id: Annotated[int, Field(ge=1, lt=2**63)]
    answers: bool = Field(default=False, description="whether answers are made and scored, too")
    adapter: Name | None = None


@router.get("/evaluations")
def list_evaluations(service: ServiceDep, principal: PrincipalDep, collection: Name) -> dict[str, Any]:
    """List a collection's question sets and evaluations, the newest first."""
    require_whole(service, principal, collection)
    store = service.workspace.store
    return {
        "sets": [asdict(one) for one in store.evaluations.sets(collection)],
        "runs": [asdict(run) for run in store.runs.find("evaluation", collection)],
    }


@router.post("/question-sets", status_code=201)
def put_questions(body: NewQuestions, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Keep a question set, in place of one of the same name; lines that cannot be used are named."""
    require_whole(service, principal, body.collection)
    store = service.workspace.store.evaluations
    text = body.text
    if text is None:
        rows = voted_rows(service, principal, body.collection)
        if not rows:
            raise ApiError(422, f"no comparison on {body.collection!r} has a vote for an answer yet.", code="no_votes")
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    found = known.read(text, body.name)
    if len(found.rows) > MAX_QUESTIONS:
        raise ApiError(422, f"{len(found.rows)} questions are more than {MAX_QUESTIONS}; split them.", param="text")
    if len(store.sets(body.collection)) >= MAX_SETS:
        raise ApiError(422, f"a collection has at most {MAX_SETS} question sets; delete one.")
    return asdict(store.put_set(body.collection, body.name, found.rows))


@router.delete("/question-sets/{set_id}", status_code=204)
def delete_questions(set_id: SetRow, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Remove a question set; what was measured with it stays."""
    service.workspace.store.evaluations.delete_set(_set(service, principal, set_id).id)
    return Response(status_code=204)


@router.post("/evaluations", status_code=201)
async def evaluate(body: NewEvaluation, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Start an evaluation; ``GET /api/runs/{run_id}`` tells how far it is."""
    asked = await run_in_threadpool(_set, service, principal, body.set_id)
    await run_in_threadpool(read_set, service, asked.id, answers=body.answers)
    await run_in_threadpool(service.require_adapter, body.adapter)
    runs = service.workspace.store.runs
    settings = body.model_dump() | {"set": asked.name}
    run = await run_in_threadpool(
        runs.add, "evaluation", principal.shown, asked.name, asked.collection, settings, "queued"
    )
    service.log.note(principal, "evaluate", asked.collection)
    await run_in_threadpool(launch, service, principal, run, asyncio.get_running_loop())
    return asdict(run)


@router.get("/evaluations/{run_id}/cases")
def list_cases(
    run_id: RunRow,
    service: ServiceDep,
    principal: PrincipalDep,
    failed: bool = False,
    skip: Annotated[int, Query(ge=0, le=10**6)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Return a page of an evaluation's questions with what came of each, failures first."""
    run = visible(service, principal, run_id)
    store = service.workspace.store.evaluations
    found = store.cases(run.id, failed_only=failed, skip=skip, limit=limit + 1)
    return {"cases": found[:limit], "more": len(found) > limit}


def _set(service: Service, principal: Principal, set_id: int) -> QuestionSet:
    try:
        found = service.workspace.store.evaluations.get_set(set_id)
    except InputError as error:
        raise missing(str(error), "question_set_not_found") from error
    if service.known(principal, found.collection) is None:
        raise missing(f"there is no question set {set_id}.", "question_set_not_found")
    require_whole(service, principal, found.collection)
    return found
