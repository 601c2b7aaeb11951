"""Documents and their collections: put in, list, read, take out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile
from starlette.responses import JSONResponse

from models.base import InputError
from models.catalog import Name
from rag.access import Level, Principal
from rag.api.answers import Body
from rag.api.errors import ApiError, missing
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.knowledge_base import KnowledgeBase
from rag.load.files import read_file
from rag.load.values import Limits
from rag.report import Report
from rag.store.grants import Grant
from rag.store.records import CollectionInfo
from rag.types import Document

router = APIRouter(prefix="/api")

MAX_FILES = 100
PDF = "application/pdf"
MAX_SOURCE_CHARACTERS = 1000
MAX_PAGE = 500
MAX_SLICE_CHARACTERS = 20_000
DEFAULT_SLICE_CHARACTERS = 4_000

_Offset = Annotated[int, Query(ge=0, le=10**9)]
DocumentRow = Annotated[int, Path(ge=1, lt=2**63)]


class NewCollection(Body):
    """A collection to be made."""

    name: Name


@router.get("/collections")
def list_collections(service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """List the collections that the caller may know of, by name, with how much of each may be read."""
    return {"collections": [_collection_object(service, principal, info) for info in service.collections(principal)]}


@router.post("/collections", status_code=201)
def create_collection(body: NewCollection, service: ServiceDep, principal: PrincipalDep) -> dict[str, Any]:
    """Make an empty collection, which the caller manages; one that exists stays as it is."""
    make_collection(service, principal, body.name)
    return _collection_object(service, principal, service.collection_info(principal, body.name))


def make_collection(service: Service, principal: Principal, name: str) -> None:
    """
    Make a collection, and let its maker manage it.

    Raises:
        ApiError: the credential may not make it (403), or it is there, and the caller may not know of it (409).
    """
    outside = principal.collections is not None and name not in principal.collections
    if principal.level < Level.MANAGE or outside:
        raise ApiError(403, f"this key may not make a collection {name!r}.", "access_error")
    if service.workspace.find(name) is not None:
        if service.known(principal, name) is None:
            raise ApiError(409, f"the name {name!r} is taken; choose another.", code="name_taken")
        return
    service.workspace.collection(name, create=True)
    if principal.user_id is not None:
        info = service.workspace.store.documents.collection(name)
        grant = Grant(name, "", principal.shown, None, Level.MANAGE)
        service.workspace.store.grants.set(info.id, grant)
    service.log.note(principal, "make collection", name)


@router.delete("/collections/{collection}", status_code=204)
def delete_collection(collection: str, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Remove a collection with everything in it."""
    service.workspace.delete_collection(service.allowed(principal, collection, Level.MANAGE).name)
    service.workspace.store.evaluations.forget_collection(collection)
    service.log.note(principal, "delete collection", collection)
    return Response(status_code=204)


