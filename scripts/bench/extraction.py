"""
``python -m scripts.bench.extraction``: what becomes of files in many formats, and how close their text is to another.

Every file of the data set ``docs`` goes through the real parser, in its child process. Where the data set has a
reference text, ours is compared with it, and MarkItDown's on the same files if ``--peer-output`` names the folder that
``scripts/bench/peers/markitdown_text.py`` wrote. The references are the output of docling and of MarkItDown, reviewed
by those projects; figures are given for each origin apart, because a program agrees with itself.
"""

from __future__ import annotations

import html
import json
import re
import statistics
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated, Any

import typer

from models import command
from models.base import InputError
from rag.load import Parser
from scripts.bench.datasets import data_dir

_CRASHED = "stopped the process that reads files"
_MARKUP = re.compile(r"<!--.*?-->|!?\[(?P<words>[^\]]*)\]\([^)\s]*\)", re.DOTALL)
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 20_000
_MEASURES = ("order", "words", "peer_order", "peer_words")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    peer_output: Annotated[Path | None, typer.Option(help="folder with MarkItDown's NAME.md for every file")] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="only these formats")] = None,
) -> None:
    """Read every file, and compare the texts with the references."""
    folder = data_dir() / "docs"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    files: list[dict[str, Any]] = []
    with Parser() as parser:
        for row in rows:
            if not formats or row["format"] in formats:
                files.append(_measure(parser, folder, row, peer_output))
                sys.stderr.write(f"{json.dumps(files[-1])}\n")
    by_format = {
        name: _summary(f for f in files if f["format"] == name) for name in sorted({f["format"] for f in files})
    }
    print(json.dumps({"overall": _summary(files), "formats": by_format, "files": files}, indent=2))


def _measure(parser: Parser, folder: Path, row: Mapping[str, Any], peer_output: Path | None) -> dict[str, Any]:
    """Read one file; say how that went, and how close the text is to the reference if there is one."""
    measured = {"file": row["file"], "format": row["format"], "class": row["class"]}
    text, started = "", time.perf_counter()
    try:
        parsed = parser.parse(folder / row["file"], Path(row["file"]).name)
    except InputError as error:
        measured |= {"outcome": "crashed" if _CRASHED in str(error) else "named", "reason": str(error)}
    else:
        text = parsed.document.text
        measured |= {"outcome": "indexed", "warnings": parsed.warnings, "characters": len(text)}
    measured["seconds"] = round(time.perf_counter() - started, 3)
    gold = row.get("gold_text", "")
    reference = _words((folder / gold).read_text(encoding="utf-8")) if gold else []
    if reference:  # one is empty, of a scan that its origin cannot read
        measured |= {"reference": Path(gold).parts[1], **_closeness("", text, reference)}
        if peer_output:
            written = peer_output / f"{row['file']}.md"
            theirs = written.read_text(encoding="utf-8") if written.is_file() else ""
            measured |= _closeness("peer_", theirs, reference)
    return measured


def _words(text: str) -> list[str]:
    """Return the words of a text, whatever markup is around them."""
    plain = html.unescape(_MARKUP.sub(lambda match: f" {match['words'] or ''} ", text))
    return _WORD.findall(unicodedata.normalize("NFKC", plain).casefold())[:_MOST_WORDS]


def _closeness(prefix: str, text: str, reference: list[str]) -> dict[str, float]:
    """Compare the words in their order (Ratcliff and Obershelp, as difflib has it) and as a bag (F1), in ``[0, 1]``."""
    words = _words(text)
    order = SequenceMatcher(None, words, reference, autojunk=False).ratio()
    common = sum((Counter(words) & Counter(reference)).values())
    total = len(words) + len(reference)
    return {f"{prefix}order": round(order, 4), f"{prefix}words": round(2 * common / total if total else 1.0, 4)}


def _summary(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count outcomes, and average the figures over the files that have them, by the origin of the reference."""
    files = list(files)
    outcomes = Counter(file["outcome"] for file in files)
    summary: dict[str, Any] = {
        "files": len(files),
        **{name: outcomes[name] for name in ("indexed", "named", "crashed")},
    }
    for origin in sorted({file["reference"] for file in files if "reference" in file}):
        compared = [file for file in files if file.get("reference") == origin]
        means = {m: round(statistics.fmean(f[m] for f in compared), 4) for m in _MEASURES if m in compared[0]}
        summary[origin] = {"files": len(compared), **means}
    return summary


if __name__ == "__main__":
    command.run(app)
