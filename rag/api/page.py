"""
The page's files, read once; a request's path is looked up among them and never joined to a directory.

The page names its files under their version, so that a browser asks for each of them once and never again until they
change; its style sheets come as one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.responses import Response

from rag.api.errors import missing

STATIC_PREFIX = "/web/"
VENDORED = "vendor/"

_INDEX = "index.html"
_STYLES = "styles.css"
_IMPORT = re.compile(r'@import "\./([^"]+)";')
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


def page_router() -> APIRouter:
    """Return the routes of the page, with its files in memory."""
    files = dict(_files_of(resources.files("rag") / "web", ""))
    files[_STYLES] = _joined(files)
    version = _hash("".join(file.tag for name, file in sorted(files.items()) if name != _INDEX).encode()) + "/"
    prefixed = (STATIC_PREFIX + version).encode()
    page = _file(files[_INDEX].content.replace(STATIC_PREFIX.encode(), prefixed), files[_INDEX].media_type)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def index(request: Request) -> Response:
        return _respond(request, page, immutable=False)

    @router.get(STATIC_PREFIX + "{name:path}")
    async def static(request: Request, name: str) -> Response:
        path = name.removeprefix(version)
        if path not in files:
            raise missing("there is no such file.")
        # A path that names a version, ours or that of a vendored library, always has the same content.
        return _respond(request, files[path], immutable=path != name or name.startswith(VENDORED))

    return router


def _files_of(folder: Traversable, path: str) -> Iterator[tuple[str, _File]]:
    """Yield the files below a folder by their path, those of vendored libraries included."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_of(entry, f"{path}{entry.name}/")
            continue
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _MEDIA_TYPES:
            yield path + entry.name, _file(entry.read_bytes(), _MEDIA_TYPES[suffix])


def _file(content: bytes, media_type: str) -> _File:
    return _File(content, media_type, f'"{_hash(content)}"')


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _joined(files: Mapping[str, _File]) -> _File:
    """Put the style sheets in the place of the lines that import them."""
    sheet = files[_STYLES].content.decode()
    joined = _IMPORT.sub(lambda line: files[line[1]].content.decode(), sheet)
    return _file(joined.encode(), files[_STYLES].media_type)


def _respond(request: Request, file: _File, *, immutable: bool) -> Response:
    caching = "public, max-age=31536000, immutable" if immutable else "no-cache"
    headers = {"ETag": file.tag, "Cache-Control": caching}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
