"""The house rules of the design, enforced; and, for each rule, the proof that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import rules, whole
from tests.house.source import ROOT, Source, functions, package, source

SOURCES = package()
TESTS = sorted((ROOT / "tests").rglob("*.py"))

HEAVY_AT_IMPORT = ("numpy", "granian", "typer", "rich", "uvloop", "xllamacpp", "sqlite3", "asyncio")


@pytest.mark.parametrize("src", SOURCES, ids=lambda src: str(src.path))
def test_every_file_keeps_every_rule(src: Source) -> None:
    """No file of the package breaks a rule of the house."""
    assert [(rule.__name__, broken) for rule in rules.RULES for broken in rule(src)] == []


def lines(count: int, line: str = "x = 1") -> str:
    return '"""Doc."""\n' + f"{line}\n" * count


BAD = [
    (rules.floors, "core/a.py", "from tierwise.gateway.app import App", "floor 2 imports gateway on floor 4"),
    (rules.floors, "providers/a.py", "from tierwise import store", "floor 3 imports store on floor 3"),
    (rules.floors, "errors.py", "import tierwise.proof", "floor 0 imports proof on floor 0"),
    (rules.floors, "cellar/a.py", "", "has no floor"),
    (
        rules.floors,
        "core/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tierwise.cli",
        "floor 5",
    ),
    (rules.purity, "core/a.py", "import time", "don't import time"),
    (rules.purity, "stats/a.py", "from os import path", "don't import os"),
    (rules.purity, "dialects/a.py", "def f():\n    import random", "don't import random"),
    (rules.purity, "types.py", "from datetime import datetime", "don't import datetime"),
    (rules.purity, "dialects/a.py", "from urllib.request import urlopen", "don't import urllib.request"),
    (rules.purity, "core/a.py", "def f(p):\n    return open(p)", "don't call open()"),
    (rules.sizes, "core/a.py", lines(400), "401 lines"),
    (rules.sizes, "core/__init__.py", lines(30), "31 lines"),
    (rules.sizes, "core/a.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    (rules.sizes, "core/a.py", "class A:\n    def f(self):\n" + "        if x: pass\n" * 10, "A.f has complexity 11"),
    (rules.sizes, "core/a.py", "async def f(a, b, /, c, d, *, e, g, h): ...", "7 parameters"),
    (rules.sizes, "core/a.py", "@app.command()\ndef f(a, b, c, d, e, g, h): ...", "7 parameters"),
    (rules.sizes, "cli/a.py", "@cached(size=1)\ndef f(a, b, c, d, e, g, h): ...", "7 parameters"),
    (rules.sizes, "cli/a.py", "@commands.command()\ndef f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    (rules.sizes, "core/a.py", "class A:\n" + "".join(f"    def f{i}(self): ...\n" for i in range(13)), "13 methods"),
    (rules.no_global, "core/a.py", "def f():\n    global x\n    x = 1", "global x"),
    (rules.broad_excepts, "core/a.py", "try: f()\nexcept Exception: pass", "catches everything"),
    (rules.broad_excepts, "core/a.py", "try: f()\nexcept (OSError, BaseException): pass", "catches everything"),
    (rules.broad_excepts, "scorers/verifier.py", "def score():\n    try: f()\n    except: pass", "catches everything"),
    (rules.late_imports, "store/a.py", "def f():\n    import sqlite3", "f imports sqlite3"),
    (rules.late_imports, "store/a.py", "def f():\n    from tierwise.core import price", "f imports tierwise.core"),
    (rules.environment, "gateway/a.py", "import os\nos.environ['A']", "reads the environment"),
    (rules.environment, "gateway/a.py", "from os import getenv", "reads the environment"),
    (rules.environment, "gateway/a.py", "import os\nos.environ.setdefault('A', '1')", "reads the environment"),
    (rules.environment, "cli/door.py", "import os\nos.environ.get('A')", "reads the environment"),
    (rules.dangerous, "core/a.py", "import pickle", "imports pickle"),
    (rules.dangerous, "core/a.py", "eval('1')", "calls eval()"),
    (rules.dangerous, "core/a.py", "subprocess.run('ls', shell=True)", "through a shell"),
    (rules.header, "core/a.py", "x = 1", "no docstring"),
    (rules.header, "core/utils.py", '"""Doc."""', "the name says nothing"),
]


@pytest.mark.parametrize(("rule", "path", "text", "said"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_every_rule_can_fail(rule: rules.Rule, path: str, text: str, said: str) -> None:
    """A file that breaks the rule is found, and the message says what is wrong."""
    assert any(said in problem for problem in rule(source(path, text)))


GOOD = [
    (
        rules.floors,
        "gateway/a.py",
        "from tierwise.core.cascade import plan\nfrom tierwise.gateway.access.keys import k\nimport os",
    ),
    (rules.purity, "dialects/a.py", "from urllib.parse import quote\nfrom datetime import timedelta\nimport re"),
    (rules.purity, "gateway/a.py", "import time\nopen('x')"),
    (rules.sizes, "core/a.py", "class A:\n    def f(self, a, b, c, d, e, f): return [x for x in a if x and b or c]"),
    (rules.sizes, "cli/a.py", "@commands.command('x', epilog='y')\ndef f(a, b, c, d, e, g, h): ..."),
    (rules.broad_excepts, "scorers/verifier.py", "def run():\n    try: f()\n    except Exception: pass"),
    (rules.late_imports, "cli.py", "def serve():\n    from tierwise.gateway import run"),
    (rules.late_imports, "gateway/a.py", "def serve():\n    import granian"),
    (rules.environment, "gateway/settings.py", "import os\nos.environ['A']"),
    (rules.dangerous, "providers/a.py", "subprocess.run(['ls'], shell=False)\nre.compile('a')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_allowed_passes(rule: rules.Rule, path: str, text: str) -> None:
    """A rule doesn't turn down what the design allows."""
    assert list(rule(source(path, text))) == []


