"""
Equations of Office documents (OMML, ECMA-376 part 1, chapter 22.1) in one line.

The notation is that of Unicode Technical Note 28, as it is typed into Office and read aloud: ``(a+b)/(2c)``, ``x^2``,
``x_i``, ``√(x)``, ``∑_(k=0)^n``. Parts longer than one sign stand in parentheses.
"""

from __future__ import annotations

from collections.abc import Callable

from rag.load.xml_tree import Element

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_TEXTS = {f"{_M}t", "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t"}
_SUM = "∫"
"""The sign of an n-ary operator that names none."""


def linear(equation: Element) -> str:
    """Write an ``m:oMath`` element in one line."""
    return " ".join(_written(equation).split())


def _written(element: Element) -> str:
    """Write a part of an equation."""
    if element.tag in _TEXTS:
        return element.text or ""
    write = _WRITERS.get(str(element.tag).removeprefix(_M))
    return write(element) if write else "".join(map(_written, element.iterchildren("*")))


def _child(element: Element, name: str) -> str:
    found = element.find(f"{_M}{name}")
    return "" if found is None else _written(found).strip()


def _property(element: Element, name: str, default: str) -> str:
    """Return a property's value; ``default`` where the property is not there, empty where it has none."""
    found = element.find(f"{_M}{str(element.tag).removeprefix(_M)}Pr/{_M}{name}")
    return default if found is None else found.get(f"{_M}val", "")


def _grouped(text: str) -> str:
    bare = len(text) <= 1 or text.isdecimal() or (text[0] == "(" and text.find(")") == len(text) - 1)
    return text if bare else f"({text})"


def _script(sign: str, text: str) -> str:
    return f"{sign}{_grouped(text)}" if text else ""


def _fraction(element: Element) -> str:
    above, below = _child(element, "num"), _child(element, "den")
    if _property(element, "type", "bar") == "noBar":
        return f"({above}¦{below})"
    return f"{_grouped(above)}/{_grouped(below)}"


def _scripted(element: Element) -> str:
    return _grouped(_child(element, "e")) + _script("_", _child(element, "sub")) + _script("^", _child(element, "sup"))


def _prescripted(element: Element) -> str:
    return _script("_", _child(element, "sub")) + _script("^", _child(element, "sup")) + _child(element, "e")


def _root(element: Element) -> str:
    degree = _child(element, "deg")
    return f"√({degree}&{_child(element, 'e')})" if degree else f"√({_child(element, 'e')})"


def _operator(element: Element) -> str:
    scripts = _script("_", _child(element, "sub")) + _script("^", _child(element, "sup"))
    return f"{_property(element, 'chr', _SUM)}{scripts} {_child(element, 'e')}"


def _delimited(element: Element) -> str:
    parts = [_written(part).strip() for part in element.iterchildren(f"{_M}e")]
    inner = _property(element, "sepChr", "|").join(parts)
    return f"{_property(element, 'begChr', '(')}{inner}{_property(element, 'endChr', ')')}"


def _function(element: Element) -> str:
    name, argument = _child(element, "fName"), _child(element, "e")
    return f" {name}{argument}" if argument.startswith("(") else f" {name} {_grouped(argument)}"


def _matrix(element: Element) -> str:
    rows = [[_written(cell).strip() for cell in row] for row in element.iterchildren(f"{_M}mr")]
    return f"[{'; '.join(', '.join(row) for row in rows)}]"


def _lines(element: Element) -> str:
    return "; ".join(_written(line).strip() for line in element.iterchildren(f"{_M}e"))


def _accent(element: Element) -> str:
    return _grouped(_child(element, "e")) + _property(element, "chr", "\u0302")


def _nothing(element: Element) -> str:
    return ""


_WRITERS: dict[str, Callable[[Element], str]] = {
    "acc": _accent,
    "ctrlPr": _nothing,
    "d": _delimited,
    "eqArr": _lines,
    "f": _fraction,
    "func": _function,
    "limLow": lambda element: _child(element, "e") + _script("_", _child(element, "lim")),
    "limUpp": lambda element: _child(element, "e") + _script("^", _child(element, "lim")),
    "m": _matrix,
    "nary": _operator,
    "rad": _root,
    "sPre": _prescripted,
    "sSub": _scripted,
    "sSubSup": _scripted,
    "sSup": _scripted,
}
