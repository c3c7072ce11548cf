"""Where an upstream may be, and whether it is who it says: addresses, configuration, TLS."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.support.client import LIMITS, STREAM, WHOLE, ask, asking, decode_error, failing
from tests.support.upstream import serve
from tierwise.errors import ConfigError, TimedOut, Unreachable
from tierwise.providers.http import Limits, Upstream


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_nobody_there() -> None:
    """A refused connection is retried, then told with the place and what to do."""
    port = free_port()
    error = await failing(asking(f"http://127.0.0.1:{port}"))
    assert isinstance(error, Unreachable)
    assert f"127.0.0.1:{port}" in str(error)
    assert "base_url" in str(error)


async def test_a_name_is_resolved() -> None:
    """`localhost` is a name like any other; one that nobody knows is told as such."""
    async with serve() as server:
        upstream = asking(server.url.replace("127.0.0.1", "localhost"))
        assert await ask(upstream)
        assert server.requests[0].headers["host"].startswith("localhost:")
        await upstream.close()
    error = await failing(asking("http://nobody.invalid"))
    assert isinstance(error, Unreachable)
    assert "nobody.invalid can't be resolved" in str(error)


async def test_a_place_that_does_not_answer_meets_the_connect_limit() -> None:
    """Somebody accepts and then says nothing: TLS never comes about."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = Limits(connect=0.05)
        error = await failing(asking(f"https://127.0.0.1:{silent.getsockname()[1]}", limits))
    assert isinstance(error, TimedOut)
    assert "limits.connect" in str(error)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "168.63.129.16"])
async def test_link_local_places_are_refused(host: str) -> None:
    """Where a cloud keeps a machine's secrets is never called, and not twice."""
    error = await failing(asking(f"http://{host}"))
    assert isinstance(error, Unreachable)
    assert not error.retryable
    assert "never called" in str(error)


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://host/v1",
        "file:///etc/passwd",
        "host:8000/v1",
        "http://",
        "http://user:secret@host/v1",
        "http://host/v1?key=secret",
        "http://host:99999/v1",
        "http://host/v1\r\nx: y",
        "http://höst/v1",
    ],
)
def test_an_address_that_is_none_is_a_mistake_of_the_config(base_url: str) -> None:
    """Told when it is read, not when it is called, and without what may be a secret."""
    with pytest.raises(ConfigError) as caught:
        Upstream("cheap", base_url, {}, decode_error)
    assert "models.cheap.base_url" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_key_with_a_line_break_is_a_mistake_of_the_config() -> None:
    """A header can't smuggle in another one; the key itself is not shown."""
    with pytest.raises(ConfigError) as caught:
        Upstream("cheap", "https://host/v1", {"authorization": "Bearer secret\r\nx: y"}, decode_error)
    assert "authorization" in str(caught.value)
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------ TLS


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, made for this test alone."""
    made = folder / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {made} -out {folder / 'cert.pem'}"
    subprocess.run(command.split(), check=True, capture_output=True)
    made.write_text(made.read_text() + (folder / "cert.pem").read_text())
    return made


async def test_tls_is_checked(tmp_path: Path) -> None:
    """A certificate from nobody is refused, one of a trusted authority is not; plain text is no TLS."""
    async with serve() as server:
        error = await failing(asking(server.url.replace("http:", "https:")))
        assert isinstance(error, Unreachable)
        assert "TLS" in str(error)
    if shutil.which("openssl") is None:
        return  # nothing here can make a certificate; the half above needs none
    pem = certificate(tmp_path)
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(pem)
    async with serve(tls=inside) as server:
        error = await failing(asking(server.url))
        assert isinstance(error, Unreachable)
        assert not error.retryable
        assert "certificate" in str(error)
        assert not server.requests
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        upstream = Upstream("cheap", f"{server.url}/v1", {}, decode_error, LIMITS, trusting)
        for body in (WHOLE, STREAM, STREAM):
            assert await ask(upstream, body)
        assert len(server.requests) == 3
        await upstream.close()