def test_allow_lists_name_what_exists() -> None:
    """An allow-list doesn't outlive the code that it excuses."""
    real = {(src.path.as_posix(), name) for src in SOURCES for name, _ in functions(src.tree)}
    assert set(rules.BROAD_EXCEPTS) <= real
    assert {src.path.as_posix() for src in SOURCES} >= rules.ENV_READERS


def test_modules_import_each_other_in_no_circle() -> None:
    """The import graph has no cycle."""
    assert whole.cycles(SOURCES) == []


def test_a_circle_of_imports_is_found() -> None:
    """Three modules in a circle are told once; an import for types only closes none."""
    circle = [
        source("core/a.py", "from tierwise.core import b"),
        source("core/b.py", "import tierwise.core.c"),
        source("core/c.py", "from tierwise.core.a import f"),
    ]
    assert whole.cycles(circle) == ["tierwise.core.a -> tierwise.core.b -> tierwise.core.c -> tierwise.core.a"]
    quiet = source(
        "core/c.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tierwise.core.a import f"
    )
    assert whole.cycles([*circle[:2], quiet]) == []


def test_tests_patch_next_to_nothing() -> None:
    """Mocks and patches are fewer than one in 1,000 lines of tests."""
    uses, count = whole.mocks(file.read_text(encoding="utf-8") for file in TESTS)
    assert uses <= count / 1000 * whole.MAX_MOCKS


def test_a_patch_is_counted() -> None:
    """Mocks are seen as names, attributes and fixtures; in a text they are only words."""
    text = "def f(monkeypatch):\n    monkeypatch.setattr(x, 'y', Mock())\n    mock.patch('z')\n    'patch'\n"
    assert whole.mocks([text]) == (4, 4)


def test_committed_files_name_no_registry_and_no_machine() -> None:
    """What is committed can be read, and installed from, anywhere."""
    found: list[str] = []
    for file in whole.committed():
        name = file.relative_to(ROOT).as_posix()
        found += whole.private_words(name, file.read_text(encoding="utf-8", errors="replace"))
    assert found == []


def test_a_registry_and_a_machine_are_found() -> None:
    """The host of a registry and an absolute path are told with their line; addresses that look alike are not."""
    text = "ok\nhttps://pypi" + ".org/simple\nsee /" + "work/x and https://a.example/" + "work/y\n"
    assert list(whole.private_words("f", text)) == [
        "f:2: names a package registry's host",
        "f:3: holds a path of some machine",
    ]


def import_ms(code: str) -> float:
    """Milliseconds of `code` in a fresh interpreter, the best of three."""
    timed = f"import time\nt = time.perf_counter()\n{code}\nprint((time.perf_counter() - t) * 1e3)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}  # it loads much
    command = [sys.executable, "-c", timed]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, cwd=ROOT, env=clean)
        for _ in range(3)
    ]
    return min(float(run.stdout.split()[-1]) for run in runs)


def test_the_package_imports_fast_and_light() -> None:
    """`import tierwise` takes less than 0.3 s and loads no heavy library."""
    loaded = f"import sys, tierwise\nassert not [n for n in {HEAVY_AT_IMPORT} if n in sys.modules], sorted(sys.modules)"
    assert import_ms(loaded) < 300


def test_a_slow_import_is_measured() -> None:
    """The measure sees time that an import takes."""
    assert import_ms("time.sleep(0.05)") >= 50


def test_the_tests_are_as_many_files_as_their_rooms() -> None:
    """Every room that has code has a folder of tests."""
    rooms = {src.path.parts[0] for src in SOURCES if len(src.path.parts) > 1}
    assert {room for room in rooms if not Path(ROOT / "tests" / room).is_dir()} == set()
