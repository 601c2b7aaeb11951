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
from rag.api.answers import Body
from rag.api.errors import ApiError, missing
from rag.api.service import Service, ServiceDep
from rag.load.files import read_file
from rag.load.values import Limits
from rag.report import Report
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
def list_collections(service: ServiceDep) -> dict[str, Any]:
    """List the collections by name."""
    return {"collections": [_collection_object(info) for info in service.workspace.collections()]}


@router.post("/collections", status_code=201)
def create_collection(body: NewCollection, service: ServiceDep) -> dict[str, Any]:
    """Make an empty collection; one that exists stays as it is."""
    service.workspace.collection(body.name, create=True)
    return _collection_object(service.collection_info(body.name))


@router.delete("/collections/{collection}", status_code=204)
def delete_collection(collection: str, service: ServiceDep) -> Response:
    """Remove a collection with everything in it."""
    service.workspace.delete_collection(service.collection_info(collection).name)
    return Response(status_code=204)


@router.get("/documents")
def list_documents(
    service: ServiceDep,
    collection: str | None = None,
    after: Annotated[str, Query(max_length=MAX_SOURCE_CHARACTERS)] = "",
    contains: Annotated[str, Query(max_length=256)] = "",
    media_type: Annotated[str, Query(max_length=256)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> dict[str, Any]:
    """List a page of a collection's documents by source, and say behind which source the next page begins."""
    info = service.collection_info(collection or service.workspace.settings.collection)
    store = service.workspace.store
    found = service.workspace.collection(info.name).documents(
        after=after, limit=limit + 1, contains=contains, media_type=media_type
    )
    page = found[:limit]
    return {
        "collection": _collection_object(info),
        "documents": [asdict(document) for document in page],
        "next": page[-1].source if len(found) > limit else None,
        "media_types": store.documents.media_types(info.id),
        "last_sync": store.syncs.last(info.id),
    }


@router.post("/documents")
async def upload(
    service: ServiceDep,
    files: Annotated[list[UploadFile], File(max_length=MAX_FILES)],
    collection: Annotated[Name, Form()],
) -> JSONResponse:
    """
    Put files into a collection, which is made if there is none; each takes the place of what stood under its name.

    The answer names what became of every file. It is 200 if any of them is in, 422 if none is.
    """
    report = await service.work(lambda: _store(service, collection, files))
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


def _store(service: Service, collection: str, files: list[UploadFile]) -> Report:
    """Read one file after the other, so that only one at a time is in memory."""
    target = service.workspace.collection(collection, create=True)
    total = Report()
    for file in files:
        report = target.upload(_source(file.filename or ""), file.file.read())
        total.documents += report.documents
        total.errors += report.errors
        total.warnings += report.warnings
        total.unchanged += report.unchanged
        total.seconds += report.seconds
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
    start: _Offset = 0,
    end: _Offset | None = None,
) -> dict[str, Any]:
    """Return what is known of a document, and the slice ``start`` to ``end`` of its text, in characters."""
    document = _document(service, collection, document_id)
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
def read_original(collection: str, document_id: DocumentRow, service: ServiceDep) -> Response:
    """Return a PDF document's file, if it is still where it was indexed from, and is still the same."""
    document = _document(service, collection, document_id)
    if not _has_original(document):
        raise missing("the file of this document is not kept; its text is.", "no_original")
    data, _ = read_file(FilePath(document.origin), Limits().input_bytes)
    if hashlib.sha256(data).hexdigest() != document.sha256:
        raise ApiError(
            409, "the file has changed since it was indexed; index it again to see its pages.", code="changed"
        )
    # Never shown by itself: as an attachment without a type of its own it is bytes that the page reads.
    headers = {"Content-Disposition": "attachment"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _document(service: Service, collection: str, document_id: int) -> Document:
    knowledge_base = service.collection(collection)
    try:
        return knowledge_base.document(document_id)
    except InputError as error:  # the only one that reading a row can raise: there is none
        raise _no_document(collection, document_id) from error


def _no_document(collection: str, document_id: int) -> ApiError:
    return missing(f"collection {collection!r} holds no document {document_id}.", "document_not_found")


def _collection_object(info: CollectionInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "documents": info.documents,
        "chunks": info.chunks,
        "embedder": info.embedder.name,
        "settings": dict(info.settings),
    }
