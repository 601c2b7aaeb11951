"""Model names of the OpenAI-compatible API: ``generator[:adapter][@collection]``, and the embedder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from models.adapter_store import NO_ADAPTER
from rag.access import Principal
from rag.api.errors import ApiError, missing
from rag.api.service import PrincipalDep, Service, ServiceDep

router = APIRouter(prefix="/v1")

_NAME = re.compile(r"(?P<generator>[^:@]+)(?::(?P<adapter>[^:@]+))?(?:@(?P<collection>[^:@]+))?")


@dataclass(frozen=True, slots=True)
class Target:
    """What a model name asks for; None for the adapter that the settings say, and for no retrieval."""

    adapter: str | None
    collection: str | None


def resolve(service: Service, principal: Principal, model: str) -> Target:
    """
    Take a model name apart, and check every part of it.

    Raises:
        ApiError: a part is not known (404).
    """
    parts = _NAME.fullmatch(model)
    models = service.workspace.models
    if model == models.embedder.name:
        raise ApiError(400, f"{model!r} is an embedder; send it to /v1/embeddings.", param="model")
    if parts is None or parts["generator"] != models.generator.name:
        raise no_such_model(model)
    target = Target(parts["adapter"], parts["collection"])
    if target.adapter not in (None, NO_ADAPTER, *models.generator.adapters):
        raise no_such_model(model, f"adapter {target.adapter!r}")
    if target.collection is not None and service.known(principal, target.collection) is None:
        raise no_such_model(model, f"collection {target.collection!r}")
    return target


def no_such_model(model: str, part: str = "") -> ApiError:
    """Return the error for a name that stands for nothing, or of which one part does not exist."""
    what = f"{part}, which {model!r} asks for" if part else f"model {model!r}"
    return missing(f"there is no {what}; GET /v1/models lists what there is.", "model_not_found", "model")


def _chat_models(service: Service, principal: Principal) -> Iterator[str]:
    models = service.workspace.models
    usable = [info.name for info in service.collections(principal) if models.has(info.embedder)]
    base = models.generator.name
    for generator in (base, *(f"{base}:{adapter}" for adapter in models.generator.adapters)):
        yield generator
        yield from (f"{generator}@{collection}" for collection in usable)


@router.get("/models")
def list_models(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """List every generator, alone and with each adapter and each collection, and the embedder."""
    names = [*_chat_models(service, principal), service.workspace.models.embedder.name]
    return {"object": "list", "data": [_model_object(service, name) for name in names]}


@router.get("/models/{model}")
def get_model(model: str, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Return one model."""
    if model != service.workspace.models.embedder.name:
        resolve(service, principal, model)
    return _model_object(service, model)


def _model_object(service: Service, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": int(service.started), "owned_by": "homeground"}
