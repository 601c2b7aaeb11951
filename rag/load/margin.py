"""
The definitions of a source file by their looks: what a reader would mark at its left margin.

A pattern, not a grammar: it misses rather than invents. It serves languages without a grammar, and code that is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_DEFINITION = re.compile(
    r"""
    ^(?:(?:export|default|public|private|protected|internal|pub(?:\([a-z]+\))?|static|final|abstract|sealed|async
        |unsafe|extern|inline|data|declare|partial|open)[ \t]+)*
    (?P<title>
        (?:class|def|fn|func|fun|function|struct|enum|union|interface|trait|impl|module|namespace|object|record|type
            |sub|package|message|service)
        (?:[ \t]+\([^)\n]*\))?                      # the receiver of a Go method
        (?:[ \t]*<[^>\n]*>)?                        # the parameters of a Rust impl
        [ \t]+[A-Za-z_$][\w$.:]*
    )
    [ \t]*(?=[(\[{<:=;]|$|(?:extends|implements|for|struct|interface|where)\b)
    """,
    re.MULTILINE | re.VERBOSE,
)
_SECTION = re.compile(r"^\[+(?P<title>[^\[\]\n]+)\]+[ \t]*$", re.MULTILINE)
_SQL = re.compile(
    r"""
    ^create[ \t]+(?:or[ \t]+replace[ \t]+|(?:global|local|temp|temporary|unique|external)[ \t]+)*
    (?P<title>(?:materialized[ \t]+)?[a-z]+[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?[\w."`\[\]]+)
    """,
    re.MULTILINE | re.VERBOSE | re.IGNORECASE,
)
_ASSIGNED_FUNCTION = re.compile(r"^(?P<title>[A-Za-z.][\w.]*)[ \t]*(?:<-|=)[ \t]*function\b", re.MULTILINE)
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    ".cfg": _SECTION,
    ".ini": _SECTION,
    ".r": _ASSIGNED_FUNCTION,
    ".sql": _SQL,
    ".toml": _SECTION,
}


def marked_definitions(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """
    Yield where the line of each definition begins, and its title.

    Args:
        text: the file's text.
        suffix: of the file's name, in small letters.
    """
    for match in _PATTERNS.get(suffix, _DEFINITION).finditer(text):
        yield match.start(), match["title"]
