"""Clients of Node.js: each file in `npm` runs its own tests, by Node's own runner."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import ROOT, Gateway

SOURCES = Path(__file__).parent / "npm"
INSTALLED = Path(os.environ.get("CLIENTS_NODE", ROOT / ".venv-clients/node")) / "node_modules"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="there is no Node.js on this machine")
@pytest.mark.parametrize(("name", "count"), [("openai", 13), ("anthropic", 10), ("vercel", 33)])
def test_packages(gate: Gateway, tmp_path: Path, name: str, count: int) -> None:
    """All that a file tests is well, and nothing of it is left out."""
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, tmp_path)
    (tmp_path / "node_modules").symlink_to(INSTALLED)
    command = (NODE or "", "--test-reporter=tap", f"{name}.mjs")
    env = os.environ | {"TIERWISE_URL": gate.url, "TIERWISE_KEY": gate.key, "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.findall(r"^# (?:pass|skipped) (\d+)$", ran.stdout, re.MULTILINE) == [str(count), "0"], ran.stdout
