"""
Which reader reads which file.

To add a format, add a module with ``read(data, name) -> Extracted``, pure and without file access, and its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath

from models.base import InputError
from rag.load import (
    asciidoc,
    code,
    csv,
    doc,
    docx,
    eml,
    epub,
    html,
    image,
    json,
    markdown,
    msg,
    notebook,
    odf,
    pdf,
    ppt,
    pptx,
    rst,
    rtf,
    sheets,
    text,
    xml,
)
from rag.load.refused import REASONS
from rag.load.values import EMPTY, NO_TEXT, Extracted

Reader = Callable[[bytes, str], Extracted]

FORMATS: Mapping[str, tuple[str, Reader]] = {
    ".htm": ("text/html", html.read),
    ".html": ("text/html", html.read),
    ".xhtml": ("application/xhtml+xml", html.read),
    ".markdown": ("text/markdown", markdown.read),
    ".md": ("text/markdown", markdown.read),
    ".pdf": ("application/pdf", pdf.read),
    ".jpeg": ("image/jpeg", image.read),
    ".jpg": ("image/jpeg", image.read),
    ".png": ("image/png", image.read),
    ".tif": ("image/tiff", image.read),
    ".tiff": ("image/tiff", image.read),
    ".webp": ("image/webp", image.read),
    ".docm": ("application/vnd.ms-word.document.macroEnabled.12", docx.read),
    ".docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx.read),
    ".ppsx": ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", pptx.read),
    ".pptm": ("application/vnd.ms-powerpoint.presentation.macroEnabled.12", pptx.read),
    ".pptx": ("application/vnd.openxmlformats-officedocument.presentationml.presentation", pptx.read),
    ".csv": ("text/csv", csv.read),
    ".tsv": ("text/tab-separated-values", csv.read),
    ".ods": ("application/vnd.oasis.opendocument.spreadsheet", sheets.read),
    ".xls": ("application/vnd.ms-excel", sheets.read),
    ".xlsb": ("application/vnd.ms-excel.sheet.binary.macroEnabled.12", sheets.read),
    ".xlsm": ("application/vnd.ms-excel.sheet.macroEnabled.12", sheets.read),
    ".xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", sheets.read),
    ".odp": ("application/vnd.oasis.opendocument.presentation", odf.read),
    ".odt": ("application/vnd.oasis.opendocument.text", odf.read),
    ".otp": ("application/vnd.oasis.opendocument.presentation-template", odf.read),
    ".ott": ("application/vnd.oasis.opendocument.text-template", odf.read),
    ".doc": ("application/msword", doc.read),
    ".dot": ("application/msword", doc.read),
    ".pps": ("application/vnd.ms-powerpoint", ppt.read),
    ".ppt": ("application/vnd.ms-powerpoint", ppt.read),
    ".rtf": ("application/rtf", rtf.read),
    ".epub": ("application/epub+zip", epub.read),
    ".eml": ("message/rfc822", eml.read),
    ".mbox": ("application/mbox", eml.read_mbox),
    ".mht": ("multipart/related", eml.read_mhtml),
    ".mhtml": ("multipart/related", eml.read_mhtml),
    ".msg": ("application/vnd.ms-outlook", msg.read),
    ".ipynb": ("application/x-ipynb+json", notebook.read),
    ".json": ("application/json", json.read),
    ".jsonl": ("application/jsonl", json.read_lines),
    ".ndjson": ("application/x-ndjson", json.read_lines),
    ".atom": ("application/atom+xml", xml.read),
    ".dita": ("application/dita+xml", xml.read),
    ".opml": ("text/x-opml", xml.read),
    ".rss": ("application/rss+xml", xml.read),
    ".xml": ("application/xml", xml.read),
    ".adoc": ("text/asciidoc", asciidoc.read),
    ".asciidoc": ("text/asciidoc", asciidoc.read),
    ".rest": ("text/x-rst", rst.read),
    ".rst": ("text/x-rst", rst.read),
    ".log": ("text/plain", text.read),
    ".text": ("text/plain", text.read),
    ".txt": ("text/plain", text.read),
    ".bash": ("text/x-shellscript", code.read),
    ".c": ("text/x-c", code.read),
    ".cc": ("text/x-c++", code.read),
    ".cfg": ("text/x-ini", code.read),
    ".cjs": ("text/javascript", code.read),
    ".cpp": ("text/x-c++", code.read),
    ".cs": ("text/x-csharp", code.read),
    ".css": ("text/css", text.read),
    ".cts": ("text/x-typescript", code.read),
    ".cxx": ("text/x-c++", code.read),
    ".dart": ("text/x-dart", code.read),
    ".go": ("text/x-go", code.read),
    ".h": ("text/x-c", code.read),
    ".hh": ("text/x-c++", code.read),
    ".hpp": ("text/x-c++", code.read),
    ".ini": ("text/x-ini", code.read),
    ".java": ("text/x-java", code.read),
    ".jl": ("text/x-julia", code.read),
    ".js": ("text/javascript", code.read),
    ".jsx": ("text/javascript", code.read),
    ".kt": ("text/x-kotlin", code.read),
    ".kts": ("text/x-kotlin", code.read),
    ".lua": ("text/x-lua", code.read),
    ".m": ("text/x-objectivec", code.read),
    ".mjs": ("text/javascript", code.read),
    ".mts": ("text/x-typescript", code.read),
    ".php": ("text/x-php", code.read),
    ".pl": ("text/x-perl", code.read),
    ".pm": ("text/x-perl", code.read),
    ".proto": ("text/x-protobuf", code.read),
    ".ps1": ("text/x-powershell", code.read),
    ".py": ("text/x-python", code.read),
    ".pyi": ("text/x-python", code.read),
    ".r": ("text/x-r", code.read),
    ".rb": ("text/x-ruby", code.read),
    ".rs": ("text/x-rust", code.read),
    ".scala": ("text/x-scala", code.read),
    ".sh": ("text/x-shellscript", code.read),
    ".sql": ("text/x-sql", code.read),
    ".swift": ("text/x-swift", code.read),
    ".tf": ("text/x-terraform", text.read),
    ".toml": ("application/toml", code.read),
    ".ts": ("text/x-typescript", code.read),
    ".tsx": ("text/x-typescript", code.read),
    ".vue": ("text/x-vue", text.read),
    ".yaml": ("application/yaml", text.read),
    ".yml": ("application/yaml", text.read),
}
"""File name suffix, in small letters -> media type and reader."""

_SUPPORTED = "text and code, web pages, PDF, office documents, tables, mails, books, notebooks, JSON and XML"

_MARKS = ((b"%PDF-", ".pdf"), (b"{\\rtf", ".rtf"))
"""How files begin that are often found under other names, such as Rich Text that was saved as .doc."""


def read(data: bytes, name: str) -> tuple[str, Extracted]:
    """
    Read a file's bytes with the reader that its name asks for; files of unknown suffix are read if they are text.

    Args:
        data: the whole file.
        name: its name; decides the reader, and is its title where the file has none.

    Returns:
        The media type and what was read; the text holds at least one character that is not white space.

    Raises:
        InputError: the file is empty, binary, damaged, encrypted or without text.
    """
    if not data:
        raise InputError(EMPTY)
    suffix = _suffix(data, name)
    if suffix in REASONS:
        raise InputError(REASONS[suffix])
    if suffix not in FORMATS and text.is_binary(data):
        raise InputError(_unsupported(suffix))
    media_type, reader = FORMATS.get(suffix, ("text/plain", text.read))
    try:
        extracted = reader(data, name)
    except RecursionError as error:
        raise InputError("is nested deeper than it can be read.") from error
    if not extracted.text.strip():
        raise InputError(NO_TEXT)
    return media_type, replace(extracted, title=extracted.title or name)


def _suffix(data: bytes, name: str) -> str:
    """Return the suffix that decides: the name's, unless that is no text's and the file begins like something else."""
    suffix = PurePath(name).suffix.lower()
    media_type, _ = FORMATS.get(suffix, ("", None))
    marks = () if media_type.startswith("text/") else _MARKS
    return next((other for mark, other in marks if data.startswith(mark)), suffix)


def _unsupported(suffix: str) -> str:
    """Say why a file is refused, and what would be read."""
    found = f"is not a supported format: {suffix}" if suffix else "is binary, not text, and its name has no suffix"
    return f"{found}; supported are {_SUPPORTED}."
