"""
PDF: the text layer page by page, headings from the outline, through PDFium.

Only what the file stores as text is read; there is no character recognition, so scanned pages are named, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from statistics import median

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from models.base import InputError
from rag.load.text import clean, one_line
from rag.load.values import Extracted
from rag.types import Heading, MetadataValue

_PAGE_BREAK = "\n\n"
_LINE_END_HYPHEN = re.compile(r"(\w?)[\x02\ufffe](?:\r?\n)?(\w?)")
"""PDFium's mark for a hyphen at the end of a line; the lines around it are joined already."""
_SOFT_HYPHEN = re.compile(r"\xad(?:\r?\n)?")
_TRAILING_SPACE = re.compile(r"[ \t]+(?=\n)")
_FILLED_IN = re.compile(
    r"(untitled|\(?(anonymous|unspecified|unknown)\)?|title|document\d*|powerpoint presentation"
    r"|microsoft (word|excel|powerpoint).*"
    r"|.*\.(docx?|od[tps]|pptx?|xlsx?|rtf|tex|dvi|indd|qxd|pub|pdf|png|jpe?g|tiff?|html?))?",
    re.IGNORECASE,
)
"""What programs fill in by themselves, and nothing."""
_DATE = re.compile(r"D:(\d{4})(\d\d)(\d\d)")
_FIELDS = {"Author": "author", "Subject": "subject", "Keywords": "keywords"}
_TITLE_CHARACTERS = 3000
_TITLE_SCALE = 1.2
_TITLE_LETTERS = 4
_SAME_SIZE_POINTS = 0.6
_LOWEST_LEVEL = 6


def read(data: bytes, name: str) -> Extracted:
    """
    Read a PDF file.

    Raises:
        InputError: it is damaged, needs a password, or no page holds text.
    """
    with _open(data) as document:
        pages = [_page_text(document, index) for index in range(len(document))]
        empty = pages.count("")
        if empty == len(pages):
            raise InputError(f"has no text layer: {empty} scanned page{'s' * (empty > 1)}; OCR is needed.")
        starts = list(accumulate((len(page) + len(_PAGE_BREAK) for page in pages[:-1]), initial=0))
        text = _PAGE_BREAK.join(pages)
        return Extracted(
            text,
            _title(document),
            tuple(sorted(_headings(document, text, starts), key=lambda heading: heading.start)),
            tuple(starts),
            _metadata(document),
            (f"has no text on {empty} of its {len(pages)} pages; they may be scanned.",) if empty else (),
        )


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise InputError("needs a password; save it without one.") from error
        raise InputError(f"is damaged, or no PDF file at all ({error}).") from error


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    """Return a page's text; empty also where a single page is damaged."""
    try:
        with closing(document[index]) as page, closing(page.get_textpage()) as text_page:
            raw = text_page.get_text_bounded()
    except pdfium.PdfiumError:
        return ""
    joined = _SOFT_HYPHEN.sub("", _LINE_END_HYPHEN.sub(_join, raw))
    return _TRAILING_SPACE.sub("", clean(joined)).strip()


def _join(match: re.Match[str]) -> str:
    """Undo the division of a word; between anything else ("IO-470") the hyphen belongs to the text."""
    before, after = match.groups()
    return before + after if before.isalpha() and after.islower() else f"{before}-{after}"


def _title(document: pdfium.PdfDocument) -> str:
    """Return the title that the file gives itself, else what stands in large letters on its first page."""
    title = _field(document, "Title")
    if not _FILLED_IN.fullmatch(title):
        return title
    try:
        with closing(document[0]) as page, closing(page.get_textpage()) as text_page:
            lines = [(size, text) for size, text in _same_size_runs(text_page) if _letters(text) >= _TITLE_LETTERS]
    except pdfium.PdfiumError:
        return ""
    if not lines:
        return ""
    size, text = max(lines, key=lambda line: line[0])
    usual = median(size for size, text in lines for _ in text)
    return one_line(text) if size >= _TITLE_SCALE * usual else ""


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _same_size_runs(text_page: pdfium.PdfTextPage) -> Iterator[tuple[float, str]]:
    """Cut the beginning of a page into runs of one font size, in points."""
    size, run = 0.0, ""
    for index in range(min(text_page.count_chars(), _TITLE_CHARACTERS)):
        character = chr(pdfium_c.FPDFText_GetUnicode(text_page, index))
        if character.isspace():
            run += character
            continue
        _, bottom, _, top = text_page.get_charbox(index, loose=True)
        if abs(top - bottom - size) > _SAME_SIZE_POINTS:
            yield size, run
            size, run = top - bottom, ""
        run += character
    yield size, run


def _headings(document: pdfium.PdfDocument, text: str, page_starts: Sequence[int]) -> Iterator[Heading]:
    """Find the outline's titles on the pages they point to; one that is not there marks the page's beginning."""
    ends = [*page_starts[1:], len(text)]
    for bookmark in document.get_toc():
        title = _valid(bookmark.get_title)
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        if not title or page is None or page >= len(page_starts):
            continue
        pattern = re.compile(r"\s+".join(map(re.escape, title.split())), re.IGNORECASE)
        match = pattern.search(text, page_starts[page], ends[page])
        start = text.rfind("\n", page_starts[page], match.start()) + 1 if match else page_starts[page]
        yield Heading(max(start, page_starts[page]), min(bookmark.level + 1, _LOWEST_LEVEL), title)


def _field(document: pdfium.PdfDocument, key: str) -> str:
    return _valid(lambda: document.get_metadata_value(key))


def _valid(read_string: Callable[[], str]) -> str:
    """Return one of the file's own strings; empty where its bytes are no text, which is no reason to refuse it."""
    try:
        return one_line(read_string())
    except UnicodeDecodeError:
        return ""


def _metadata(document: pdfium.PdfDocument) -> dict[str, MetadataValue]:
    """Return what the file says of itself."""
    fields: dict[str, MetadataValue] = {}
    for key, name in _FIELDS.items():
        value = _field(document, key)
        if not _FILLED_IN.fullmatch(value):
            fields[name] = value
    if created := _DATE.match(_field(document, "CreationDate")):
        fields["created"] = "-".join(created.groups())
    return fields
