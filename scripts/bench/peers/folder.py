"""The mixed folder that everybody ingests: office documents, pages, text and source files."""

from __future__ import annotations

import json
import shutil
import sysconfig
import tarfile
import tempfile
from pathlib import Path

FORMATS = {"pdf", "docx", "html", "md"}
LARGEST_BYTES = 300_000
LEFT_OUT = {"docling/pdf/sources/skipped_1page.pdf"}
"""pypdf reads half a surrogate pair in it, and three of the five stop with the whole folder there."""
DOCUMENTATION = "bigdocs_python"
EVERY_PAGE, EVERY_TEXT = 8, 20
SOURCES = ("json", "logging", "sqlite3")
"""Packages of the standard library."""


def make_folder(target: Path, data: Path) -> None:
    """
    Fill a folder.

    Undamaged PDF, DOCX, HTML and Markdown files of up to 300 kB from ``docs``, every eighth page and, as plain text,
    every twentieth source text of the Python documentation, and a few packages of the standard library.

    Args:
        target: an empty folder.
        data: where the evaluation data lies.
    """
    for line in (data / "docs" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        wanted = row["class"] == "ok" and row["format"] in FORMATS and row["bytes"] <= LARGEST_BYTES
        if wanted and row["file"] not in LEFT_OUT:
            path = target / "documents" / row["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / "docs" / row["file"], path)
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(data / DOCUMENTATION / f"{DOCUMENTATION}.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        _copy(sorted(Path(unpacked).rglob("*.html"))[::EVERY_PAGE], target / "pages", ".html")
        _copy(sorted(Path(unpacked).rglob("*.rst"))[::EVERY_TEXT], target / "texts", ".txt")
    library = Path(sysconfig.get_path("stdlib"))
    _copy([path for name in SOURCES for path in sorted((library / name).rglob("*.py"))], target / "sources", ".py")


def _copy(files: list[Path], target: Path, suffix: str) -> None:
    """Copy files under numbers, since their names may repeat."""
    target.mkdir()
    for number, path in enumerate(files):
        shutil.copyfile(path, target / f"{number}-{path.stem}{suffix}")
