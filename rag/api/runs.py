"""Runs: trainings and decisions that administrators start, and every run followed, ended, gone on with and removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from models import adapter_store
from models.base import InputError
from models.catalog import Name
from rag.access import Principal
from rag.api.answers import Body
from rag.api.errors import ApiError, missing
from rag.api.evaluating import require_whole
from rag.api.launching import launch
from rag.api.service import AdministratorDep, PrincipalDep, Service, ServiceDep
from rag.runs import decision, training
from rag.runs.folder import RunFolder
from rag.store.records import StoredRun

router = APIRouter(prefix="/api")

OPEN = ("checking", "queued", "running")
RunRow = Annotated[int, Path(ge=1, lt=2**63)]
Settings = Annotated[str, Form(max_length=4000, description="what was chosen, as JSON")]
AnyBody = TypeVar("AnyBody", bound=Body)


class TrainingChoice(Body):
    """What may be chosen of a training; the rest is as the recipe says."""

    name: Name
    recipe: Name
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    score: Literal["exact_match", "f1", "json_schema"] | None = None
    licence: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9.+ ()-]*$")] = ""
    skip_bad_rows: bool = False


class Requirements(Body):
    """What a task asks for, as ``scripts.decide`` knows it."""

    changes: Literal["never", "sometimes", "often"] = "sometimes"
    facts: bool = False
    format: bool = False
    budget: Literal["small", "medium", "large"] = "medium"
    latency_s: Annotated[float, Field(gt=0, le=3600)] | None = None


class DecisionChoice(Body):
    """What may be chosen of a decision."""

    name: Name
    requirements: Requirements
    collection: Name | None = None
    score: Literal["contains", "exact", "f1"] = "contains"
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


@router.get("/recipes")
def list_recipes(service: ServiceDep, _: AdministratorDep) -> dict[str, Any]:
    """List the recipes that a training can be started from, and the model that it will be for."""
    return {"recipes": training.recipes(), "base": service.workspace.settings.generator}


@router.post("/prior")
def say_prior(body: Requirements, _: AdministratorDep) -> dict[str, Any]:
    """Say what requirements speak for, before anything is measured."""
    return dict(decision.prior(json.dumps(body.model_dump())))


@router.post("/runs/training", status_code=201)
async def new_training(
    service: ServiceDep,
    principal: AdministratorDep,
    settings: Settings,
    train: Annotated[UploadFile, File()],
    evaluation: Annotated[UploadFile | None, File()] = None,
    form: Annotated[UploadFile | None, File()] = None,
) -> dict[str, Any]:
    """Take the files of a training and plan it; ``POST …/start`` agrees to the plan."""
    choice = _chosen(TrainingChoice, settings)
    files = {training.TRAIN: train, training.EVAL: evaluation, training.SCHEMA: form}

    def make() -> StoredRun:
        runs = service.workspace.store.runs
        training.require_name(choice.name, runs.find("training"))
        run = runs.add("training", principal.shown, choice.name, "", choice.model_dump(), "checking")
        with _new_folder(service, run, files) as folder:
            folder.write_config(
                training.settings_for(choice.model_dump(), service.workspace.settings.generator, folder)
            )
        service.log.note(principal, f"plan training {choice.name}")
        return run

    return await _launched(service, principal, await run_in_threadpool(make))


@router.post("/runs/decision", status_code=201)
async def new_decision(
    service: ServiceDep,
    principal: AdministratorDep,
    settings: Settings,
    test: Annotated[UploadFile, File()],
    train: Annotated[UploadFile | None, File()] = None,
) -> dict[str, Any]:
    """Take the files of a decision and start it."""
    choice = _chosen(DecisionChoice, settings)
    files = {decision.TEST: test, decision.TRAIN: train}

    def make() -> StoredRun:
        if choice.collection is not None:
            require_whole(service, principal, choice.collection)
        known = service.workspace.settings
        run = service.workspace.store.runs.add(
            "decision", principal.shown, choice.name, choice.collection or "", choice.model_dump(), "queued"
        )
        with _new_folder(service, run, files) as folder:
            folder.write_config(decision.settings_for(choice.model_dump(), known.generator, known.engine, folder))
        service.log.note(principal, f"start decision {choice.name}", choice.collection or "")
        return run

    return await _launched(service, principal, await run_in_threadpool(make))


@router.get("/runs")
def list_runs(
    service: ServiceDep, _: AdministratorDep, kind: Literal["training", "decision"] = "training"
) -> dict[str, Any]:
    """List the runs of a kind, the newest first."""
    return {"runs": [asdict(run) for run in service.workspace.store.runs.find(kind)]}


@router.get("/runs/{run_id}")
def read_run(
    run_id: RunRow, service: ServiceDep, principal: PrincipalDep, after: Annotated[int, Query(ge=0, lt=2**53)] = 0
) -> dict[str, Any]:
    """Return a run with what it has told since ``after``, and ``next``, the ``after`` of the next call."""
    run = visible(service, principal, run_id)
    points, behind = _folder(service, run).points(after)
    return asdict(run) | {"points": points, "next": behind}


@router.post("/runs/{run_id}/start", status_code=202)
async def start_run(run_id: RunRow, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Agree to the plan of a training: it waits for its turn."""
    run = await run_in_threadpool(visible, service, principal, run_id)
    if run.state != "planned":
        raise _conflict(run, "only a planned one can be started")
    service.log.note(principal, f"start training {run.title}")
    return await _launched(service, principal, run)


