"""
Markdown: the text stays as it is written, so that every quote is found in the file; headings come from a real parser.

YAML front matter is taken off and becomes metadata.
"""

from __future__ import annotations

import datetime
import math
import re
from itertools import accumulate, pairwise

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.load.text import clean, decode, one_line
from rag.load.values import Extracted
from rag.types import Heading, MetadataValue

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCKS = MarkdownIt("commonmark")
_BLOCKS.core.ruler.enableOnly(["normalize", "block"])
_INLINE = MarkdownIt("commonmark")
_LARGEST_INTEGER = 2**63


def read(data: bytes, name: str) -> Extracted:
    """Read a Markdown file."""
    text, warnings = decode(data)
    metadata, text, complaints = _split_front_matter(text)
    headings = find_headings(text)
    title = metadata.get("title") or next((h.title for h in headings if h.level == 1), "")
    return Extracted(text, one_line(str(title)), headings, metadata=metadata, warnings=warnings + complaints)


def _split_front_matter(text: str) -> tuple[dict[str, MetadataValue], str, tuple[str, ...]]:
    """Return front matter's scalars, the text after it, and what is wrong with it."""
    match = _FRONT_MATTER.match(text)
    if not match:
        return {}, text, ()
    try:
        fields = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text, ("begins with front matter that is not valid YAML; it was kept as text.",)
    if not isinstance(fields, dict):
        return {}, text, ()
    metadata = {one_line(str(key)): scalar for key, value in fields.items() if (scalar := _scalar(value)) is not None}
    return metadata, text[match.end() :], ()


def _scalar(value: object) -> MetadataValue | None:
    """Return a front matter value as metadata; None for lists, mappings and what no filter could compare."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else str(value)
    return clean(value) if isinstance(value, str) else None


def find_headings(text: str) -> tuple[Heading, ...]:
    """Find the headings; the parser counts lines, so the offset is where the line begins."""
    starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    links: dict[str, object] = {}
    return tuple(
        Heading(starts[token.map[0]], int(token.tag[1]), title)
        for token, inline in pairwise(_BLOCKS.parse(text, links))
        if token.type == "heading_open" and token.map and (title := _plain(inline.content, links))
    )


def _plain(markup: str, links: dict[str, object]) -> str:
    """Take a heading's inline markup off."""
    tokens = _INLINE.parseInline(markup, links)[0].children or []
    return one_line("".join(map(_words, tokens)))


def _words(token: Token) -> str:
    """Return the visible words of one inline token."""
    if token.type in ("softbreak", "hardbreak"):
        return " "
    return token.content if token.type in ("text", "text_special", "code_inline", "image") else ""
