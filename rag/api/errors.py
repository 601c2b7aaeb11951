"""
One shape for every error of every API, and one place where exceptions become HTTP.

``{"error": {"message", "type", "param", "code"}}`` is what OpenAI's clients read. Messages of :class:`HomegroundError`
are made for users and go out as they are; anything else is a fault of ours, is logged without what the request held,
and goes out as one generic sentence.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from models.base import AccessError, ConfigError, HomegroundError, InputError, ModelError, StoreError
from rag.worker import DrainingError, QueueFullError

logger = logging.getLogger(__name__)

DRAIN_RETRY_S = 30
LOADING_RETRY_S = 2
MAX_PROBLEMS = 10


class ApiError(HTTPException):
    """
    A refusal that has its status already.

    Args:
        status: the HTTP status.
        message: what was found, what was expected, what to do.
        kind: the family of errors, for example ``invalid_request_error``.
        code: what a program can compare with; ``kind`` if it says enough.
        param: the field that is wrong.
        headers: to be sent with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.kind = kind
        self.code = code or kind
        self.param = param

    def as_object(self) -> dict[str, object]:
        """Return what a client gets."""
        return {"error": {"message": self.detail, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """Return it as a response."""
        return JSONResponse(self.as_object(), self.status_code, self.headers)


def missing(message: str, code: str = "not_found", param: str | None = None) -> ApiError:
    """Return the error for something that does not exist."""
    return ApiError(404, message, "not_found_error", code, param)


def busy(status: int, message: str, code: str, retry_after_s: int) -> ApiError:
    """Return the error for a request that can be sent again later."""
    return ApiError(status, message, "overloaded_error", code, headers={"Retry-After": str(retry_after_s)})


_STATUS: Mapping[type[HomegroundError], tuple[int, str]] = {
    InputError: (422, "invalid_request_error"),
    AccessError: (403, "access_error"),
    ModelError: (503, "model_error"),
    StoreError: (503, "store_error"),
    ConfigError: (500, "config_error"),
}


def as_api_error(error: Exception) -> ApiError:
    """Translate any exception into what a client gets; unexpected ones are logged here."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        code = str(error.detail).lower().replace(" ", "_") if error.status_code in (404, 405) else "http_error"
        return ApiError(error.status_code, str(error.detail), "http_error", code, headers=error.headers)
    if isinstance(error, QueueFullError):
        return busy(429, str(error), "queue_full", error.retry_after_s)
    if isinstance(error, DrainingError):
        return busy(503, str(error), "shutting_down", DRAIN_RETRY_S)
    for kind, (status, name) in _STATUS.items():
        if isinstance(error, kind):
            return ApiError(status, str(error), name)
    # The traceback's places, without its last line: an exception's text may quote the request or a document.
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unexpected %s at\n%s", type(error).__name__, places)
    return ApiError(500, "the server made a mistake; its log says where.", "server_error")


def install(app: FastAPI) -> None:
    """Make an application answer every exception in the one shape."""

    async def handle(request: Request, error: Exception) -> Response:
        api_error = as_api_error(error)
        # OpenAI's API knows no 422, and its clients tell users about "bad requests".
        if api_error.status_code == 422 and request.url.path.startswith("/v1/"):
            api_error = ApiError(400, api_error.detail, api_error.kind, api_error.code, api_error.param)
        return api_error.response()

    async def handle_validation(request: Request, error: Exception) -> Response:
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        # Only where and what is wrong: the values themselves are the user's and are not repeated.
        lines = [f"{_field(problem['loc'])}: {problem['msg']}" for problem in problems[:MAX_PROBLEMS]]
        param = _field(problems[0]["loc"]) if problems else None
        return await handle(request, ApiError(422, "; ".join(lines), param=param, code="invalid_value"))

    app.add_exception_handler(RequestValidationError, handle_validation)
    for kind in (HTTPException, HomegroundError, QueueFullError, DrainingError):
        app.add_exception_handler(kind, handle)


def _field(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location if part != "body") or "body"
