"""One source file of the package, and what the rules ask of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tierwise"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    path: PurePosixPath  # below src/tierwise, e.g. core/cascade.py
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Parsed when it is asked for: every process collects the tests, and one runs them."""
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        parts = ("tierwise", *self.path.with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """The folder, or the file's own name where it stands on the ground: core, types, cli ..."""
        return self.path.with_suffix("").parts[0]


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath(path), text)


def package() -> list[Source]:
    """Every Python file of the package as it lies on the disk."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [source(file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name, methods and nested ones too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def imports(src: Source, *, typing_only: bool = False) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, anywhere in the file; those under TYPE_CHECKING only if asked for.

    `from a import b` gives `a` and `a.b`: b may be a module.
    """
    hidden = set() if typing_only else _typing_only(src.tree)
    for node in ast.walk(src.tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _typing_only(tree: ast.Module) -> set[ast.AST]:
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found.update(inner for part in node.body for inner in ast.walk(part))
    return found
