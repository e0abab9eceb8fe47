"""What a source tree imports, read from the sources with ``ast``; nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "aiocpg"


@dataclass(frozen=True)
class Import:
    """One import statement's target, as a full dotted name."""

    importer: str
    target: str
    line: int
    lazy: bool
    """It stands in a function, so it runs when that is called."""

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules(root: Path) -> dict[str, Path]:
    """Return every module below ``root``, the directory of the package, by its dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join((PACKAGE, *parts)).removesuffix(".__init__")] = path
    return found


def imports(root: Path) -> Iterator[Import]:
    """Read all imports of all modules below ``root``."""
    known = modules(root)
    for name, path in known.items():
        for node, lazy in _statements(ast.parse(path.read_text()), lazy=False):
            for target in _targets(node, name, path, known):
                yield Import(name, target, node.lineno, lazy)


def _statements(tree: ast.AST, *, lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, lazy
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _statements(node, lazy=inside)


def _targets(node: ast.Import | ast.ImportFrom, name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = _absolute(node, name, is_package=path.name == "__init__.py")
    for alias in node.names:
        # "from package import module" is an import of the module, "from module import name" one of that module.
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in known else base


def _absolute(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    climb = node.level - is_package
    package = parts[: len(parts) - climb] if climb else parts
    return ".".join((*package, node.module)) if node.module else ".".join(package)
