"""The sample handbook, for somebody who has no documents at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter

from rag.api.errors import missing
from rag.api.service import ServiceDep

router = APIRouter(prefix="/api")

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "handbook"
COLLECTION = "sample-handbook"


@router.post("/sample", status_code=201)
async def add_sample(service: ServiceDep) -> dict[str, Any]:
    """Put the sample handbook into a collection of its own; what is there already costs nothing."""
    if not SAMPLE.is_dir():
        raise missing(f"the sample handbook is not installed here; it belongs into {SAMPLE}.", "no_sample")
    report = await service.work(lambda: service.workspace.collection(COLLECTION, create=True).add(SAMPLE))
    return {"collection": COLLECTION, **report.as_object()}
