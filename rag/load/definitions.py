"""
The definitions of a source file, found in its syntax tree by tree-sitter, whose parsers also get through broken code.

A grammar is imported when the first file of its language comes. The tree is walked here, and the query asked about
single nodes only, because a query over a whole tree takes quadratic time in the children of a node: a minute for a
list of 100,000 numbers.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import NamedTuple

from tree_sitter import Language, Node, Parser, Query, QueryCursor

from rag.load.grammars import Grammar
from rag.load.text import one_line
from rag.types import Heading

_LEADING = {
    *("comment", "line_comment", "block_comment", "multiline_comment"),
    *("decorator", "attribute_item", "template_parameter_list"),
}
"""Nodes that stand above the definition to which they belong."""
_PARTS = {"name", "owner", "implemented"}
_FUNCTIONS = {"def", "fn", "fun", "func", "function", "macro"}
"""What is defined inside of these is left out."""
_NAMESPACES = {"mod", "namespace"}
"""What is defined inside of these is called without their name."""
_SECONDS = 2.0
"""Of the processor. A megabyte takes 0.2; what takes so long is not the language that it pretends to be."""
_READ_BYTES = 1 << 16
_NODES_BETWEEN_LOOKS = 10_000
_LONGEST_BEGINNING = 200
_LOWEST_LEVEL = 6
_PATTERN = re.compile(r"^\((\w+)", re.MULTILINE)
_NOTHING_ENDED = re.compile(rb"[^;{}]*")
_WORDS = re.compile(rb"[\w\s]*")
_REST_OF_LINE = re.compile(rb"[ \t]*(?:\n|\Z)")
_TYPE_PARAMETERS = re.compile(r"(?<=.)<.*", re.DOTALL)


class _Definition(NamedTuple):
    """
    A definition in the syntax tree.

    Attributes:
        start: its first byte.
        end: the byte behind its last one.
        row: its first line, counted from 0.
        named: the line of its name.
        keyword: what kind of definition it is.
        words: what stands behind the keyword in its title.
        called: what its members call it.
        visible: whether it begins on a line of its own.
    """

    start: int
    end: int
    row: int
    named: int
    keyword: str
    words: str
    called: str
    visible: bool


def find_definitions(text: str, grammar: Grammar, marked: Iterable[tuple[int, str]]) -> tuple[Heading, ...]:
    """
    Return a heading for each definition, which begins with its comments and decorators.

    Classes are at level 1 and their members below them, under qualified names. What is defined inside of a function or
    behind other code on the same line is left out.

    Args:
        text: the file's text.
        grammar: its language.
        marked: offsets and titles of definitions by their looks, taken where the code is broken.

    Raises:
        TimeoutError: the parser does not get through in a few seconds.
    """
    data = text.encode()
    latest = time.process_time() + _SECONDS
    root = _parse(data, grammar, latest)
    definitions: list[_Definition] = []
    above: dict[int, int] = {}  # the last line of what leads to a definition -> its first line
    for found in _walk(root, data, grammar, latest):
        if isinstance(found, _Definition):
            definitions.append(found)
        elif (last := _last_row(found, data)) is not None:
            above[last] = found.start_point.row
    titled = list(_titled(definitions, grammar.separator))
    offsets = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    if root.has_error:
        known = {definition.named for definition in definitions}
        rows = ((bisect_right(offsets, at) - 1, title) for at, title in marked)
        titled += ((row, 1, title) for row, title in rows if row not in known)
    headings: dict[int, Heading] = {}
    for row, level, title in titled:
        while row - 1 in above:
            row = above[row - 1]
        headings.setdefault(offsets[row], Heading(offsets[row], level, one_line(title)))
    return tuple(headings[start] for start in sorted(headings))


@cache
def _compiled(grammar: Grammar) -> tuple[Language, Query]:
    language = Language(getattr(import_module(grammar.module), grammar.function)())
    return language, Query(language, grammar.query)


def _parse(data: bytes, grammar: Grammar, latest: float) -> Node:
    parser = Parser(_compiled(grammar)[0])
    try:
        tree = parser.parse(
            lambda at, _: data[at : at + _READ_BYTES], progress_callback=lambda *_: time.process_time() > latest
        )
    except ValueError as error:
        if time.process_time() <= latest:
            raise
        raise TimeoutError(f"{len(data):,} bytes were not parsed with {grammar.module} in {_SECONDS:g} s") from error
    return tree.root_node


def _walk(root: Node, data: bytes, grammar: Grammar, latest: float) -> Iterator[_Definition | Node]:
    """Yield the definitions and what may lead to them, in the order of the text, the outer before the inner ones."""
    matcher = QueryCursor(_compiled(grammar)[1])
    matcher.set_max_start_depth(0)
    defining = set(_PATTERN.findall(grammar.query))
    cursor = root.walk()
    seen = 0
    while node := cursor.node:
        seen += 1
        if seen % _NODES_BETWEEN_LOOKS == 0 and time.process_time() > latest:
            raise TimeoutError(f"{len(data):,} bytes were not searched for definitions in {_SECONDS:g} s")
        definition: _Definition | None = None
        if node.type in _LEADING:
            yield node
        elif node.type in defining and (matches := matcher.matches(node)):
            definition = _definition(max((captures for _, captures in matches), key=len), data, grammar.separator)
            yield definition
        if (definition and definition.keyword in _FUNCTIONS) or not cursor.goto_first_child():
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return


def _definition(captures: Mapping[str, Sequence[Node]], data: bytes, separator: str) -> _Definition:
    """Read off what a match of the query captured."""
    parts = {part: _text(captures[part][0], data) for part in _PARTS & captures.keys()}
    (keyword,) = captures.keys() - _PARTS
    node, name = captures[keyword][0], parts["name"]
    words = name
    if "owner" in parts:
        words = parts["owner"] + separator + name
    if "implemented" in parts:
        words = f"{parts['implemented']} for {name}"
    rows = (node.start_point.row, captures["name"][0].start_point.row)
    called = _TYPE_PARAMETERS.sub("", name)
    return _Definition(*node.byte_range, *rows, keyword, words, called, _begins_line(node, data, _NOTHING_ENDED))


def _titled(definitions: Iterable[_Definition], separator: str) -> Iterator[tuple[int, int, str]]:
    """Yield the line, the level and the title of each definition that is shown."""
    around: list[_Definition] = []
    for definition in definitions:
        while around and around[-1].end <= definition.start:
            around.pop()
        owners = [outer.called for outer in around if outer.keyword not in _NAMESPACES]
        title = separator.join([*owners, definition.words])
        if not owners or definition.keyword not in _FUNCTIONS:
            title = f"{definition.keyword} {title}"
        around.append(definition)
        if definition.visible:
            yield definition.row, min(len(around), _LOWEST_LEVEL), title


def _last_row(node: Node, data: bytes) -> int | None:
    """Return the line on which something ends that leads to what is below; None if it shares its lines with more."""
    row, column = node.end_point
    if _begins_line(node, data, _WORDS) and (column == 0 or _REST_OF_LINE.match(data, node.end_byte)):
        return row - (column == 0)
    return None


def _begins_line(node: Node, data: bytes, before: re.Pattern[bytes]) -> bool:
    """Tell whether nothing but what ``before`` matches stands before a node on its line."""
    column = node.start_point.column
    return column <= _LONGEST_BEGINNING and bool(before.fullmatch(data, node.start_byte - column, node.start_byte))


def _text(node: Node, data: bytes) -> str:
    return data[node.start_byte : node.end_byte].decode()
