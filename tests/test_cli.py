"""The command, as a user runs it: real config files, a real store, real processes where it serves."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.terminal import call
from tierwise import __version__

CONFIG = """\
[server]
port = {port}
[models.cheap]
provider = "scripted"
script = "cheap.json"
price = {{ input = 1, output = 2 }}
[models.premium]
provider = "scripted"
script = "premium.json"
price = {{ input = 10, output = 20 }}
[routes.default]
tiers = ["cheap", "premium"]
mode = "enforce"
uncertified = "checks"
"""
CANARY = "sk-canary-0123456789"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scripted gateway's config, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "c.toml").write_text(CONFIG.format(port=port), encoding="utf-8")
    for name in ("cheap", "premium"):
        (tmp_path / f"{name}.json").write_text(json.dumps([{"text": f"I am [bold]{name}[/bold]."}]), encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str, **variables: str) -> Result:
    env = {"TIERWISE_CONFIG": str(folder / "c.toml"), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "80"}
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY", "TIERWISE_PEPPER"))
    return call(words, env={**keys, **env, **variables})


def test_help_shows_an_example_of_each_command(folder: Path) -> None:
    """And fits in 80 columns."""
    top = run(folder, "--help")
    assert top.exit_code == 0
    for words in (("serve",), ("up",), ("ask",), ("init",), ("doctor",), ("version",)):
        text = run(folder, *words, "--help").output
        assert f"Example: tierwise {' '.join(words)}" in re.sub(r"\s+", " ", text)
        assert max(map(len, text.splitlines())) <= 80
    for verb in ("create", "list", "revoke"):
        assert f"Example: tierwise keys {verb}" in re.sub(r"\s+", " ", run(folder, "keys", verb, "--help").output)


def test_version(folder: Path) -> None:
    """Also as `python -m tierwise`."""
    assert run(folder, "version").stdout == f"tierwise {__version__}\n"
    whole = subprocess.run([sys.executable, "-m", "tierwise", "version"], capture_output=True, text=True, check=True)
    assert whole.stdout == f"tierwise {__version__}\n"


def test_errors_are_lines_not_tracebacks(folder: Path) -> None:
    """One a problem, on stderr, exit code 2."""
    (folder / "bad.toml").write_text("[server]\nprot = 1\n[sore]\n", encoding="utf-8")
    found = run(folder, "keys", "list", "--config", str(folder / "bad.toml"))
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr.splitlines() == [
        f'error: {folder}/bad.toml:2: server.prot: unknown key; did you mean "port"?',
        f'error: {folder}/bad.toml:3: sore: unknown key; did you mean "store"?',
    ]


def test_a_key_s_life(folder: Path) -> None:
    """Created, listed, revoked; the text is shown once and never again."""
    made = json.loads(run(folder, "keys", "create", "--name", "team", "--budget", "2.50", "--json").stdout)
    assert made["budget_nanos"] == 2_500_000_000
    assert re.fullmatch(r"tw-[\w-]{43}", made["key"])
    listed = run(folder, "keys", "list", "--json").stdout
    assert made["key"] not in listed
    (row,) = json.loads(listed)
    assert (row["id"], row["name"], row["revoked"], row["spent_nanos"]) == (made["id"], "team", None, 0)
    plain = run(folder, "keys", "create", "-n", "[red]x").stdout
    assert "for [red]x, shown only now" in plain
    assert run(folder, "keys", "revoke", made["id"]).exit_code == 0
    assert run(folder, "keys", "revoke", made["id"]).exit_code == 2
    table = run(folder, "keys", "list").stdout
    assert "(revoked)" in table
    assert "$2.500000" in table
    assert max(map(len, table.splitlines())) <= 80


def test_an_empty_list_says_what_to_do(folder: Path) -> None:
    """Rather than print a bare header."""
    assert "No keys." in run(folder, "keys", "list").stdout


@pytest.mark.parametrize("amount", ["much", "-1", "nan", "1e30"])
def test_amounts(folder: Path, amount: str) -> None:
    """Only plain amounts of money are a budget."""
    found = run(folder, "keys", "create", "--name", "x", f"--budget={amount}")
    assert found.exit_code == 2
    assert "expected an amount" in found.stderr


def test_init_and_doctor(folder: Path) -> None:
    """The starter config loads; the doctor says what it lacks, and 1 to scripts."""
    path = str(folder / "new.toml")
    assert run(folder, "init", "--config", path).exit_code == 0
    assert run(folder, "init", "--config", path).exit_code == 2
    assert run(folder, "init", "--config", path, "--force", OPENAI_API_KEY=CANARY).exit_code == 0
    found = run(folder, "doctor", "--config", path, "--json")
    assert found.exit_code == 1
    failing = [line["what"] for line in json.loads(found.stdout) if line["level"] == "fail"]
    assert failing == ["model cheap", "model premium"]
    shown = run(folder, "doctor", "--config", path)
    assert "2 to mend." in shown.stdout
    well = run(folder, "doctor")
    assert well.exit_code == 0
    assert "Ready: tierwise serve --config" in well.stdout
    assert CANARY not in shown.output + well.output


def test_ask_shows_the_trail(folder: Path) -> None:
    """The answer on stdout as it is, the trail beside it; JSON for scripts."""
    found = run(folder, "ask", "hello")
    assert found.exit_code == 0
    assert found.stdout == "I am [bold]cheap[/bold].\n"
    assert "answered by cheap" in found.stderr
    streamed = run(folder, "ask", "hello", "--stream")
    assert streamed.stdout == "I am [bold]cheap[/bold].\n"
    trail = json.loads(run(folder, "ask", "hello", "--mode", "premium", "--json").stdout)
    assert trail["model"] == "premium"
    wrong = run(folder, "ask", "hello", "--route", "nope")
    assert wrong.exit_code == 2
    assert "nope" in wrong.stderr


@contextmanager
def hub(name: str, content: bytes) -> Iterator[str]:
    """A model hub on loopback with one file."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path.endswith(name)
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(content) if there else 0))
            self.end_headers()
            self.wfile.write(content if there else b"")

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_doctor_fetches_weights(folder: Path) -> None:
    """From the first source that has the file; where none has it, the error says so."""
    content = b"weights" * 1000
    sha256 = hashlib.sha256(content).hexdigest()
    text = f'[models.l]\nprovider = "local"\nweights = ["hf:o/r/w.gguf"]\nsha256 = "{sha256}"\n'
    (folder / "l.toml").write_text("[server]\nport = 0\n" + text, encoding="utf-8")
    with hub("/o/r/resolve/main/w.gguf", content) as url:
        words = ("doctor", "--config", str(folder / "l.toml"), "--fetch", "--json")
        found = run(folder, *words, HF_ENDPOINT=url)
        assert found.exit_code == 0
        assert any("weights of 0.00 GB" in line["detail"] for line in json.loads(found.stdout))
        (folder / "l.toml").write_text(
            text.replace("w.gguf", "other.gguf").replace('256 = "', '256 = "00')[:-4] + '"\n'
        )
        assert run(folder, *words, HF_ENDPOINT=url).exit_code == 2


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tierwise", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        watch = threading.Timer(20, process.kill)  # a gateway that hangs must not hang the tests
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()


