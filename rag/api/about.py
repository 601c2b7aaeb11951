"""What the page needs to know before the first question."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rag.api.documents import list_collections
from rag.api.service import PrincipalDep, ServiceDep

router = APIRouter(prefix="/api")


@router.get("/about")
def about(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return the models, the adapters, the collections and the limits of this server."""
    settings, models = service.workspace.settings, service.workspace.models
    return {
        "generator": models.generator.name,
        "engine": models.generator.engine,
        "embedder": models.embedder.name,
        "adapters": list(models.generator.adapters),
        "adapter_for_passages": models.adapter_for_passages(None),
        "collection": settings.collection,
        "max_upload_mb": settings.server.max_upload_mb,
        "user": principal.shown,
        "is_admin": principal.is_admin,
        **list_collections(service, principal),
    }
