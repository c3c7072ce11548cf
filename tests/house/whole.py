"""The rules that look at several files at once: the import graph, the tests, and everything that is committed."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.house.source import ROOT, Source, imports

MAX_MOCKS = 1.0  # in 1,000 lines of tests

# Spelt in pieces, because this file is committed too.
_HOSTS = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry." + "npmjs.org",
    "registry." + "yarnpkg.com",
    "index." + "crates.io",
)
_MACHINE = (
    r"(?<![\w./-])/" + r"work/",
    r"(?<![\w.])/" + r"home/\w+/",
    r"(?<![\w.])/" + r"Users/\w+/",
    r"(?<![\w.])/" + r"root/",
)
_SKIPPED = {
    ".git",
    ".venv",
    ".venv-clients",
    ".fuzz",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    "__pycache__",
    ".hypothesis",
    "build",
    "dist",
}
_TEXT = 2_000_000  # bytes; larger files are data


def cycles(sources: Iterable[Source]) -> list[str]:
    """Import cycles between modules, each as "a -> b -> a"; imports for types only don't count."""
    files = {src.module: src for src in sources}
    graph = {
        name: sorted({target for _, target in imports(src) if target in files and target != name})
        for name, src in files.items()
    }
    found: list[str] = []
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join((*path[path.index(name) :], name)))
            return
        if name in done:
            return
        for target in graph[name]:
            visit(target, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())
    return found


def mocks(texts: Iterable[str]) -> tuple[int, int]:
    """(uses of mocks and patches, lines) in the texts of tests."""
    uses = lines = 0
    for text in texts:
        lines += text.count("\n")
        for node in ast.walk(ast.parse(text)):
            name = {ast.Name: "id", ast.Attribute: "attr", ast.arg: "arg"}.get(type(node))
            if name and getattr(node, name) in {"monkeypatch", "mocker", "patch", "Mock", "MagicMock", "AsyncMock"}:
                uses += 1
    return uses, lines


def committed() -> list[Path]:
    """The files that are, or would be, committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    if listing.returncode == 0:
        files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:  # an unpacked archive
        files = [file for file in ROOT.rglob("*") if not _SKIPPED & set(file.relative_to(ROOT).parts)]
    return [file for file in files if file.is_file() and file.stat().st_size < _TEXT]


def private_words(name: str, text: str) -> Iterator[str]:
    """Package registries' hosts and paths of a machine, by line."""
    for number, line in enumerate(text.splitlines(), 1):
        for host in _HOSTS:
            if host in line:
                yield f"{name}:{number}: names a package registry's host"
        for pattern in _MACHINE:
            if re.search(pattern, line):
                yield f"{name}:{number}: holds a path of some machine"
