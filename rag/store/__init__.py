"""The store: everything that must not be lost, in one SQLite file."""

from rag.store.store import Store

__all__ = ["Store"]
