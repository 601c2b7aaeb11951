"""Embeddings, as OpenAI's API gives them."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from models.base import Embedder, Vectors
from rag.api.answers import Body
from rag.api.errors import ApiError
from rag.api.models import no_such_model
from rag.api.service import ServiceDep

router = APIRouter(prefix="/v1")

MAX_TEXTS = 256
MAX_TEXT_CHARACTERS = 20_000

_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


class EmbeddingsBody(Body):
    """Texts to embed."""

    model: Annotated[str, Field(max_length=256)]
    input: _Text | Annotated[list[_Text], Field(min_length=1, max_length=MAX_TEXTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, description="only the embedder's own number")
    user: str | None = None


@router.post("/embeddings")
async def embeddings(body: EmbeddingsBody, service: ServiceDep) -> dict[str, Any]:
    """Embed passages; one that is longer than the embedder reads is refused rather than cut."""
    embedder = service.workspace.models.embedder
    if body.model != embedder.name:
        raise no_such_model(body.model)
    if body.dimensions not in (None, embedder.dim):
        raise ApiError(400, f"{embedder.name!r} has {embedder.dim} dimensions.", param="dimensions")
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors, tokens = await service.work(lambda: _embed(embedder, texts))
    return {
        "object": "list",
        "model": embedder.name,
        "data": [
            {"object": "embedding", "index": index, "embedding": _encode(vector, body.encoding_format)}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _embed(embedder: Embedder, texts: list[str]) -> tuple[Vectors, int]:
    lengths = [embedder.token_starts(text).size for text in texts]
    for index, length in enumerate(lengths):
        if length > embedder.max_tokens:
            raise ApiError(
                400,
                f"text {index} has {length} tokens, but {embedder.name!r} reads {embedder.max_tokens}; cut it.",
                code="context_length_exceeded",
                param="input",
            )
    return embedder.embed(texts), sum(lengths)


def _encode(vector: Vectors, encoding: str) -> list[float] | str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") if encoding == "base64" else vector.tolist()
