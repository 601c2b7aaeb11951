"""The page's files, read once; a request's path is looked up among them and never joined to a directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.responses import Response

from rag.api.errors import missing

STATIC_PREFIX = "/web/"
VENDORED = "vendor/"

_INDEX = "index.html"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".bcmap": "application/octet-stream",
    ".pfb": "application/octet-stream",
    ".ttf": "font/ttf",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str
    vendored: bool


def page_router() -> APIRouter:
    """Return the routes of the page, with its files in memory."""
    files = _read_files()
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index(request: Request) -> Response:
        return _respond(request, files[_INDEX])

    @router.get(STATIC_PREFIX + "{name:path}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise missing("there is no such file.")
        return _respond(request, files[name])

    return router


def _read_files() -> dict[str, _File]:
    return dict(_files_of(resources.files("rag") / "web", ""))


def _files_of(folder: Traversable, path: str) -> Iterator[tuple[str, _File]]:
    """Yield the files below a folder by their path, those of vendored libraries included."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_of(entry, f"{path}{entry.name}/")
            continue
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _MEDIA_TYPES:
            content = entry.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
            yield path + entry.name, _File(content, _MEDIA_TYPES[suffix], tag, path.startswith(VENDORED))


def _respond(request: Request, file: _File) -> Response:
    # The folder of a vendored library names its version, so what it holds never changes.
    caching = "public, max-age=31536000, immutable" if file.vendored else "no-cache"
    headers = {"ETag": file.tag, "Cache-Control": caching}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
