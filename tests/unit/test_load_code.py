"""Source code: definitions are headings, found by grammar or by their looks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag.load import code, definitions
from rag.load.code import read
from rag.load.grammars import GRAMMARS

PYTHON = '''\
import x

# What a shelf is.
# It has boards.
@dataclass
class Shelf(Furniture):
    """A shelf."""

    boards: int

    @property
    def height(self):
        def inner(): ...
        return inner

    class Board:
        async def paint(self): ...

if True:
    def conditional(): ...

counter = 0  # not of the function below
async def build():
    pass
'''


def outline(source: str, name: str) -> list[str]:
    extracted = read(source.encode(), name)
    assert extracted.text == source
    starts = [heading.start for heading in extracted.headings]
    assert starts == sorted(set(starts))
    assert all(source[start - 1 : start] in ("", "\n") for start in starts)
    return ["  " * (heading.level - 1) + heading.title for heading in extracted.headings]


def test_code_names_members_by_their_class() -> None:
    assert outline(PYTHON, "shelf.py") == [
        "class Shelf",
        "  Shelf.height",
        "  class Shelf.Board",
        "    Shelf.Board.paint",
        "def conditional",
        "def build",
    ]


def test_definition_begins_with_its_comments_and_decorators() -> None:
    lines = [PYTHON[heading.start :].split("\n")[0] for heading in read(PYTHON.encode(), "shelf.py").headings]
    assert lines[:2] == ["# What a shelf is.", "    @property"]
    assert lines[-1] == "async def build():"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        (
            "a.js",
            "/** Doc */\nexport default class Cart extends Base {\n  constructor() {}\n  async pay() {}\n}\n"
            "export function go() {}\nconst total = async (x) => x;\nexports.save = function (a) {};\n",
            [
                "class Cart",
                "  Cart.constructor",
                "  Cart.pay",
                "function go",
                "function total",
                "function exports.save",
            ],
        ),
        (
            "a.ts",
            "@Injectable()\nexport class Store<T> {\n  @Input() x: number;\n  find(id: string): T { return null; }\n}\n"
            "export interface Item { name: string }\ntype Id = string;\nenum Color { Red }\n",
            ["class Store", "  Store.find", "interface Item", "type Id", "enum Color"],
        ),
        ("a.tsx", "export const App = () => <div>x</div>;\n", ["function App"]),
        (
            "A.java",
            "package x;\n/** Doc. */\n@Entity\npublic class Cart<T> {\n  public Cart() {}\n  @Override\n"
            "  public int pay() {\n    return 1;\n  }\n  enum Color { RED }\n}\n",
            ["class Cart", "  Cart.Cart", "  Cart.pay", "  enum Cart.Color"],
        ),
        (
            "a.go",
            "package main\n\n// Server serves.\ntype Server struct{}\n\n"
            "func (s *Server) Run(x int) error { return nil }\n"
            "func (l List[T]) Push(x T) {}\nfunc main() {}\n",
            ["type Server", "func Server.Run", "func List.Push", "func main"],
        ),
        (
            "a.rs",
            "/// A point.\n#[derive(Debug)]\npub struct Point<T> { x: T }\nimpl<T> Show for Point<T> {\n"
            "    fn show(&self) {}\n}\n"
            "mod tests {\n    #[test]\n    fn works() {}\n}\n",
            ["struct Point", "impl Show for Point<T>", "  Point::show", "mod tests", "  fn works"],
        ),
        (
            "a.c",
            "/* adds */\nstatic int add(int a) { return a; }\nchar *name(void)\n{\n}\n"
            "typedef struct { int y; } pair_t;\n"
            "struct node { int x; };\nint proto(int);\n",
            ["function add", "function name", "struct pair_t", "struct node", "function proto"],
        ),
        (
            "a.hpp",
            "namespace a::b {\n// T\ntemplate <typename T>\nclass Box : public Base {\n public:\n  ~Box() {}\n"
            "  int get() const { return 1; }\n};\n}\nint Box::put(int x) { return x; }\n",
            ["namespace a::b", "  class Box", "    Box::~Box", "    Box::get", "function Box::put"],
        ),
        (
            "a.cs",
            "namespace Acme;\n\n[Serializable]\npublic sealed class Invoice {\n"
            "  public async Task<int> Pay(int x) { return 1; }\n"
            "}\nrecord Row(int A);\n",
            ["class Invoice", "  Invoice.Pay", "record Row"],
        ),
        (
            "a.rb",
            "module Outer\n  # doc\n  class Cart < Base\n    def self.make\n    end\n  end\nend\ndef top; end\n",
            ["module Outer", "  class Outer.Cart", "    Outer.Cart.make", "def top"],
        ),
        (
            "a.php",
            "<?php\nnamespace App;\n/** Doc */\nfinal class User extends Model {\n  public function name() {}\n}\n"
            "function helper() {}\n",
            ["class User", "  User::name", "function helper"],
        ),
        (
            "a.kt",
            "data class User(val n: String) : Base() {\n    fun greet() = 1\n}\n\ninterface Shape {\n"
            "    fun area()\n}\n\n"
            "fun main() {\n}\n",
            ["class User", "  User.greet", "interface Shape", "  Shape.area", "fun main"],
        ),
        (
            "a.scala",
            "case class Cart(x: Int) {\n  def pay(y: Int): Int = y\n}\nobject Cart { }\n",
            ["class Cart", "  Cart.pay", "object Cart"],
        ),
        (
            "a.lua",
            "local function helper(x) end\nfunction M.go(a) end\nM.field = function(x) end\n",
            ["function helper", "function M.go", "function M.field"],
        ),
        ("a.sh", "#!/bin/bash\n\n# goes\ngo() {\n  echo\n}\n", ["function go"]),
        (
            "a.swift",
            "/// Doc\npublic class Cart: Base {\n    init(a: Int) {}\n    func pay() {}\n}\n"
            "extension Cart: Payable {\n}\n",
            ["class Cart", "  Cart.init", "  Cart.pay", "extension Cart"],
        ),
    ],
)
def test_code_is_parsed_by_its_grammar(name: str, source: str, expected: list[str]) -> None:
    assert outline(source, name) == expected


@pytest.mark.parametrize("suffix", GRAMMARS)
def test_grammar_reads_an_empty_and_a_nonsensical_file(suffix: str) -> None:
    assert read(b"", f"a{suffix}").headings == ()
    read("}}} é ((( \"' <<< {{ 漢\n".encode() * 20, f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "source", "titles"),
    [
        ("a.pl", "package Cart;\nsub pay {\n}\n", ["package Cart", "sub pay"]),
        ("a.sql", "CREATE TABLE IF NOT EXISTS cart (a int);\n", ["TABLE IF NOT EXISTS cart"]),
        ("a.sql", "create or replace view v as\n  select 1;\n", ["view v"]),
        ("a.toml", "[main]\nx = 1\n[[array]]\n[a.b]\n", ["main", "array", "a.b"]),
        ("a.r", "pay <- function(x) {\n}\n", ["pay"]),
        ("a.proto", "message Cart {\n  string a = 1;\n}\n", ["message Cart"]),
        ("a.dart", '"""\nclass of things that matter\n"""\nclass Cart {\n}\n', ["class Cart"]),
    ],
)
def test_code_without_a_grammar_is_marked_at_its_margin(name: str, source: str, titles: list[str]) -> None:
    assert outline(source, name) == titles


def test_broken_code_keeps_what_the_grammar_or_the_margin_shows() -> None:
    source = "<<<<<<< ours\nx = (;\n=======\n}})\n>>>>>>> theirs\n\ntype Server struct {\n}\n\nfunc main() {\n}\n"
    assert outline(source, "a.go") == ["type Server", "func main"]
    assert outline(f"def broken(:\n    pass\n\n{PYTHON}", "a.py")[-6:] == outline(PYTHON, "a.py")


def test_definitions_behind_other_code_on_a_line_are_left_out() -> None:
    assert outline("class A { f() {} g() {} } class B {}\n", "a.js") == ["class A"]


def test_deep_and_wide_trees_are_no_trouble() -> None:
    assert outline(f"x = [{'1, ' * 50_000}]\n\ndef f(): ...\n", "a.py") == ["def f"]
    assert outline("def f():\n    return " + "(" * 100_000 + "\n", "a.py") == ["def f"]
    nested = "\n".join("  " * depth + f"class C{depth}:" for depth in range(60))
    levels = [heading.level for heading in read(nested.encode(), "a.py").headings]
    assert levels == [1, 2, 3, 4, 5, *[6] * 55]


def test_code_that_takes_too_long_to_parse_is_marked_at_its_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "_SECONDS", 0.0)
    extracted = code.read(("def f():\n    pass\n" * 2000).encode(), "a.py")
    assert len(extracted.headings) == 2000
    assert extracted.warnings == ("takes too long to parse; only definitions at the left margin were found.",)


def test_grammars_are_not_loaded_before_they_are_needed() -> None:
    program = "import sys, rag.load.formats; print([name for name in sys.modules if name.startswith('tree_sitter_')])"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
