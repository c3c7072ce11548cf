"""Uploaded files: the form they come in, who sees them, and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import stat
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.gateway.harness import CONFIG, Gateway, running
from tierwise.errors import BadRequest, NotFound, TierwiseError, Unsupported
from tierwise.gateway.batches.file_store import DAY, FILES_SIZE, BatchObject, FileObject, FileStore, NoRoom, sweep
from tierwise.gateway.setup.first_run import new_key
from tierwise.gateway.web.multipart import HEAD, PARTS, boundary, parse

SMALL = CONFIG + "\n[batches]\nmax_file_mb = 1\n"
LINE = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"support"}}\n'

# ------------------------------------------------------------------ the form

names = st.text(st.characters(exclude_characters='%\r\n\0"\\', codec="utf-8"), min_size=1, max_size=20)
quoted = st.text(st.characters(exclude_characters="%\0", codec="utf-8"), max_size=20)


def escaped(text: str) -> str:
    for raw, written in (("\\", "\\\\"), ('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(raw, written)
    return text


def form(parts: list[tuple[str, str | None, bytes]], mark: bytes = b"b0undary") -> bytes:
    pieces = []
    for name, filename, content in parts:
        said = f'form-data; name="{escaped(name)}"' + ("" if filename is None else f'; filename="{escaped(filename)}"')
        pieces.append(b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (mark, said.encode(), content))
    return b"".join(pieces) + b"--" + mark + b"--\r\n"


@given(
    st.lists(st.tuples(names, st.none() | quoted, st.binary(max_size=50)), max_size=5, unique_by=lambda part: part[0])
)
@example([("a", 'x"\\\r\n', b""), ("b", None, b"\r\n--b0undar\r\n\r\n")])
def test_what_was_put_into_a_form_comes_out(parts: list[tuple[str, str | None, bytes]]) -> None:
    """Names, file names and bytes, for any content that does not hold the boundary."""
    body = form(parts)
    if not parts:
        assert parse(b"--b0undary--", b"b0undary") == {}
        return
    found = parse(body, b"b0undary")
    assert [(name, part.filename, body[part.start : part.end]) for name, part in found.items()] == parts


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
def test_no_form_breaks_the_reader(noise: bytes, at: int, byte: int) -> None:
    """Of noise and of forms with a byte changed it says that they are none, or reads them; it never fails otherwise."""
    whole = form([("purpose", None, b"batch"), ("file", "x.jsonl", b"{}")])
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    for body in (noise, b"--b0undary" + noise, changed, whole[:at]):
        try:
            parts = parse(body, b"b0undary")
        except BadRequest:
            continue
        assert all(part.start <= part.end <= len(body) for part in parts.values())


DISPOSITION = b'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"preamble\r\n--b\r\n", "begin"),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\nx\r\n--b--epilogue", "end with"),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\nx\r\n--bb--", "end with"),
        (b"--b\r\n" + DISPOSITION + b"\r\n\r\nx", "breaks off"),
        (b"--b\r\n" + DISPOSITION + b"\r\nx: " + b"x" * HEAD + b"\r\n\r\nx\r\n--b--", "headers within"),
        ((b"--b\r\n" + DISPOSITION + b"\r\n\r\nx\r\n") * 2 + b"--b--", "one name"),
        (b"--b\r\n" + DISPOSITION + b"\r\n folded: 1\r\n\r\nx\r\n--b--", "header that is none"),
        (b"--b\r\n" + DISPOSITION + b"\r\n" + DISPOSITION + b"\r\n\r\nx\r\n--b--", "one twice"),
        (b"--b\r\n" + DISPOSITION + b"; name=b\r\n\r\nx\r\n--b--", "twice"),
        (b"--b\r\n" + DISPOSITION + b"\xff\r\n\r\nx\r\n--b--", "UTF-8"),
        (b"--b\r\n" + DISPOSITION + b'; filename="x\r\n\r\nx\r\n--b--', "form-data"),
        (b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--", "form-data"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "form-data"),
        (b"--b\r\n" + DISPOSITION + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--", "encoded"),
        (
            b"".join(b"--b\r\nContent-Disposition: form-data; name=%d\r\n\r\n\r\n" % n for n in range(PARTS + 1))
            + b"--b--",
            "more than",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, reason: str) -> None:
    """And told."""
    with pytest.raises(BadRequest, match=reason):
        parse(body, b"b")


def test_boundaries() -> None:
    """Bare and quoted ones are read; what names none, or none that can be, is refused."""
    assert boundary("multipart/form-data; boundary=abc") == b"abc"
    assert boundary('Multipart/Form-Data;boundary="a b:c"') == b"a b:c"
    for bad in (
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a "',
        f"multipart/form-data; boundary={'x' * 71}",
        'multipart/form-data; boundary="ü"',
    ):
        with pytest.raises(BadRequest, match="boundary"):
            boundary(bad)
    for other in (None, "", "application/json"):
        with pytest.raises(Unsupported, match="form"):
            boundary(other)


# ------------------------------------------------------------------ the door


def client(gate: Gateway, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gate.url, api_key=key or gate.key, max_retries=0)


async def another(gate: Gateway) -> str:
    """Another key's text, once the gateway knows it."""
    text = (await new_key(gate.config, gate.environment, "other", None))[1]
    async with asyncio.timeout(5):
        while True:
            headers = {"authorization": f"Bearer {text}"}
            async with gate.http.get(f"{gate.url}/models", headers=headers) as reply:
                if reply.status == 200:
                    return text
            await asyncio.sleep(0.05)