@router.post("/runs/{run_id}/resume", status_code=202)
async def resume_run(run_id: RunRow, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Go on with a run that was cancelled or interrupted, or that failed, from where it was."""
    run = await run_in_threadpool(visible, service, principal, run_id)
    if run.state not in ("cancelled", "interrupted", "failed"):
        raise _conflict(run, "there is nothing to go on with")
    return await _launched(service, principal, run)


@router.post("/runs/{run_id}/cancel", status_code=204)
def cancel_run(run_id: RunRow, service: ServiceDep, principal: PrincipalDep) -> Response:
    """End a run; a program gets half a minute to save what it has."""
    run = visible(service, principal, run_id)
    if not service.launcher.cancel(run.id):
        raise _conflict(run, "only one that waits or runs can be cancelled")
    return Response(status_code=204)


@router.delete("/runs/{run_id}", status_code=204)
def delete_run(run_id: RunRow, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Remove a run with its files; an adapter that it made stays."""
    run = visible(service, principal, run_id)
    if run.state in OPEN:
        raise _conflict(run, "cancel it first")
    service.workspace.store.runs.delete(run.id)
    _folder(service, run).remove()
    if run.kind == "training" and run.state != "done":
        adapter_store.drop_unfinished(run.title)
    service.log.note(principal, f"delete {run.kind} {run.title}", run.collection)
    return Response(status_code=204)


@router.get("/runs/{run_id}/report")
def read_report(run_id: RunRow, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Return the report of a decision as a file to keep: a page of its own, with its own styles."""
    run = visible(service, principal, run_id)
    path = _folder(service, run).path / decision.REPORT
    if run.kind != "decision" or run.state != "done" or not path.is_file():
        raise missing(f"run {run_id} has no report.", "no_report")
    headers = {"Content-Disposition": f'attachment; filename="{run.title}-report.html"'}
    return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def visible(service: Service, principal: Principal, run_id: int) -> StoredRun:
    """
    Return a run that a principal may follow, end and remove.

    Raises:
        ApiError: there is none of that number, or he may not know of it (404), or not do that (403).
    """
    try:
        run = service.workspace.store.runs.get(run_id)
    except InputError as error:
        raise missing(str(error), "run_not_found") from error
    if run.kind == "evaluation":
        if service.known(principal, run.collection) is None:
            raise missing(f"there is no run {run_id}.", "run_not_found")
        require_whole(service, principal, run.collection)
    elif not principal.is_admin:
        raise missing(f"there is no run {run_id}.", "run_not_found")
    return run


def _chosen(kind: type[AnyBody], settings: str) -> AnyBody:
    try:
        return kind.model_validate_json(settings)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error


@contextmanager
def _new_folder(service: Service, run: StoredRun, files: dict[str, UploadFile | None]) -> Iterator[RunFolder]:
    """Give the folder of a new run with its files; where that fails, nothing of the run stays."""
    folder = _folder(service, run)
    try:
        folder.make()
        for name, file in files.items():
            if file is not None:
                folder.keep(name, file.file)
        yield folder
    except BaseException:
        folder.remove()
        service.workspace.store.runs.delete(run.id)
        raise


async def _launched(service: Service, principal: Principal, run: StoredRun) -> dict[str, Any]:
    await run_in_threadpool(launch, service, principal, run, asyncio.get_running_loop())
    return asdict(await run_in_threadpool(service.workspace.store.runs.get, run.id))


def _folder(service: Service, run: StoredRun) -> RunFolder:
    return RunFolder(service.workspace.settings.data_dir, run.id)


def _conflict(run: StoredRun, what: str) -> ApiError:
    return ApiError(409, f"the {run.kind} {run.title!r} is {run.state}; {what}.", code="wrong_state")