def until(process: subprocess.Popen[str], wanted: str) -> str:
    """Its output up to and with the line that holds `wanted`."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if wanted in line:
            return seen
    raise AssertionError(f"it ended without {wanted!r}:\n{seen}")


def test_up_from_nothing_to_an_answer(folder: Path) -> None:
    """The key and the curl line that it prints work; SIGTERM ends it well; the second start shows no key."""
    with started(folder, "up", "--config", str(folder / "c.toml")) as process:
        seen = until(process, '"messages"')
        key = re.search(r"^  (tw-[\w-]{43})$", seen, re.MULTILINE)
        base = re.search(r"Base URL for any OpenAI SDK: (\S+)$", seen, re.MULTILINE)
        assert key
        assert base
        curl = shlex.split(seen[seen.index("curl ") :].replace("\\\n", ""))
        assert curl[:3] == ["curl", f"{base[1]}/chat/completions", "-H"]
        headers = dict(curl[at + 1].split(": ") for at, word in enumerate(curl) if word == "-H")
        assert headers["Authorization"] == f"Bearer {key[1]}"
        request = urllib.request.Request(curl[1], data=curl[-1].encode(), headers=headers)  # noqa: S310  our own server
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310
            assert json.loads(reply.read())["choices"][0]["message"]["content"] == "I am [bold]cheap[/bold]."
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    with started(folder, "serve", "--config", str(folder / "c.toml"), "--host", "127.0.0.1") as process:
        assert "tw-" not in until(process, "Serving on http://127.0.0.1:")
    with started(folder, "up", "--config", str(folder / "c.toml")) as process:
        assert "Bearer $TIERWISE_API_KEY" in until(process, "Bearer")


def test_the_import_is_quick() -> None:
    """Importing the package, and the command, loads no server."""
    begin = time.perf_counter()
    code = "import sys, tierwise.cli; assert not {'granian', 'uvloop', 'xllamacpp', 'rich.table'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.perf_counter() - begin < 5  # generous: the machine may be busy