async def test_openai_sdk(tmp_path: Path) -> None:
    """Upload, list by pages, look at, fetch and delete; bytes come back as they went."""
    content = LINE * 3 + "ü\r\n--x\0".encode()
    async with running(tmp_path) as gate, client(gate) as sdk:
        made = [await sdk.files.create(file=("in.jsonl", content), purpose="batch") for _ in range(3)]
        first = made[0]
        assert (first.bytes, first.filename, first.purpose, first.status) == (
            len(content), "in.jsonl", "batch", "processed",
        )  # fmt: skip
        assert first.expires_at == first.created_at + 30 * DAY
        assert await sdk.files.retrieve(first.id) == first
        fetched = await sdk.files.content(first.id)
        assert fetched.content == content
        assert fetched.response.headers["x-request-id"].startswith("req_")
        assert [file.id async for file in sdk.files.list(limit=2)] == [file.id for file in reversed(made)]
        assert [file.id async for file in sdk.files.list(purpose="batch_output")] == []
        deleted = await sdk.files.delete(first.id)
        assert (deleted.id, deleted.deleted) == (first.id, True)
        with pytest.raises(openai.NotFoundError):
            await sdk.files.content(first.id)
        assert len([file async for file in sdk.files.list()]) == 2
        folder = tmp_path / "batches"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        kept = list((folder / gate.key_id).iterdir())
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
        assert sorted(path.suffix for path in kept) == [".data", ".data", ".json", ".json"]


async def test_another_key_sees_nothing(tmp_path: Path) -> None:
    """Not in lists, not by its id, not to delete."""
    async with running(tmp_path) as gate, client(gate) as sdk, client(gate, await another(gate)) as other:
        file = await sdk.files.create(file=("in.jsonl", LINE), purpose="batch")
        assert [found async for found in other.files.list()] == []
        for attempt in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                await attempt(file.id)
        assert (await sdk.files.content(file.id)).content == LINE