@router.get("/documents")
def list_documents(
    service: ServiceDep,
    principal: PrincipalDep,
    collection: str | None = None,
    after: Annotated[str, Query(max_length=MAX_SOURCE_CHARACTERS)] = "",
    contains: Annotated[str, Query(max_length=256)] = "",
    media_type: Annotated[str, Query(max_length=256)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> dict[str, Any]:
    """List a page of a collection's documents by source, and say behind which source the next page begins."""
    info = service.collection_info(principal, collection or service.workspace.settings.collection)
    store = service.workspace.store
    readable = service.authority.readable(principal, info)
    found = service.collection(principal, info.name).documents(
        after=after, limit=limit + 1, contains=contains, media_type=media_type
    )
    page = found[:limit]
    return {
        "collection": _collection_object(service, principal, info),
        "documents": [asdict(document) for document in page],
        "next": page[-1].source if len(found) > limit else None,
        "media_types": store.documents.media_types(info.id, readable),
        "last_sync": store.syncs.last(info.id) if readable is None else None,
    }


@router.post("/documents")
async def upload(
    service: ServiceDep,
    principal: PrincipalDep,
    files: Annotated[list[UploadFile], File(max_length=MAX_FILES)],
    collection: Annotated[Name, Form()],
) -> JSONResponse:
    """
    Put files into a collection, which is made if there is none; each takes the place of what stood under its name.

    The answer names what became of every file. It is 200 if any of them is in, 422 if none is.
    """
    report = await service.work(lambda: _store(service, principal, collection, files))
    shown: dict[str, Any] = {
        "collection": collection,
        "documents": [{"source": source, "chunks": chunks} for source, chunks in report.documents],
        "unchanged": report.unchanged,
        "errors": [asdict(problem) for problem in report.errors],
        "warnings": [asdict(problem) for problem in report.warnings],
        "seconds": report.seconds,
    }
    if report.documents or report.unchanged:
        return JSONResponse(shown)
    reasons = "; ".join(f"{problem.source} {problem.error.removeprefix(problem.source)}" for problem in report.errors)
    refusal = ApiError(422, reasons or "no file was sent.", code="unreadable_document")
    return JSONResponse(shown | refusal.as_object(), 422)


def _store(service: Service, principal: Principal, collection: str, files: list[UploadFile]) -> Report:
    """Read one file after the other, so that only one at a time is in memory."""
    sources = [_source(file.filename or "") for file in files]
    if service.known(principal, collection) is None:
        make_collection(service, principal, collection)
    targets = [service.collection(principal, collection, Level.WRITE, source) for source in sources]
    total = Report()
    for source, target, file in zip(sources, targets, files, strict=True):
        report = target.upload(source, file.file.read())
        total.documents += report.documents
        total.errors += report.errors
        total.warnings += report.warnings
        total.unchanged += report.unchanged
        total.seconds += report.seconds
    service.log.note(principal, "upload", collection, [source for source, _ in total.documents])
    return total


def _source(filename: str) -> str:
    """
    Return what a file is called in its collection; folders stay, but nothing leads out of them.

    Raises:
        ApiError: nothing usable is left of the name (422).
    """
    parts = [part for part in filename.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    source = str(PurePosixPath(*parts)) if parts else ""
    if not source or len(source) > MAX_SOURCE_CHARACTERS or not source.isprintable():
        raise ApiError(
            422,
            f"a file's name is empty, longer than {MAX_SOURCE_CHARACTERS} characters, or holds control characters; "
            "rename it.",
            code="invalid_name",
        )
    return source


@router.get("/documents/{collection}/{document_id}")
def read_document(
    collection: str,
    document_id: DocumentRow,
    service: ServiceDep,
    principal: PrincipalDep,
    start: _Offset = 0,
    end: _Offset | None = None,
) -> dict[str, Any]:
    """Return what is known of a document, and the slice ``start`` to ``end`` of its text, in characters."""
    document = stored_document(service.collection(principal, collection), document_id)
    service.log.note(principal, "read", collection, [document.source])
    begin = min(start, len(document.text))
    stop = min(begin + DEFAULT_SLICE_CHARACTERS if end is None else end, len(document.text))
    if not begin <= stop <= begin + MAX_SLICE_CHARACTERS:
        raise ApiError(422, f"expected start <= end <= start + {MAX_SLICE_CHARACTERS}.", param="end")
    return {
        "id": document_id,
        "collection": collection,
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "characters": len(document.text),
        "pages": len(document.page_starts),
        "metadata": dict(document.metadata),
        "sha256": document.sha256,
        "modified": document.modified,
        "original": _has_original(document),
        "start": begin,
        "end": stop,
        "text": document.text[begin:stop],
        "page": document.page_at(begin),
        "heading": " > ".join(document.headings_at(begin)),
        "page_starts": [
            {"start": at, "page": number}
            for number, at in enumerate(document.page_starts, start=1)
            if begin <= at < stop
        ],
        "headings": [asdict(heading) for heading in document.headings if begin <= heading.start < stop],
    }


def _has_original(document: Document) -> bool:
    """Tell whether a document's pages can be shown as its author made them; the file itself is checked when read."""
    return document.media_type == PDF and bool(document.origin) and FilePath(document.origin).is_file()


@router.get("/documents/{collection}/{document_id}/file")
def read_original(collection: str, document_id: DocumentRow, service: ServiceDep, principal: PrincipalDep) -> Response:
    """Return a PDF document's file, if it is still where it was indexed from, and is still the same."""
    document = stored_document(service.collection(principal, collection), document_id)
    if not _has_original(document):
        raise missing("the file of this document is not kept; its text is.", "no_original")
    data, _ = read_file(FilePath(document.origin), Limits().input_bytes)
    if hashlib.sha256(data).hexdigest() != document.sha256:
        raise ApiError(
            409, "the file has changed since it was indexed; index it again to see its pages.", code="changed"
        )
    service.log.note(principal, "read", collection, [document.source])
    # Never shown by itself: as an attachment without a type of its own it is bytes that the page reads.
    headers = {"Content-Disposition": "attachment"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def stored_document(knowledge_base: KnowledgeBase, document_id: int) -> Document:
    """
    Return a whole document.

    Raises:
        ApiError: there is none, for this reader (404).
    """
    try:
        return knowledge_base.document(document_id)
    except InputError as error:  # the only one that reading a row can raise: there is none, for this reader
        raise _no_document(knowledge_base.name, document_id) from error


def _no_document(collection: str, document_id: int) -> ApiError:
    return missing(f"collection {collection!r} holds no document {document_id}.", "document_not_found")


def _collection_object(service: Service, principal: Principal, info: CollectionInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "documents": info.documents,
        "chunks": info.chunks,
        "embedder": info.embedder.name,
        "settings": dict(info.settings),
        "level": service.authority.level(principal, info).name.lower(),
    }
