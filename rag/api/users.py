"""Users, groups and API keys: for administrators, and everybody's own password and keys."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from models.catalog import Name
from rag.access import Level, Principal
from rag.access.credentials import new_key
from rag.access.passwords import MAX_CHARACTERS, hashed, matches
from rag.api.answers import Body
from rag.api.errors import ApiError
from rag.api.service import AdministratorDep, PrincipalDep, Service, ServiceDep
from rag.store.people import Key, User

router = APIRouter(prefix="/api")

MAX_MEMBERS = 1000
MAX_COLLECTIONS = 100
MAX_DAYS = 3650

Password = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
LevelName = Literal["read", "write", "manage"]
_Row = Annotated[int, Path(ge=1, lt=2**63)]


class NewUser(Body):
    """A user to be made; without a password he gets in by keys only."""

    name: Name
    password: Password | None = None
    is_admin: bool = False


class UserChange(Body):
    """What is to be changed of a user."""

    password: Password | None = None
    is_admin: bool | None = None
    is_suspended: bool | None = None


class OwnPassword(Body):
    """Somebody's own new password."""

    old: Password
    new: Password


class Group(Body):
    """Who is in a group."""

    members: Annotated[list[Name], Field(max_length=MAX_MEMBERS)]


class NewKey(Body):
    """A key to be made; administrators may name somebody else."""

    label: Annotated[str, Field(max_length=100)] = ""
    user: Name | None = None
    level: LevelName = "read"
    collections: Annotated[list[Name], Field(max_length=MAX_COLLECTIONS)] | None = None
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None


@router.get("/users")
def list_users(service: ServiceDep, _: AdministratorDep) -> dict[str, Any]:
    """List users and groups."""
    people = service.workspace.store.people
    return {"users": [_user_object(user) for user in people.users()], "groups": people.groups()}


@router.post("/users", status_code=201)
async def add_user(body: NewUser, service: ServiceDep, principal: AdministratorDep) -> dict[str, Any]:
    """Make a user."""
    password = await _hashed(service, body.password) or ""
    user = service.workspace.store.people.add_user(body.name, password, is_admin=body.is_admin)
    service.log.note(principal, f"make user {body.name}")
    return _user_object(user)


@router.patch("/users/{name}", status_code=204)
async def change_user(name: Name, body: UserChange, service: ServiceDep, principal: AdministratorDep) -> Response:
    """Change a user; a new password or a suspension ends his sessions."""
    password = await _hashed(service, body.password)
    _keep_an_administrator(service, principal, name, body)
    service.workspace.store.people.change_user(
        name, password=password, is_admin=body.is_admin, is_suspended=body.is_suspended
    )
    service.log.note(principal, f"change user {name}")
    return Response(status_code=204)


def _keep_an_administrator(service: Service, principal: Principal, name: str, body: UserChange) -> None:
    """Refuse that an administrator shuts himself out; whoever holds the terminal may do it."""
    if principal.user_id is not None and name == principal.shown and (body.is_suspended or body.is_admin is False):
        raise ApiError(422, "you cannot take your own rights; another administrator can.", param="name")


@router.delete("/users/{name}", status_code=204)
def remove_user(name: Name, service: ServiceDep, principal: AdministratorDep) -> Response:
    """Remove a user with keys and grants; collections stay."""
    if principal.user_id is not None and name == principal.shown:
        raise ApiError(422, "you cannot remove yourself; another administrator can.", param="name")
    service.workspace.store.people.remove_user(name)
    service.log.note(principal, f"remove user {name}")
    return Response(status_code=204)


@router.put("/groups/{name}", status_code=204)
def set_group(name: Name, body: Group, service: ServiceDep, principal: AdministratorDep) -> Response:
    """Make a group, or change who is in it."""
    service.workspace.store.people.set_group(name, body.members)
    service.log.note(principal, f"change group {name}")
    return Response(status_code=204)


@router.delete("/groups/{name}", status_code=204)
def remove_group(name: Name, service: ServiceDep, principal: AdministratorDep) -> Response:
    """Remove a group with its grants."""
    service.workspace.store.people.remove_group(name)
    service.log.note(principal, f"remove group {name}")
    return Response(status_code=204)


@router.put("/me/password", status_code=204)
async def change_password(body: OwnPassword, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Change one's own password; every session ends."""
    people = service.workspace.store.people
    user = people.user_by_id(principal.user_id) if principal.user_id is not None else None
    if user is None or not principal.by_cookie:
        raise ApiError(403, "only somebody who signed in with a password has one to change.", "access_error")
    if not await service.work(lambda: matches(body.old, user.password)):
        raise ApiError(403, "the old password is wrong.", "access_error")
    people.change_user(user.name, password=await service.work(lambda: hashed(body.new)))
    return Response(status_code=204)


@router.get("/keys")
def list_keys(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """List one's own keys, or for an administrator everybody's; never the keys themselves."""
    keys = service.workspace.store.people.keys(None if principal.is_admin else principal.shown)
    return {"keys": [_key_object(key) for key in keys]}


@router.post("/keys", status_code=201)
def add_key(body: NewKey, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Make a key, and show it this once; a key makes no key that reaches further than itself."""
    level = Level[body.level.upper()]
    wanted = None if body.collections is None else frozenset(body.collections)
    beyond = principal.collections is not None and (wanted is None or not wanted <= principal.collections)
    if level > principal.level or beyond or (body.user not in (None, principal.shown) and not principal.is_admin):
        raise ApiError(403, "this would reach further than you do.", "access_error")
    if body.user is None and principal.user_id is None:
        raise ApiError(422, "name the user that the key is for.", param="user")
    key, digest = new_key()
    expires = None if body.days is None else time.time() + body.days * 24 * 3600
    kept = service.workspace.store.people.add_key(
        body.user or principal.shown, digest, body.label, level, body.collections, expires
    )
    service.log.note(principal, f"make key {kept.id}")
    return _key_object(kept) | {"key": key}


@router.delete("/keys/{key_id}", status_code=204)
def remove_key(key_id: _Row, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Take a key back; the next request with it is refused."""
    service.workspace.store.people.remove_key(key_id, None if principal.is_admin else principal.shown)
    service.log.note(principal, f"remove key {key_id}")
    return Response(status_code=204)


@router.get("/accesses")
def search_accesses(
    service: ServiceDep,
    _: AdministratorDep,
    who: Annotated[str, Query(max_length=64)] = "",
    collection: Annotated[str, Query(max_length=64)] = "",
    document: Annotated[str, Query(max_length=1000)] = "",
    before: Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Search the access log, newest first."""
    service.log.write()
    found = service.workspace.store.accesses.search(
        who=who, collection=collection, document=document, before=before, limit=limit
    )
    return {"accesses": [asdict(entry) for entry in found]}


async def _hashed(service: Service, password: str | None) -> str | None:
    return None if password is None else await service.work(partial(hashed, password))


def _user_object(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "is_admin": user.is_admin,
        "is_suspended": user.is_suspended,
        "has_password": bool(user.password),
        "groups": list(user.groups),
    }


def _key_object(key: Key) -> dict[str, Any]:
    return asdict(key) | {"level": Level(key.level).name.lower()}
