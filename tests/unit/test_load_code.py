"""Source code: definitions at the margin are headings."""

from __future__ import annotations

import pytest

from rag.load.code import read


@pytest.mark.parametrize(
    ("source", "titles"),
    [
        ("import x\n\nclass A(B):\n    def m(self): ...\n\nasync def f():\n", ["class A", "def f"]),
        ("pub fn main() {\n}\nimpl<T> Show for Point {\n", ["fn main", "impl<T> Show"]),
        ("func (s *Server) Run(x int) {\n}\ntype T struct {\n", ["func (s *Server) Run", "type T"]),
        ("export default function go() {\n}\nexport class Q extends R {\n", ["function go", "class Q"]),
        ('"""\nclass of things that matter\ndef is a word\n"""\n', []),
    ],
)
def test_code_finds_definitions(source: str, titles: list[str]) -> None:
    extracted = read(source.encode(), "a")
    assert extracted.text == source
    assert [heading.title for heading in extracted.headings] == titles
    assert all(source[heading.start - 1 : heading.start] in ("", "\n") for heading in extracted.headings)
