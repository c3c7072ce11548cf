"""`tierwise prices`, as a person and a script see it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.testing import Result

from tests.support.terminal import call
from tierwise.gateway.prices.price_lists import SCHEMA

CONFIG = """
[models.cheap]
provider = "deepseek"
model = "deepseek-flash"
[models.premium]
provider = "openai"
model = "gpt-99"
[routes.support]
tiers = ["cheap", "premium"]
"""
LITELLM = {
    "gpt-99": {"litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05},
    "other": {"litellm_provider": "groq"},
}


def run(folder: Path, *words: str | Path) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "COLUMNS": "100"}
    return call(["prices", *map(str, words)], env=env)


def test_help_shows_an_example_of_each_command(tmp_path: Path) -> None:
    """And every brace and bracket."""
    for verb in ("check", "show", "diff", "import"):
        found = run(tmp_path, verb, "--help")
        assert f"Example: tierwise prices {verb} " in re.sub(r"[\s│]+", " ", found.output)


def test_an_unknown_price_is_found_and_mended(tmp_path: Path) -> None:
    """`check` fails, `import` writes a list, the config names it, `check` is content."""
    config = tmp_path / "c.toml"
    config.write_text(CONFIG, encoding="utf-8")
    found = run(tmp_path, "check")
    assert found.exit_code == 1
    assert "premium: no price is known. It counts as the dearest known model, $150 in and $600 out" in found.output
    assert re.search(r"cheap +deepseek-flash +\$0.3 +\$1.2 +https://api-docs.deepseek.com", found.output)
    assert "[models.premium]" in found.output
    assert "Others are listed for cheap: `tierwise prices show NAME`" in found.output
    rows = json.loads(run(tmp_path, "check", "--json").stdout)
    assert [(row["name"], row["price"] and row["price"]["input"]) for row in rows] == [
        ("cheap", 300_000),
        ("premium", None),
    ]
    assert rows[1]["counts_as"]["input"] == 150_000_000

    (tmp_path / "litellm.json").write_text(json.dumps(LITELLM), encoding="utf-8")
    out = tmp_path / "prices.json"
    said = run(tmp_path, "import", tmp_path / "litellm.json", "--out", out, "--checked", "2026-11-28")
    assert said.exit_code == 0
    assert 'Name it in the config to use it: [prices] overlays = ["prices.json"]' in said.output
    assert "left out, 1 times: another provider" in said.output
    config.write_text(CONFIG + '[prices]\noverlays = ["prices.json"]\n', encoding="utf-8")
    found = run(tmp_path, "check")
    assert found.exit_code == 0
    assert re.search(r"premium +gpt-99 +\$1.25 +\$10 +litellm.json +2026-11-28", found.output)
    assert "Every price is known." in found.output


def test_import_for_scripts(tmp_path: Path) -> None:
    """Counts on stdout; a file that is none, and a place that is none, are errors."""
    (tmp_path / "p.csv").write_text("provider,model,input,output\nopenai,m,1,2\n", encoding="utf-8")
    out = tmp_path / "out.json"
    found = run(tmp_path, "import", tmp_path / "p.csv", "--out", out, "--json")
    assert json.loads(found.stdout) == {"out": str(out), "models": 1, "left_out": {}}
    assert run(tmp_path, "import", tmp_path / "none.csv").exit_code == 2
    assert run(tmp_path, "import", tmp_path / "p.csv", "--out", tmp_path / "no" / "out.json").exit_code == 2
    assert run(tmp_path, "import", tmp_path / "p.csv", "--out", out, "--checked", "today").exit_code == 2


def test_show(tmp_path: Path) -> None:
    """All rates of a moment, the other periods below; without a config too."""
    found = run(tmp_path, "show", "deepseek-v4-flash", "--at", "2026-09-01")
    assert found.exit_code == 0
    assert re.search(r"output +1.32", found.output)
    assert "from 2026-08-23 until 2026-09-10 04:00 UTC" in found.output
    assert "no day of a check is known" in found.output
    assert "from 2026-09-10 04:00 UTC: 0.3 in, 1.2 out" in found.output
    assert "No price for that moment is known." in run(tmp_path, "show", "deepseek-flash", "--at", "2026-01-01").output
    (shown,) = json.loads(run(tmp_path, "show", "openai/o3", "--at", "2025-06-09", "--json").stdout)
    assert shown["holds"]["input"] == "10"
    assert len(shown["entry"]["periods"]) == 2
    assert run(tmp_path, "show", "nope").exit_code == 2
    assert run(tmp_path, "show", "o3", "--at", "tomorrow").exit_code == 2
    assert run(tmp_path, "show", "o3", "--config", tmp_path / "none.toml").exit_code == 2


def test_show_a_configured_model(tmp_path: Path) -> None:
    """By the config's name for it."""
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    assert "deepseek-flash of deepseek" in run(tmp_path, "show", "cheap").output
    assert run(tmp_path, "show", "premium").exit_code == 2


def test_diff(tmp_path: Path) -> None:
    """Exit code 1 where they differ, as `diff` has it."""
    old = SCHEMA.parent / "overlays" / "deepseek.json"
    new = tmp_path / "new.json"
    new.write_bytes(old.read_bytes().replace(b'"output": "3.96"', b'"output": "4.50"'))
    found = run(tmp_path, "diff", old, new, "--at", "2026-11-28")
    assert found.exit_code == 1
    assert re.search(r"deepseek deepseek-v4-pro +output +3.96 +4.5", found.output)
    assert "1 difference; USD per million tokens" in found.output
    rows = json.loads(run(tmp_path, "diff", old, new, "--json").stdout)
    assert [(row["what"], row["old"], row["new"]) for row in rows] == [("output", "3.96", "4.5")]
    same = run(tmp_path, "diff", old, old)
    assert (same.exit_code, same.output.strip()) == (0, "The same prices.")
