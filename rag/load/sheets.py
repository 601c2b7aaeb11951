"""
Spreadsheets of Excel (old, new and binary) and OpenDocument: each sheet under its name, with values as people see them.

Formulas are the results that were stored with them. Hidden sheets are read too: what is in a file may be asked for.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field, replace
from io import BytesIO

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetVisibleEnum,
    WorksheetNotFound,
)

from models.base import InputError
from rag.load import csv, html
from rag.load.archive import open_zip
from rag.load.blocks import Blocks
from rag.load.grid import write_grid
from rag.load.odf_package import CONTENT, OdfPackage
from rag.load.opc import OLE, check_encryption
from rag.load.text import is_binary
from rag.load.values import Extracted
from rag.load.workbook import CellNotes, Workbook

Value = str | int | float | datetime.date | datetime.time | datetime.timedelta

_ZIP = b"PK"
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|table|meta|div)", re.IGNORECASE)
_SHEET_LEVEL = 2
"""Sheets are sections of the workbook; their names are no title for it."""
_DIGITS = ".15g"
"""Excel keeps no more digits of a number than these."""


def read(data: bytes, name: str) -> Extracted:
    """
    Read a spreadsheet; also a web page or separated values under its name, which is how many programs export them.

    Raises:
        InputError: it is encrypted, damaged, or something else under this name.
    """
    check_encryption(data)
    if data.startswith(OLE):
        return _read_sheets(data, None)
    if data.startswith(_ZIP):
        return _read_sheets(data, OdfPackage(data) if CONTENT in open_zip(data).namelist() else Workbook(data))
    if is_binary(data):
        raise InputError("is damaged, or no spreadsheet at all.")
    extracted = html.read(data, name) if _HTML.match(data) else csv.read(data, name)
    warning = "is text under a spreadsheet's name; it was read as such."
    return replace(extracted, warnings=(warning, *extracted.warnings))


def _read_sheets(data: bytes, package: OdfPackage | Workbook | None) -> Extracted:
    blocks = Blocks()
    workbook = package if isinstance(package, Workbook) else None
    notices = _Notices()
    try:
        with CalamineWorkbook.from_filelike(BytesIO(data)) as book:
            for sheet in book.sheets_metadata:
                blocks.section(sheet.name, _SHEET_LEVEL)
                notes = workbook.cells(sheet.name) if workbook else CellNotes()
                notices.uncomputed += notes.uncomputed
                if sheet.visible != SheetVisibleEnum.Visible:
                    notices.hidden.append(sheet.name)
                try:
                    write_grid(_rows(book.get_sheet_by_name(sheet.name), notes), blocks)
                except WorksheetNotFound:
                    notices.missing.append(sheet.name)
                if workbook:
                    workbook.write_attachments(sheet.name, blocks)
    except PasswordError as error:
        raise InputError("is encrypted; save it without a password.") from error
    except CalamineError as error:
        raise InputError(f"is damaged, or no spreadsheet at all ({error}).") from error
    title, metadata = package.properties() if package else ("", {})
    return blocks.extracted(title, metadata, notices.warnings())


@dataclass(slots=True)
class _Notices:
    """What is to be said of a workbook's sheets."""

    hidden: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    uncomputed: int = 0

    def warnings(self) -> tuple[str, ...]:
        """Return the sentences."""
        sentences = {
            f"has hidden sheets, which were read too: {', '.join(self.hidden)}.": self.hidden,
            f"names sheets that are not in it: {', '.join(self.missing)}.": self.missing,
            f"has {self.uncomputed:,} formulas without a result; save it in a spreadsheet program.": self.uncomputed,
        }
        return tuple(sentence for sentence, cause in sentences.items() if cause)


def _rows(sheet: CalamineSheet, notes: CellNotes) -> list[list[str]]:
    """Return a sheet's cells; one that reaches over several rows is repeated, so that each row says everything."""
    if sheet.start is None:
        return []
    top, left = sheet.start
    rows = [
        [_shown(value, (top + down, left + right) in notes.percentages) for right, value in enumerate(row)]
        for down, row in enumerate(sheet.to_python())
    ]
    for (first, column), (last, _) in sheet.merged_cell_ranges or ():
        if first >= top and left <= column < left + sheet.width:
            for row in rows[first - top + 1 : last - top + 1]:
                row[column - left] = rows[first - top][column - left]
    return rows


def _shown(value: Value, percentage: bool) -> str:
    """Write a value as people see it; dates and times in ISO's way, whatever the cell's own format."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{100 * value:{_DIGITS}}%" if percentage else f"{value:{_DIGITS}}"
    if isinstance(value, datetime.timedelta):
        return _shown_duration(value)
    if isinstance(value, datetime.datetime):
        rounded = (value + datetime.timedelta(milliseconds=500)).replace(microsecond=0)
        return rounded.isoformat(" ").removesuffix(" 00:00:00")
    return value.isoformat()


def _shown_duration(value: datetime.timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
