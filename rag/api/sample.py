"""The sample handbook, for somebody who has no documents at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter

from rag.access import Level, Principal
from rag.api.documents import make_collection
from rag.api.errors import missing
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.report import Report

router = APIRouter(prefix="/api")

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "handbook"
COLLECTION = "sample-handbook"


@router.post("/sample", status_code=201)
async def add_sample(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Put the sample handbook into a collection of its own; what is there already costs nothing."""
    if not SAMPLE.is_dir():
        raise missing(f"the sample handbook is not installed here; it belongs into {SAMPLE}.", "no_sample")
    report = await service.work(lambda: _add(service, principal))
    return {"collection": COLLECTION, **report.as_object()}


def _add(service: Service, principal: Principal) -> Report:
    make_collection(service, principal, COLLECTION)
    return service.collection(principal, COLLECTION, Level.WRITE).add(SAMPLE)
