"""The adapters on this machine: what each was trained on, and what that changed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from models.adapter_store import installed
from models.adapters import REPORT, Adapter
from rag.api.errors import missing
from rag.api.service import Service, ServiceDep

router = APIRouter(prefix="/api/adapters")

MAX_REPORT_BYTES = 20 * 2**20


@router.get("")
def list_adapters(service: ServiceDep) -> dict[str, Any]:
    """List the adapters, those that this server's model cannot use, or that did not pass their checks, included."""
    offered = service.workspace.models.generator.adapters
    usual = service.workspace.models.adapter_for_passages(None)
    return {"adapters": [_shown(adapter, offered, usual) for adapter in installed()]}


@router.get("/{name}/report")
def read_report(name: str, service: ServiceDep) -> Response:
    """Return the report of an adapter's training, as a file to keep: a page of its own, with its own styles."""
    adapter = _adapter(service, name)
    path = adapter.directory / REPORT
    if not path.is_file() or path.stat().st_size > MAX_REPORT_BYTES:
        raise missing(f"adapter {name!r} has no report.", "no_report")
    headers = {"Content-Disposition": f'attachment; filename="{adapter.name}-report.html"'}
    return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def _adapter(service: Service, name: str) -> Adapter:
    for adapter in installed():
        if adapter.name == name:
            return adapter
    offered = ", ".join(service.workspace.models.generator.adapters) or "none"
    raise missing(f"there is no adapter {name!r}; offered are: {offered}.", "adapter_not_found")


def _shown(adapter: Adapter, offered: tuple[str, ...], usual: str | None) -> dict[str, Any]:
    return {
        "name": adapter.name,
        "base": adapter.base,
        "licence": adapter.licence,
        "trained_with_context": adapter.trained_with_context,
        "gate_passed": adapter.gate_passed,
        "accepted": adapter.accepted,
        "offered": adapter.name in offered,
        "usual": adapter.name == usual,
        "scores": {name: dict(values) for name, values in adapter.scores.items()},
        "recipe": dict(adapter.recipe),
        "report": (adapter.directory / REPORT).is_file(),
    }
