"""
The edge: what every request passes before any endpoint, in this order, as plain ASGI, so that nothing is buffered.

Loopback is no boundary: any website that the user opens can send requests here. So the Host header must be ours (DNS
rebinding), a browser's request must come from our own page (cross-site requests), and everything but a short list needs
credentials, before a byte of the body is read. New routes are closed unless they are put on that list.
"""

from __future__ import annotations

import hmac
import math
import re
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.access import Principal
from rag.access.attempts import Rate
from rag.api.errors import LOADING_RETRY_S, ApiError, as_api_error, busy
from rag.api.page import STATIC_PREFIX
from rag.api.service import Service

PUBLIC = frozenset({"/", "/healthz", "/readyz", "/sign-in"})
WITHOUT_MODELS = re.compile(
    r"/(metrics|openapi\.json|sign-out|api/((users|groups|keys)(/.*)?|accesses|all-collections|collections/[^/]*/grants))"
)
"""What is answered while the models are being loaded."""

UPLOAD_PATHS = frozenset({"/api/documents", "/api/runs/training", "/api/runs/decision"})
CSRF_HEADER = "x-csrf-token"
MAX_JSON_BYTES = 8 * 2**20
MULTIPART_OVERHEAD_BYTES = 2**16

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types homeground"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def session_cookie(service: Service) -> str:
    """Return the name of the session's cookie; browsers share cookies between ports, so the port is part of it."""
    return f"homeground-{service.workspace.settings.server.port}"


def csrf_cookie(service: Service) -> str:
    """Return the name of the cookie that holds what the page sends in ``X-CSRF-Token``; its scripts can read it."""
    return f"homeground-csrf-{service.workspace.settings.server.port}"


class Edge:
    """
    ASGI middleware around the whole application.

    Args:
        app: the application.
        service: the server's state.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        server = service.workspace.settings.server
        self._scheme = "https" if server.certificate else "http"
        names = {"127.0.0.1", "localhost", "[::1]", f"[{server.host}]" if ":" in server.host else server.host}
        names |= {name.lower() for name in server.names}
        # A proxy in front listens on another port, and sends the name as people typed it.
        bare = names if server.port in (80, 443) or server.plain_http else set()
        self._hosts = frozenset({f"{name}:{server.port}" for name in names} | bare)
        self._rate = Rate(server.requests_per_minute, time.monotonic)
        self._max_upload = server.max_upload_mb * 1_000_000 + MULTIPART_OVERHEAD_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP is closed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, _Recorder(scope, send, self._service))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: _Recorder) -> None:
        try:
            await self._app(scope, self._admit(scope, receive), send)
        except Exception as error:
            api_error = as_api_error(error)
            # Half an answer must not look like a whole one: without its end, the server breaks the connection off.
            if not send.started:
                await api_error.response()(scope, receive, send)
        finally:
            send.count()

    def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Check a request, note its principal, and return how its body may be read."""
        headers = Headers(scope=scope)
        path: str = scope["path"]
        self._check_host(headers)
        session = _cookie(headers, session_cookie(self._service))
        principal = self._service.access.authenticate(headers.get("authorization"), session)
        self._check_origin(scope["method"], headers, principal, session)
        if not (path in PUBLIC or path.startswith(STATIC_PREFIX)):
            if principal is None:
                raise ApiError(
                    401,
                    "sign in with your name and password or with the link from the terminal in which Homeground runs, "
                    "or send an API key as `Authorization: Bearer`.",
                    "authentication_error",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            if self._service.state == "loading" and not WITHOUT_MODELS.fullmatch(path):
                raise busy(503, "the models are still being loaded; try again soon.", "loading", LOADING_RETRY_S)
            if wait_s := self._rate.take(principal.name):
                raise busy(429, "too many requests; wait a moment.", "rate_limited", math.ceil(wait_s))
        scope.setdefault("state", {})["principal"] = principal
        return _limited(receive, _body_limit(scope["method"], path, headers, self._max_upload))

    def _check_host(self, headers: Headers) -> None:
        if headers.get("host", "").lower() not in self._hosts:
            raise ApiError(
                403,
                f"this server is called {min(self._hosts)}; the request was sent to another name.",
                "access_error",
                "wrong_host",
            )

    def _check_origin(self, method: str, headers: Headers, principal: Principal | None, session: str | None) -> None:
        """Refuse what a browser sends on behalf of another website."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        by_cookie = principal is not None and principal.by_cookie
        foreign = origin is not None and origin not in self._origins(headers)
        if method not in _SAFE_METHODS:
            # Browsers send Origin with every unsafe request, so a cookie without one is no browser's.
            foreign |= site not in (None, "same-origin") or (by_cookie and origin is None)
            if by_cookie and session is not None:
                token = self._service.access.csrf_token(session)
                foreign |= not hmac.compare_digest(token.encode(), headers.get(CSRF_HEADER, "").encode())
        elif by_cookie:
            foreign |= site not in (None, "same-origin", "none")
        if foreign:
            raise ApiError(403, "requests from other websites are refused.", "access_error", "foreign_origin")

    def _origins(self, headers: Headers) -> set[str]:
        proxied = self._service.workspace.settings.server.plain_http
        return {f"{scheme}://{headers['host']}" for scheme in {self._scheme, "https" if proxied else self._scheme}}


def _cookie(headers: Headers, name: str) -> str | None:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[name].value if name in cookies else None


def _body_limit(method: str, path: str, headers: Headers, max_upload: int) -> int:
    """Return how many bytes the body may have; refuse a content type that no endpoint reads."""
    length = headers.get("content-length", "")
    has_body = "transfer-encoding" in headers or length not in ("", "0")
    if method in _SAFE_METHODS or not has_body:
        return 0
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_upload = path in UPLOAD_PATHS
    expected = "multipart/form-data" if is_upload else "application/json"
    if kind != expected:
        raise ApiError(415, f"the content type is {kind!r}; expected {expected}.", code="unsupported_media_type")
    limit = max_upload if is_upload else MAX_JSON_BYTES
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    return limit


def _too_large(limit: int, headers: Mapping[str, str] | None = None) -> ApiError:
    message = f"the request is larger than {limit / 1e6:.0f} MB; send less at once."
    return ApiError(413, message, code="too_large", headers=headers)


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the body's bytes while they are read, whatever Content-Length says."""
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                # A body of known length is read to its end and thrown away by the HTTP server, so that the client gets
                # to read why. One without a length may have no end.
                raise _too_large(limit, headers={"Connection": "close"})
        return message

    return count


class _Recorder:
    """Sends a response with the security headers, and remembers what became of it."""

    def __init__(self, scope: Scope, send: Send, service: Service) -> None:
        self._scope = scope
        self._send = send
        self._service = service
        self._status = 499  # what stays when the client went away before an answer
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    def count(self) -> None:
        """Count the request under its route's template."""
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        self._service.metrics.count_request(method, route, self._status)
