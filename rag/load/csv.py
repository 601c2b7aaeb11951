"""CSV and its relatives: the separator is the one that cuts most rows alike, and the first row is the header."""

from __future__ import annotations

import csv
from collections import Counter
from io import StringIO
from itertools import islice
from typing import Literal

from rag.load.blocks import Blocks
from rag.load.grid import write_grid
from rag.load.text import decode
from rag.load.values import Extracted

_SEPARATORS = "\t;|,"
"""Of two that cut equally well the first is meant: a comma may be a decimal one."""
_DECLARED = "sep="
_TRIED_ROWS = 100


def read(data: bytes, name: str) -> Extracted:
    """Read a table of separated values."""
    text, warnings = decode(data)
    first, _, rest = text.partition("\n")
    if first.startswith(_DECLARED) and len(first) == len(_DECLARED) + 1:  # a line that Excel writes and understands
        separator, text = first[-1], rest
    else:
        separator = _find_separator(text)
    rows = _rows(text, separator)
    if text.count('"') % 2 and rows and "\n" in rows[-1][-1]:
        rows = _rows(text, separator, quoted=False)
        warnings += ("has a quotation mark that is never closed; all of them were taken for text.",)
    blocks = Blocks()
    write_grid(rows, blocks)
    return blocks.extracted(warnings=warnings)


def _rows(text: str, separator: str, *, quoted: bool = True, most: int | None = None) -> list[list[str]]:
    """Return the rows that are not empty, at most so many."""
    csv.field_size_limit(max(1, len(text)))
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, quoting=quoting)
    return list(islice((row for row in reader if any(map(str.strip, row))), most))


def _find_separator(text: str) -> str:
    """Return the separator that cuts most rows into the same number of cells, two at least."""
    best, most_alike = _SEPARATORS[-1], 0
    for separator in _SEPARATORS:
        widths = Counter(map(len, _rows(text, separator, most=_TRIED_ROWS)))
        width, alike = widths.most_common(1)[0] if widths else (0, 0)
        if width > 1 and alike > most_alike:
            best, most_alike = separator, alike
    return best
