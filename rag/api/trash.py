"""Documents that were just taken out, kept in memory for a minute, so that a deletion can be undone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from rag.access import Level
from rag.api.documents import DocumentRow, stored_document
from rag.api.errors import ApiError, missing
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.store.records import Prepared

router = APIRouter(prefix="/api")

KEPT_S = 60.0
MAX_KEPT = 500
MAX_KEPT_CHARACTERS = 50_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    document: Prepared
    recipe: str
    until: float


class Trash:
    """
    What was taken out in the last minute; it is searched by nobody and never written to disk.

    Args:
        clock: seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._changing = threading.Lock()

    def keep(self, collection_id: int, document_id: int, document: Prepared, recipe: str) -> None:
        """Keep a document; the oldest go when there are too many, or too large ones."""
        with self._changing:
            self._forget_old()
            self._kept[collection_id, document_id] = _Kept(document, recipe, self._clock() + KEPT_S)
            while len(self._kept) > MAX_KEPT or (len(self._kept) > 1 and self._characters() > MAX_KEPT_CHARACTERS):
                del self._kept[next(iter(self._kept))]

    def take(self, collection_id: int, document_id: int) -> tuple[Prepared, str] | None:
        """Return a document that was kept, once; None when its time is over."""
        with self._changing:
            self._forget_old()
            kept = self._kept.pop((collection_id, document_id), None)
        return (kept.document, kept.recipe) if kept else None

    def _characters(self) -> int:
        return sum(len(kept.document.document.text) for kept in self._kept.values())

    def _forget_old(self) -> None:
        for place, kept in list(self._kept.items()):
            if kept.until <= self._clock():
                del self._kept[place]


def _trash(request: Request) -> Trash:
    trash: Trash = request.app.state.trash
    return trash


TrashDep = Annotated[Trash, Depends(_trash)]


@router.delete("/documents/{collection}/{document_id}", status_code=204)
def delete_document(
    collection: str, document_id: DocumentRow, service: ServiceDep, principal: PrincipalDep, trash: TrashDep
) -> Response:
    """Take a document out; for a minute it can be put back."""
    source = stored_document(service.collection(principal, collection), document_id).source
    knowledge_base = service.collection(principal, collection, Level.WRITE, source)
    info = service.allowed(principal, collection)
    kept = _prepared(service, info.id, document_id)
    if kept is None or not knowledge_base.remove(document_id):
        raise missing(f"collection {collection!r} holds no document {document_id}.", "document_not_found")
    trash.keep(info.id, document_id, *kept)
    service.workspace.store.accesses.forget(collection, [source])
    service.workspace.store.conversations.forget(collection, [source])
    service.workspace.store.evaluations.forget(collection, source)
    service.log.note(principal, "delete", collection, [source])
    return Response(status_code=204)


@router.post("/documents/{collection}/{document_id}/restore", status_code=201)
def restore_document(
    collection: str, document_id: DocumentRow, service: ServiceDep, principal: PrincipalDep, trash: TrashDep
) -> dict[str, Any]:
    """Put a document back that was taken out less than a minute ago; its id is another then."""
    info = service.allowed(principal, collection, Level.WRITE)
    kept = trash.take(info.id, document_id)
    if kept is None:
        raise missing("the document was taken out too long ago; add its file again.", "too_late")
    document, recipe = kept
    service.log.note(principal, "restore", collection, [document.document.source])
    if document.document.source in service.workspace.store.documents.versions(info.id):
        raise ApiError(409, f"{document.document.source} was added again meanwhile.", code="exists")
    return {"id": service.workspace.restore(info.id, document, recipe), "source": document.document.source}


def _prepared(service: Service, collection_id: int, document_id: int) -> tuple[Prepared, str] | None:
    """Read all that is stored of a document."""
    store = service.workspace.store
    versions = store.documents.versions(collection_id)
    version = next((one for one in versions.values() if one.document_id == document_id), None)
    if version is None:
        return None
    chunks, vectors = store.passages.of_document(document_id)
    document = store.documents.read_document(collection_id, document_id)
    return Prepared(document, chunks, vectors, version.added), version.recipe
