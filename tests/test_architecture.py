"""Imports go one way, nothing heavy loads early, each library has one door, and the rules of size hold."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "rag", "finetune", "scripts")
MAY_IMPORT = {
    "models": {"models"},
    "rag": {"rag", "models"},
    "finetune": {"finetune", "models"},
    "scripts": set(PACKAGES),
}
DOORS = {
    "faiss": {"rag.index.dense"},
    "tantivy": {"rag.index.lexical"},
    "apsw": {"rag.store"},
    "sentence_transformers": {"models.embedder", "models.encoder_graph", "models.reranker"},
    "openvino": {"models.quiet_openvino"},
    "requests": {"models.fetch", "models.wheel"},
    "pypi_simple": {"models.fetch", "models.wheel"},
}
"""Which modules (or packages) may import a library at all."""

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 45


def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(tree: ast.AST) -> set[str]:
    return {name for name in imports(tree) if name in MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_only_downwards(name: str) -> None:
    allowed = MAY_IMPORT[name.split(".")[0]]
    upwards = {other for other in own(MODULES[name]) if other.split(".")[0] not in allowed}
    assert not upwards


def test_modules_have_no_cycle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path, name))}"
        if name not in done:
            for other in sorted(own(MODULES[name])):
                if other != name:
                    visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("library", DOORS)
def test_library_has_one_door(library: str) -> None:
    users = {
        name
        for name, tree in MODULES.items()
        if any(imported == library or imported.startswith(library + ".") for imported in imports(tree))
    }
    strangers = {
        user
        for user in users
        if not any(user == door or user.startswith(door + ".") for door in DOORS[library])
        and not user.startswith("scripts.bench")
    }
    assert users
    assert not strangers


@pytest.mark.parametrize("name", MODULES)
def test_module_is_documented_and_of_a_readable_size(name: str) -> None:
    tree = MODULES[name]
    assert ast.get_docstring(tree)
    path = ROOT / Path(*name.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_of_a_readable_size(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
            assert lines <= MAX_FUNCTION_LINES, f"{name}.{node.name} has {lines} lines without its docstring"


@pytest.mark.parametrize(
    "name", ["models.base", "models.prompt", "models.store", "models.adapters", "rag", "rag.config", "rag.workspace"]
)
def test_module_does_not_import_torch(name: str) -> None:
    code = f"import sys, {name}; print(sorted({{'torch', 'transformers', 'peft'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_every_package_is_listed_for_the_distribution() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    assert set(listed) >= packages


def test_top_level_holds_what_the_design_names() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split(
        "\n"
    )
    top = {line.split("/")[0] for line in tracked if line}
    assert top <= {
        *PACKAGES, "tests", "docs", ".ci", "README.md", "pyproject.toml", "constraints.txt", "CHANGELOG.md",
        "CONTRIBUTING.md", "SECURITY.md", "LICENSE", ".gitignore",
    }  # fmt: skip
