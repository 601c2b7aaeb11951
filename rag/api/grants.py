"""Who may do what with a collection or a document: seen and changed by those who manage it, and by administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from models.catalog import Name
from rag.access import Level, Principal
from rag.api.answers import Body
from rag.api.errors import ApiError
from rag.api.service import AdministratorDep, PrincipalDep, Service, ServiceDep
from rag.store.grants import Grant
from rag.store.records import CollectionInfo

router = APIRouter(prefix="/api")


class GrantBody(Body):
    """A right for a user or a group, on a collection or on one document of it; ``none`` takes it back."""

    source: Annotated[str, Field(max_length=1000)] = ""
    user: Name | None = None
    group: Name | None = None
    level: Literal["none", "read", "write", "manage"]


@router.get("/collections/{collection}/grants")
def list_grants(collection: str, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """List who may do what with a collection and its documents."""
    info = _managed(service, principal, collection)
    return {"grants": [_grant_object(grant) for grant in service.workspace.store.grants.of_collection(info.id)]}


@router.put("/collections/{collection}/grants", status_code=204)
def set_grant(collection: str, body: GrantBody, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Give a right, change it, or take it back."""
    if (body.user is None) == (body.group is None):
        raise ApiError(422, "expected either a user or a group.", param="user")
    info = _managed(service, principal, collection, body.source)
    level = Level[body.level.upper()]
    service.workspace.store.grants.set(info.id, Grant(info.name, body.source, body.user, body.group, level))
    service.log.note(
        principal, f"grant {body.level} to {body.user or body.group}", info.name, [body.source] * bool(body.source)
    )
    return Response(status_code=204)


@router.get("/all-collections")
def list_all_collections(service: ServiceDep, _: AdministratorDep) -> dict[str, Any]:
    """List the names and sizes of all collections, for administrators, who may then give rights to them."""
    return {
        "collections": [
            {"name": info.name, "documents": info.documents, "chunks": info.chunks}
            for info in service.workspace.collections()
        ]
    }


def _managed(service: Service, principal: Principal, collection: str, source: str = "") -> CollectionInfo:
    """Return a collection whose rights a principal may change."""
    if principal.is_admin and (info := service.workspace.find(collection)) is not None:
        return info
    return service.allowed(principal, collection, Level.MANAGE, source)


def _grant_object(grant: Grant) -> dict[str, Any]:
    return {
        "source": grant.source,
        "user": grant.user,
        "group": grant.group,
        "level": Level(grant.level).name.lower(),
    }