async def send(gate: Gateway, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    url = f"{gate.url}/files"
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with gate.http.post(url, data=data, headers=gate.headers(**headers)) as reply:
        return reply.status, await reply.json()


TYPE = "multipart/form-data; boundary=b0undary"
GOOD = [("purpose", None, b"batch"), ("file", "x", LINE)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../../etc/passwd", "passwd"),
        ("C:\\temp\\x.jsonl", "x.jsonl"),
        ("..", ".."),
        ("a/", "upload"),
        ("\x1b[2J", "[2J"),
    ],
)
async def test_a_path_in_the_name_leads_nowhere(tmp_path: Path, name: str, shown: str) -> None:
    """It is shown without its folders, and on the disk it has a name of ours."""
    async with running(tmp_path) as gate:
        status, file = await send(gate, form([GOOD[0], ("file", name, LINE)]), content_type=TYPE)
        assert (status, file["filename"]) == (200, shown)
        found = sorted(path.name for path in (tmp_path / "batches" / gate.key_id).iterdir())
        assert found == [f"{file['id']}.data", f"{file['id']}.json"]


async def test_hostile_uploads(tmp_path: Path) -> None:
    """Each is refused by status and reason, and nothing of it stays."""
    large = b"x" * ((1 << 20) + 1)
    cases: list[tuple[Any, dict[str, str], int, str]] = [
        (form([GOOD[0], ("file", "x", large)]), {"content_type": TYPE}, 413, "file"),
        (form([GOOD[0], ("file", "x", large * 2)]), {"content_type": TYPE}, 413, "file"),
        (LINE, {"content_type": "application/jsonl"}, 415, "form"),
        (LINE, {"content_type": "multipart/form-data"}, 400, "boundary"),
        (LINE, {"content_type": TYPE}, 400, "form"),
        (b"", {"content_type": TYPE}, 400, "form"),
        (form(GOOD)[:-4], {"content_type": TYPE}, 400, "form"),
        (form([("purpose", None, b"fine-tune"), GOOD[1]]), {"content_type": TYPE}, 400, "purpose"),
        (form([GOOD[1]]), {"content_type": TYPE}, 400, "purpose"),
        (form([GOOD[0]]), {"content_type": TYPE}, 400, "file"),
        (form([GOOD[0], ("file", "x", b"")]), {"content_type": TYPE}, 400, "file"),
        (form([GOOD[0], ("file", None, LINE)]), {"content_type": TYPE}, 400, "file"),
        (gzip.compress(bytes(50 << 20)), {"content_type": TYPE, "content_encoding": "gzip"}, 415, "unpacked"),
    ]
    async with running(tmp_path, config=SMALL) as gate:
        for body, headers, expected, reason in cases:
            status, said = await send(gate, body, **headers)
            assert (status, reason in said["error"]["message"]) == (expected, True), said
        assert list((tmp_path / "batches" / gate.key_id).iterdir()) == []


