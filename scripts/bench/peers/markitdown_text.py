"""
Write MarkItDown's text of every file of the data set ``docs`` for ``scripts.bench.extraction --peer-output``.

It runs in an environment of its own, and so imports nothing of ours:

    python3.11 -m venv ~/markitdown
    ~/markitdown/bin/pip install 'markitdown[all]'
    ~/markitdown/bin/python scripts/bench/peers/markitdown_text.py ../shared/data/docs ~/markitdown-output
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from markitdown import MarkItDown  # type: ignore[import-not-found]  # it has an environment of its own


def main() -> None:
    """Read every file that the manifest names; what cannot be read is told and left out."""
    parser = argparse.ArgumentParser(description="Write MarkItDown's text of every file of a data set.")
    parser.add_argument("docs", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("output", type=Path, help="folder to write NAME.md to")
    arguments = parser.parse_args()
    converter = MarkItDown()
    for line in (arguments.docs / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        name = json.loads(line)["file"]
        written = arguments.output / f"{name}.md"
        written.parent.mkdir(parents=True, exist_ok=True)
        try:
            text = converter.convert(arguments.docs / name).text_content
        except Exception as error:  # whatever one of its many libraries raises, the next file is another matter
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        else:
            written.write_text(text, encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
