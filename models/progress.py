"""What a long command tells a program that waits for it: one JSON object a line, appended to a file."""

from __future__ import annotations

import json
from pathlib import Path


class ProgressFile:
    """
    Lines about how far a command has come.

    Args:
        path: the file, which is made, or continued; None tells nobody.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def tell(self, **facts: object) -> None:
        """Append a line; whoever reads meanwhile sees it whole or without its line break."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(facts, ensure_ascii=False) + "\n")


NOBODY = ProgressFile(None)
