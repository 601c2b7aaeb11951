"""Is the server alive, does it take questions, and what has it done."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from rag.api.errors import LOADING_RETRY_S
from rag.api.service import AdministratorDep, ServiceDep

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(service: ServiceDep) -> JSONResponse:
    """Answer 200 while questions are taken: not before the models are loaded, not once the server is stopping."""
    state = service.state
    if state == "ready":
        return JSONResponse({"status": state})
    return JSONResponse({"status": state}, 503, {"Retry-After": str(LOADING_RETRY_S)})


@router.get("/metrics")
async def metrics(service: ServiceDep, _: AdministratorDep) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)
