"""
Documents in, grounded answers out.

    import rag

    with rag.open("handbook") as kb:
        kb.add("docs/")
        print(kb.ask("How do I reset my badge?").text)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.workspace import open

__all__ = ["open"]


def __getattr__(name: str) -> object:
    # Imported at first use: `python -m rag.ask --help` passes here too and must answer at once.
    if name == "open":
        from rag.workspace import open

        return open
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
