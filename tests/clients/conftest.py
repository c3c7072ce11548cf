"""A gateway in a process of its own, for clients that are installed apart from it (`make clients`).

Where the clients are not installed, nothing here is collected: `make test` runs these files in their own environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
ROUTES = ("support", "direct", "latest")  # over OpenAI's wire of chat, over Anthropic's, over OpenAI's of responses
CALLED = ("called", "called_too")  # over models, of both wires, that have no schemas and are given a tool instead
GOOD = "The parcel leaves our warehouse tomorrow morning and reaches you on Friday."  # what the providers say
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or litellm would download prices as it is imported
if find_spec("langchain_tests") is None:
    collect_ignore_glob = ["test_*.py"]


class Gateway(NamedTuple):
    url: str  # ends in /v1
    key: str

    @property
    def root(self) -> str:
        """As Anthropic's clients want it."""
        return self.url.removesuffix("/v1")


@pytest.fixture(scope="session")
def gate() -> Iterator[Gateway]:
    """A gateway whose routes are served over one wire each: see `ROUTES`."""
    python = os.environ.get("GATEWAY_PYTHON", sys.executable)  # the environment that the gateway is installed in
    command = (python, "-m", "tests.clients.gateway")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Gateway(**json.loads(process.stdout.readline()))
        process.stdin.close()
