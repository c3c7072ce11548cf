"""The docs say what is so: their config loads, their commands and options exist, their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tierwise.gateway import app, settings
from tierwise.gateway.settings import load, read_environment
from tierwise.gateway.snapshot import build
from tierwise.gateway.tables import budget_table, model_table, price_table, route_table, store_table
from tierwise.gateway.tables.screen_table import ScreensTable

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
START = (ROOT / "docs/start.md").read_text()
MONEY = (ROOT / "docs/money.md").read_text()
ROUTES = (ROOT / "docs/routes.md").read_text()
SCREENS = (ROOT / "docs/screens.md").read_text()
TABLES = (
    settings.Server,
    settings.AlertsTable,
    store_table.StoreTable,
    price_table.PricesTable,
    budget_table.BudgetTable,
    model_table.ModelTable,
    model_table.PriceTable,
    model_table.Limits,
)
ROUTE_TABLES = (route_table.RouteTable, route_table.ChecksTable, route_table.VectorTable)
LOCAL_ONLY = {"weights", "sha256", "threads", "idle_minutes", "script"}  # shown by the starter config, with its reasons


def toml() -> str:
    blocks: list[str] = re.findall(r"```toml\n(.*?)```", START, re.DOTALL)
    return blocks[0]


def test_the_documented_config_loads(tmp_path: Path) -> None:
    """The example in docs/start.md is a config, every priced model in it has a price."""
    path = tmp_path / "tierwise.toml"
    path.write_text(toml())
    snapshot = build(load(path, {}), read_environment({"HOME": str(tmp_path)}))
    assert list(snapshot.routes) == ["support"]
    assert snapshot.unpriced() == ()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_key_is_documented(table: type[msgspec.Struct]) -> None:
    """No config key exists without a place in the docs."""
    missing = {name for name in table.__struct_fields__ if not re.search(rf"\b{name}\b", START + MONEY)}
    assert missing - LOCAL_ONLY == set()


@pytest.mark.parametrize("table", ROUTE_TABLES, ids=lambda table: table.__name__)
def test_every_key_of_a_route_is_documented(table: type[msgspec.Struct]) -> None:
    """In the reference of routes, as a word of code."""
    code = " ".join(re.findall(r"`([^`]*)`|```toml\n", ROUTES))
    assert {name for name in table.__struct_fields__ if not re.search(rf"\b{name}\b", code)} == set()


def test_every_key_of_screens_is_documented() -> None:
    """In the table of the reference."""
    assert {name for name in ScreensTable.__struct_fields__ if f"| `{name}` |" not in SCREENS} == set()


FAMILIES = ("keys", "certificate", "prices", "queue")  # of commands


def commands(text: str) -> set[tuple[str, ...]]:
    """(command, options...) of each `tierwise ...` in a text."""
    found = set()
    for line in re.findall(r"tierwise ((?:[a-z]+ )?[a-z]+[^`\n]*)", text):
        words = line.split("#")[0].split()
        verbs = [word for word in words[:2] if re.fullmatch("[a-z]+", word)]
        verbs = verbs if verbs[:1] and verbs[0] in FAMILIES else verbs[:1]
        options = [option for word in words for option in re.findall(r"--[a-z-]+", word)]
        found.add((" ".join(verbs), *options))
    return found


def test_documented_commands_exist() -> None:
    """Every command and option that a document names is in that command's --help."""
    wanted: dict[str, set[str]] = {}
    for path in DOCS:
        for command, *options in commands(path.read_text()):
            wanted.setdefault(command, set()).update(options)
    assert {"serve", "ask", "keys create", "init", "doctor"} <= set(wanted)
    for command, named in wanted.items():
        line = [sys.executable, "-m", "tierwise", *command.split(), "--help"]
        ran = subprocess.run(line, capture_output=True, text=True, check=False, env={"COLUMNS": "200", "TERM": "dumb"})
        assert ran.returncode == 0, (command, ran.stderr)
        assert "Example" in ran.stdout or command in FAMILIES, f"{command} --help shows no example"
        assert {option for option in named if option not in ran.stdout} == set(), command


def test_links_lead_somewhere() -> None:
    """Relative links and pictures of the docs are files."""
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert "://" in target or (path.parent / target).exists(), (path.name, target)


def test_named_files_exist() -> None:
    """Files that a document names in code marks are there."""
    for path in DOCS:
        for named in re.findall(r"`((?:core|benchmarks|tests|docs|src)/[\w./]+)`", path.read_text()):
            place = ROOT / "src/tierwise" / named if named.startswith("core/") else ROOT / named
            assert place.exists(), (path.name, named)


def test_headers_are_documented() -> None:
    """Every header that a reply may carry, or a request may bring, is in the docs."""
    source = Path(app.__file__).read_text()
    for header in set(re.findall(r'"(x-tierwise-[a-z-]+)"', source)):
        assert header in START, header
