"""Signing in, with the link from the terminal or with name and password, and out again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import RedirectResponse, Response

from models.base import AccessError
from rag.access import MAX_SECRET_CHARACTERS, SESSION_S
from rag.access.passwords import MAX_CHARACTERS
from rag.api.answers import Body
from rag.api.edge import csrf_cookie, session_cookie
from rag.api.errors import ApiError
from rag.api.service import Service, ServiceDep

router = APIRouter(include_in_schema=False)

REFUSED = "/?sign-in=refused"
"""Where a wrong or used link leads: the page, which knows whether this browser is signed in all the same."""


class SignIn(Body):
    """Who signs in."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]


@router.get("/sign-in")
def sign_in(
    request: Request, service: ServiceDep, token: Annotated[str, Query(max_length=MAX_SECRET_CHARACTERS)] = ""
) -> Response:
    """Exchange a one-time token for a session cookie, and go to the page, which says so when the token was refused."""
    if "sec-purpose" in request.headers or request.headers.get("purpose") == "prefetch":
        raise ApiError(425, "a sign-in link is opened, not fetched ahead.", "access_error", "prefetch")
    try:
        session = service.access.sign_in(token)
    except AccessError:
        return RedirectResponse(REFUSED, 303)
    return _with_cookies(RedirectResponse("/", 303), service, session)


@router.post("/sign-in", status_code=204)
async def sign_in_user(body: SignIn, request: Request, service: ServiceDep) -> Response:
    """Exchange a name and a password for a session cookie."""
    address = request.client.host if request.client else ""
    session = await service.work(lambda: service.access.sign_in_user(body.name, body.password, address))
    principal = service.access.authenticate(None, session)
    if principal is not None:
        service.log.note(principal, "sign in")
    return _with_cookies(Response(status_code=204), service, session)


@router.post("/sign-out", status_code=204)
def sign_out(request: Request, service: ServiceDep) -> Response:
    """End the session."""
    cookie = session_cookie(service)
    service.access.sign_out(request.cookies.get(cookie, ""))
    response = Response(status_code=204)
    for name in (cookie, csrf_cookie(service)):
        response.delete_cookie(name, path="/", httponly=name == cookie, samesite="strict")
    return response


def _with_cookies(response: Response, service: Service, session: str) -> Response:
    secure = service.workspace.settings.server.certificate is not None
    cookies = ((session_cookie(service), session), (csrf_cookie(service), service.access.csrf_token(session)))
    for number, (name, value) in enumerate(cookies):
        response.set_cookie(
            name, value, max_age=SESSION_S, path="/", httponly=number == 0, samesite="strict", secure=secure
        )
    return response
