"""
Rich Text Format (version 1.9.1 of Microsoft's specification): paragraphs, headings by style, lists and tables.

A file is groups in braces, control words such as ``pard`` behind a backslash, and text. What a control word sets holds
to the end of its group. Headers and footers are written once, where they
begin; notes and comments stand in brackets where they refer to.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace

from models.base import InputError
from rag.load.blocks import Blocks, superscript
from rag.load.properties import is_filled_in
from rag.load.rtf_table import RtfTable
from rag.load.text import one_line
from rag.load.values import Extracted
from rag.types import MetadataValue

_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,9})?[ ]?|\\'(?P<byte>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])"
    rb"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n\x00]+)",
    re.DOTALL,
)
_CHARACTERS = {
    **{"tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"},
    **{"ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " "},
}
_SIGNS = {"~": " ", "_": "-", "\\": "\\", "{": "{", "}": "}"}
_ENDS = {"par", "sect", "page", "column"}
_UNREAD = {
    *("bkmkend", "bkmkstart", "colortbl", "filetbl", "fldinst", "ftnsep", "ftnsepc", "generator", "listtable"),
    *("nonshppict", "objdata", "pict", "private", "revtbl", "shprslt", "sp", "tc", "template", "themedata", "xe"),
}
"""Groups that hold no text of the document, where no star says so."""
_READ = {"annotation", "shpinst", "listtext", "pntext"}
"""Groups that hold text, though a star says that they may be skipped."""
_DESTINATIONS = {"fonttbl", "stylesheet", "info"}
_TABLE_WORDS = {"trowd", "cellx", "clvmrg", "row"}
_ASIDES = {"annotation", "footnote"}
_MARGINS = {f"{margin}{pages}" for margin in ("header", "footer") for pages in ("", "f", "l", "r")}
_MARKERS = {"listtext", "pntext"}
_INFO = ("title", "author", "subject", "keywords")
_CODECS = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253", 162: "cp1254"},
    **{163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250"},
}
"""A font's character set -> how its bytes are encoded, where that is not the document's encoding."""
_HEADING = re.compile(r"heading ([1-9])|title(?=;)", re.IGNORECASE)
_NUMBER = re.compile(r"\(?\w+[.):].*|\d+")
_BODY_LEVEL = 9
"""The outline level of what is no heading; the others count from 0."""


@dataclass(frozen=True, slots=True)
class _State:
    """What holds in a group: where its text belongs, how it is encoded, and what its paragraphs are."""

    destination: str = ""
    codec: str = ""
    fallback: int = 1  # how many characters follow a Unicode character for programs that do not know it
    hidden: bool = False
    raised: bool = False
    level: int = 0
    depth: int = 0
    in_table: bool = False
    closing: str = ""  # what is added at the group's end


def read(data: bytes, name: str) -> Extracted:
    """
    Read a Rich Text file.

    Raises:
        InputError: it is none.
    """
    if not data.startswith(b"{\\rtf"):
        raise InputError(r"is damaged, or no Rich Text: it does not begin with '{\rtf'.")
    reader = _Reader()
    complete = reader.read(data)
    blocks, info = reader.blocks, reader.info
    metadata: dict[str, MetadataValue] = {key: info[key] for key in _INFO[1:] if key in info}
    warnings = () if complete else ("ends in the middle, so what follows may be missing.",)
    return blocks.extracted(info.get("title", ""), metadata, warnings)


class _Reader:
    """Takes the tokens one after another."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.info: dict[str, str] = {}
        self._state = _State()
        self._stack: list[_State] = []
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._styles: dict[int, int] = {}
        self._style = 0
        self._bytes = bytearray()  # text that is not decoded yet: a character may have several bytes
        self._texts: dict[str, list[str]] = {}  # destination -> its text since the last end
        self._to_skip = 0
        self._starred = False
        self._margins: set[str] = set()
        self._table = RtfTable()

    def read(self, data: bytes) -> bool:
        """Read a file; False if it ends too early."""
        position = 0
        while match := _TOKEN.search(data, position):
            position = match.end()
            if match["text"] or match["byte"]:
                self._add(match["text"] or bytes.fromhex(match["byte"].decode()))
                continue
            self._decode()
            if match["brace"] == b"{":
                self._stack.append(self._state)
                self._to_skip = 0
            elif match["brace"]:
                self._close()
                if not self._stack:
                    break
            elif match["sign"]:
                self._sign(match["sign"].decode("latin-1"))
            else:
                number = int(match["number"]) if match["number"] else None
                self._control(match["word"].decode(), number)
                position += max(0, number or 0) if match["word"] == b"bin" else 0
        self._decode()
        self._end_paragraph()
        self._end_table()
        return not self._stack

    def _add(self, encoded: bytes) -> None:
        if self._state.destination == "unread":
            return
        skipped = min(self._to_skip, len(encoded))
        self._to_skip -= skipped
        self._bytes += encoded[skipped:]

    def _decode(self) -> None:
        if self._bytes:
            self._write(self._bytes.decode(self._state.codec or self._codec, errors="replace"))
            self._bytes.clear()

    def _write(self, text: str) -> None:
        """Add text to where it belongs."""
        if not self._state.hidden:
            text = superscript(text) if self._state.raised else text
            self._texts.setdefault(self._state.destination, []).append(text)

    def _taken(self, destination: str) -> str:
        """Return the text that was collected for a destination, and begin anew."""
        text = "".join(self._texts.pop(destination, ()))
        return text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")  # pairs of surrogates join

    def _close(self) -> None:
        """End a group."""
        inner, self._state = self._state, self._stack.pop()
        self._to_skip, self._starred = 0, False
        if inner.destination in _INFO and self._state.destination != inner.destination:
            words = one_line(self._taken(inner.destination))
            if not is_filled_in(words):
                self.info.setdefault(inner.destination, words)
        if inner.destination == "margin" != self._state.destination:
            self._end_margin()
        if inner.destination == "stylesheet":
            self._end_definition()
        if inner.closing != self._state.closing:
            self._write(inner.closing)

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._starred = True
        elif sign in "\r\n":
            self._end_paragraph()
        elif sign in _SIGNS:
            self._write(_SIGNS[sign])

    def _control(self, word: str, number: int | None) -> None:
        """Do what a control word says."""
        starred, self._starred, self._to_skip = self._starred, False, 0
        if (starred and word not in _READ) or word in _UNREAD:
            self._set(destination="unread")
        elif self._state.destination == "unread":
            return
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        elif word == "u" and number is not None:
            self._write(chr(number % 0x10000))
            self._to_skip = self._state.fallback
        elif self._state.destination in ("fonttbl", "stylesheet"):
            self._define(word, number or 0)
        elif word in _ENDS:
            self._end_paragraph()
        elif word == "cell":
            self._table.add(self._taken("marker") + self._taken(""))
        elif word == "nestcell":
            self._write(" ")
        elif word in _TABLE_WORDS:
            self._table.control(word, number or 0)
        else:
            self._set_state(word, number)

    def _set(self, **fields: object) -> None:
        self._state = replace(self._state, **fields)  # type: ignore[arg-type]

    def _set_state(self, word: str, number: int | None) -> None:
        """Do what a control word says that has an effect on what follows."""
        on = number != 0
        if word in _DESTINATIONS or (self._state.destination == "info" and word in _INFO):
            self._set(destination=word)
        elif word in _MARKERS:
            self._set(destination="marker")
        elif word in _MARGINS:
            self._set(destination="margin")
        elif word in _ASIDES:
            self._write(" [")
            self._set(closing="]")
        elif word == "shptxt":
            self._end_paragraph()
        elif word == "pard":
            self._set(level=0, depth=0, in_table=False)
        elif word == "plain":
            self._set(hidden=False, raised=False, codec="")
        elif word in ("s", "outlinelevel"):
            level = self._styles.get(number or 0, 0) if word == "s" else _level(number or 0)
            self._set(level=level)
        elif word == "ilvl":
            self._set(depth=number or 0)
        elif word == "intbl":
            self._set(in_table=True)
        elif word in ("v", "deleted"):
            self._set(hidden=on)
        elif word in ("super", "nosupersub"):
            self._set(raised=word == "super" and on)
        elif word == "uc":
            self._set(fallback=max(0, number or 0))
        elif word == "f":
            self._set(codec=self._fonts.get(number or 0, ""))
        elif word == "ansicpg":
            self._codec = _known(f"cp{number}")

    def _define(self, word: str, number: int) -> None:
        if word == "f":
            self._font = number
        elif word == "fcharset" and number in _CODECS:
            self._fonts[self._font] = _CODECS[number]
        elif word == "s":
            self._style = number
        elif word == "outlinelevel":
            self._styles[self._style] = _level(number)

    def _end_definition(self) -> None:
        """Take a style for a heading's if its name says so."""
        heading = _HEADING.match(self._taken("stylesheet").strip())
        if heading:
            self._styles.setdefault(self._style, int(heading[1] or 1))
        self._style = 0

    def _end_margin(self) -> None:
        """Write a header or footer, unless another section had the same."""
        if (text := self._taken("margin").strip()) not in self._margins:
            self._margins.add(text)
            self.blocks.paragraph(text)

    def _end_paragraph(self) -> None:
        if self._state.destination == "margin" or (self._state.in_table and not self._state.destination):
            self._write("\n")
        elif not self._state.destination:
            self._write_paragraph(self._taken("marker").strip(), self._taken(""))

    def _write_paragraph(self, marker: str, text: str) -> None:
        if text.strip():
            self._end_table()
        if self._state.level:
            self.blocks.heading(f"{marker} {text}", self._state.level)
        elif marker:
            self.blocks.item(text, self._state.depth, marker if _NUMBER.fullmatch(marker) else "-")
        else:
            self.blocks.paragraph(text)

    def _end_table(self) -> None:
        self.blocks.table(self._table.taken())


def _level(outline: int) -> int:
    """Return the level of a heading for an outline level."""
    return outline + 1 if outline < _BODY_LEVEL else 0


def _known(codec: str) -> str:
    """Return a codec's name if there is one."""
    try:
        return codecs.lookup(codec).name
    except LookupError:
        return "cp1252"
