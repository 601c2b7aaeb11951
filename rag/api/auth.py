"""Signing in with the link from the terminal, and out again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from models.base import AccessError
from rag.access import MAX_SECRET_CHARACTERS, SESSION_S
from rag.api.edge import session_cookie
from rag.api.errors import ApiError
from rag.api.service import ServiceDep

router = APIRouter(include_in_schema=False)

REFUSED = "/?sign-in=refused"
"""Where a wrong or used link leads: the page, which knows whether this browser is signed in all the same."""


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
    response = RedirectResponse("/", 303)
    response.set_cookie(session_cookie(service), session, max_age=SESSION_S, path="/", httponly=True, samesite="strict")
    return response


@router.post("/sign-out", status_code=204)
def sign_out(request: Request, service: ServiceDep) -> Response:
    """End the session."""
    cookie = session_cookie(service)
    service.access.sign_out(request.cookies.get(cookie, ""))
    response = Response(status_code=204)
    response.delete_cookie(cookie, path="/", httponly=True, samesite="strict")
    return response
