"""Pictures of text, such as scans and screenshots, by text recognition; a TIFF file may hold several pages."""

from __future__ import annotations

import time

from models.base import InputError
from rag.load import ocr
from rag.load.deadline import deadline
from rag.load.pdf_lines import lines
from rag.load.pdf_page import Page
from rag.load.pdf_text import PdfText
from rag.load.values import Extracted


def read(data: bytes, name: str) -> Extracted:
    """
    Read a picture.

    Raises:
        InputError: text recognition is not installed, cannot read the file or has no time for it, or what it makes out
            is not to be trusted.
    """
    if not ocr.is_installed():
        raise InputError(f"is a picture; to read its text, {ocr.INSTALL}.")
    try:
        pictures = ocr.recognise(data, None, deadline() - time.monotonic())
    except TimeoutError as error:
        raise InputError("takes text recognition longer than there is time for one file.") from error
    clear = [picture for picture in pictures if picture.confidence >= ocr.SURE]
    if not clear and any(picture.lines for picture in pictures):
        raise InputError("shows something like text that could not be made out; its language may not be installed.")
    text = PdfText([Page([part for line in one.lines for part in lines(line, [])], bottom=one.height) for one in clear])
    return Extracted(
        str(text), page_starts=tuple(text.page_starts), warnings=("was read by text recognition; words may be wrong.",)
    )
