"""
Source code: the text stays as it is written; definitions at the left margin are its headings.

A pattern, not a grammar per language: it finds where a reader would put a bookmark, and misses rather than invents.
"""

from __future__ import annotations

import re

from rag.load.text import decode, one_line
from rag.load.values import Extracted
from rag.types import Heading

_DEFINITION = re.compile(
    r"""
    ^(?:(?:export|default|public|private|protected|internal|pub(?:\([a-z]+\))?|static|final|abstract|sealed|async
        |unsafe|extern|inline|data|declare|partial|open)[ \t]+)*
    (?P<title>
        (?:class|def|fn|func|fun|function|struct|enum|union|interface|trait|impl|module|namespace|object|record|type
            |sub|package)
        (?:[ \t]+\([^)\n]*\))?                      # the receiver of a Go method
        (?:[ \t]*<[^>\n]*>)?                        # the parameters of a Rust impl
        [ \t]+[A-Za-z_$][\w$.:]*
    )
    [ \t]*(?=[(\[{<:=;]|$|(?:extends|implements|for|struct|interface|where)\b)
    """,
    re.MULTILINE | re.VERBOSE,
)


def read(data: bytes, name: str) -> Extracted:
    """Read a file of source code."""
    text, warnings = decode(data)
    headings = tuple(Heading(match.start(), 1, one_line(match["title"])) for match in _DEFINITION.finditer(text))
    return Extracted(text, headings=headings, warnings=warnings)
