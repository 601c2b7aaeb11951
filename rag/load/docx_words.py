"""The words of one Word paragraph, as they read with all changes accepted, and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterator

from rag.load.blocks import superscript
from rag.load.docx_styles import W, value
from rag.load.equations import linear
from rag.load.xml_tree import Element

_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_LEFT_OUT = {f"{W}{name}" for name in ("del", "delText", "moveFrom", "pPr", "rPr", "rt", "sdtPr")}
"""What was deleted or moved away, properties, and how East Asian characters are pronounced."""
_SIGNS = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_FRAMES = {f"{W}{name}" for name in ("drawing", "pict", "object")}
_NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
_PAGE_NUMBERS = (["PAGE"], ["NUMPAGES"], ["SECTIONPAGES"])
_OFF = {"0", "false", "off"}
_PRIVATE_USE = range(0xE000, 0xF900)
_SYMBOLS = {0x52: "☑", 0x6F: "☐", 0xA8: "☐", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0xE0: "→", 0xD8: "➢"}
"""Signs of Wingdings that say something: boxes that are ticked or not, and arrows."""


class Words:
    """
    Collects a paragraph.

    Args:
        paragraph: the ``w:p`` element.
        marks: the marks of the document's notes, one shared mapping from kind and identifier; new notes are added.

    Attributes:
        notes: kinds and identifiers of the notes that the paragraph refers to.
        comments: identifiers of its comments.
        frames: its drawings, with their text boxes, charts and pictures.
    """

    def __init__(self, paragraph: Element, marks: dict[tuple[str, str], str]) -> None:
        self._marks = marks
        self._parts: list[str] = []
        self._fields: list[str] = []  # instructions of the fields that are open
        self.notes: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.frames: list[Element] = []
        self._walk(paragraph)

    @property
    def text(self) -> str:
        """The words."""
        return "".join(self._parts)

    def _walk(self, element: Element) -> None:
        for child in shown_children(element):
            tag = child.tag
            if tag == f"{W}r":
                self._run(child)
            elif tag == _MATH:
                self._equation(child)
            elif tag == f"{W}fldSimple":
                self._fields.append(child.get(f"{W}instr", ""))
                self._walk(child)
                self._fields.pop()
            elif not _is_placeholder(child):
                self._walk(child)

    def _equation(self, element: Element) -> None:
        """Add an equation; those that stand side by side are several, each on its line."""
        before = element.getprevious()
        self._parts.append(f"\n{linear(element)}" if before is not None and before.tag == _MATH else linear(element))

    def _run(self, run: Element) -> None:
        properties = run.find(f"{W}rPr")
        hidden = None if properties is None else properties.find(f"{W}vanish")
        if hidden is not None and hidden.get(f"{W}val", "") not in _OFF:
            return
        before = len(self._parts)
        for child in shown_children(run):
            self._sign(child)
        if value(properties, "vertAlign") == "superscript":
            self._parts[before:] = [superscript("".join(self._parts[before:]))]

    def _sign(self, element: Element) -> None:
        """Add one child of a run."""
        tag = element.tag
        if tag == f"{W}fldChar":
            self._field(element.get(f"{W}fldCharType", ""))
        elif tag == f"{W}instrText":
            if self._fields:
                self._fields[-1] += element.text or ""
        elif tag == f"{W}t":
            if not any(map(_is_page_number, self._fields)):
                self._parts.append(element.text or "")
        elif tag == f"{W}br":
            self._parts.append("\n")
        elif tag == f"{W}sym":
            self._parts.append(_symbol(element.get(f"{W}char", "")))
        elif tag in _FRAMES:
            self.frames.append(element)
        elif tag in _NOTES:
            note = (_NOTES[tag], element.get(f"{W}id", ""))
            self.notes.append(note)
            self._parts.append(self._marks.setdefault(note, f"[^{len(self._marks) + 1}]"))
        elif tag == f"{W}commentReference":
            self.comments.append(element.get(f"{W}id", ""))
        elif tag in _SIGNS:
            self._parts.append(_SIGNS[tag])
        else:
            self._walk(element)

    def _field(self, event: str) -> None:
        """Open or close a field: its instruction comes first, then its result, which is text like any other."""
        if event == "begin":
            self._fields.append("")
        elif event == "end" and self._fields:
            self._fields.pop()


def shown_children(element: Element) -> Iterator[Element]:
    """Yield an element's children without what was deleted, and of alternatives the first, which Word itself shows."""
    for child in element.iterchildren("*"):
        if child.tag == f"{_COMPATIBILITY}AlternateContent":
            choice = next(child.iterchildren("*"), None)
            if choice is not None:
                yield from shown_children(choice)
        elif child.tag not in _LEFT_OUT:
            yield child


def _is_placeholder(element: Element) -> bool:
    """Tell whether a content control only shows what should be filled in."""
    return element.tag == f"{W}sdt" and element.find(f"{W}sdtPr/{W}showingPlcHdr") is not None


def _is_page_number(instruction: str) -> bool:
    return instruction.split()[:1] in _PAGE_NUMBERS


def _symbol(code: str) -> str:
    """Return the sign of a symbol font, as far as it is known what it shows."""
    try:
        number = int(code, 16)
    except ValueError:
        return ""
    if number not in _PRIVATE_USE:
        return chr(number) if number < 0x110000 else ""
    return _SYMBOLS.get(number & 0xFF, "")