async def test_undeclared_and_cut_uploads(tmp_path: Path) -> None:
    """A body in pieces is format_lines as it comes; who leaves amid one leaves nothing behind."""

    async def pieces(count: int) -> Any:
        yield form(GOOD)[:-4]
        for _ in range(count):
            yield b"x" * 100_000
            await asyncio.sleep(0)

    async with running(tmp_path, config=SMALL) as gate:
        status, said = await send(gate, pieces(40), content_type=TYPE)
        assert (status, "1 MiB" in said["error"]["message"]) == (413, True)
        host, port = gate.url.removeprefix("http://").removesuffix("/v1").split(":")
        folder = tmp_path / "batches" / gate.key_id
        with socket.create_connection((host, int(port))) as sock:
            head = f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gate.key}\r\ncontent-type: {TYPE}\r\n"
            sock.sendall(head.encode() + b"content-length: 100000\r\n\r\n" + form(GOOD)[:100])
            async with asyncio.timeout(10):
                while not list(folder.iterdir()):
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while list(folder.iterdir()):
                await asyncio.sleep(0.01)
        assert (await gate.chat())[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "files?limit=0", 400),
        ("GET", "files?limit=x", 400),
        ("GET", "files?" + "a=1&" * 200, 400),
        ("GET", "files/..%2Ftierwise.pepper", 404),
        ("GET", "files/../../ledger.db/content", 404),
        ("GET", f"files/file-{'0' * 32}", 404),
        ("GET", f"files/file-{'0' * 32}/other", 404),
        ("DELETE", f"files/file-{'0' * 32}", 404),
        ("PUT", "files", 405),
    ],
)
async def test_other_requests(tmp_path: Path, method: str, path: str, status: int) -> None:
    """Refused, in OpenAI's shape."""
    async with running(tmp_path) as gate:
        reply = await gate.http.request(method, f"{gate.url}/{path}", headers=gate.headers())
        assert (reply.status, (await reply.json())["error"]["type"]) == (status, "invalid_request_error")


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Is a 503 that says so, with no name of a folder in it."""
    (tmp_path / "batches").write_text("in the way")
    async with running(tmp_path) as gate, client(gate) as sdk:
        with pytest.raises(openai.InternalServerError) as caught:
            await sdk.files.create(file=("x", LINE), purpose="batch")
        assert (caught.value.status_code, caught.value.code) == (503, "files_unavailable")
        assert str(tmp_path) not in caught.value.message


# ------------------------------------------------------------------ the store


def test_a_key_has_room_for_so_much(tmp_path: Path) -> None:
    """Together; another key has its own."""
    file_store = FileStore(tmp_path / "batches", 1000, 30)
    file_store.new_part("key_a").write_bytes(bytes(FILES_SIZE * 1000))
    file_store.new_part("key_a").write_bytes(b"x")
    with pytest.raises(NoRoom, match="delete some"):
        file_store.new_part("key_a")
    file_store.new_part("key_b")


def test_old_files_are_forgotten(tmp_path: Path) -> None:
    """After so many days, half-written ones after one; others stay."""
    file_store = FileStore(tmp_path / "batches", 1000, 30)
    now = 1_800_000_000.0
    ages = {"old.data": 31.0, "new.data": 29.0, "old.part": 1.1, "new.part": 0.9}
    folder = file_store.new_part("key_a").parent
    for name, days in ages.items():
        (folder / name).touch()
        os.utime(folder / name, (now, now - days * DAY))
    sweep(file_store, now)
    assert {path.name for path in folder.iterdir()} >= {"new.data", "new.part"}
    assert not {"old.data", "old.part"} & {path.name for path in folder.iterdir()}


def test_a_name_that_is_no_id_leads_nowhere(tmp_path: Path) -> None:
    """Not into another key's folder, were it only known."""
    file_store = FileStore(tmp_path / "batches", 1000, 30)
    file_store.new_part("key_a")
    file_store.new_part("key_b")
    file = FileObject(id=f"file-{'1' * 32}", bytes=1, created_at=1, expires_at=1, filename="x", purpose="batch")
    batch = BatchObject(id=f"batch_{'1' * 32}", endpoint="x", input_file_id=file.id, created_at=1, expires_at=1)
    file_store.add_file("key_b", file)
    file_store.write_batch("key_b", batch)
    assert (file_store.file("key_b", file.id), file_store.batch("key_b", batch.id)) == (file, batch)
    for attempt in (file_store.file, file_store.delete, file_store.batch):
        for name in (file.id, batch.id, f"../key_b/{file.id}", f"../key_b/{batch.id}"):
            with pytest.raises(NotFound):
                attempt("key_a", name)


def test_a_file_that_is_no_json_is_not_taken_for_one(tmp_path: Path) -> None:
    """Whoever runs the gateway is told which."""
    file_store = FileStore(tmp_path / "batches", 1000, 30)
    name = f"file-{'1' * 32}"
    (file_store.new_part("key_a").parent / f"{name}.json").write_text("{")
    with pytest.raises(TierwiseError, match=name):
        file_store.file("key_a", name)
