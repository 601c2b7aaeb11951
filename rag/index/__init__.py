"""The derived indexes: nearest vectors and matching words, both rebuilt from the store whenever in doubt."""

from rag.index.collection import CollectionIndex

__all__ = ["CollectionIndex"]
