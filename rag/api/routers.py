"""Every route of the server, one module a concern."""

from __future__ import annotations

from fastapi import APIRouter

from rag.api import (
    about,
    adapters,
    auth,
    comparisons,
    conversations,
    documents,
    embeddings,
    evaluations,
    grants,
    health,
    machine,
    models,
    openai,
    page,
    runs,
    sample,
    search,
    trash,
    users,
)


def routers() -> list[APIRouter]:
    """Return the routers of the API and of the page, whose files are read now."""
    concerns = (
        about,
        adapters,
        auth,
        comparisons,
        conversations,
        documents,
        embeddings,
        evaluations,
        grants,
        health,
        machine,
        models,
        openai,
        runs,
        sample,
        search,
        trash,
        users,
    )
    return [*(concern.router for concern in concerns), page.page_router()]
