"""How a batch is run, without a door: limits, ends, failures, and what stands on the disk."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.batches.test_batches_api import CHAT, line
from tests.gateway.harness import GOOD, UPSTREAM_KEY, by_model, placed
from tests.support.shapes import Script
from tierwise.errors import RateLimited, StoreError
from tierwise.gateway.access.keyring import Keyring
from tierwise.gateway.access.limits import Grant, Limits
from tierwise.gateway.app import App
from tierwise.gateway.batches.context import Resources
from tierwise.gateway.batches.file_store import DAY, BatchObject, Counts, FileObject, FileStore, new_id
from tierwise.gateway.batches.lines import LINES_MAX, PendingLines, RequestLine, ResultFile, result_line, validate
from tierwise.gateway.batches.runner import PER_KEY, BatchRunner
from tierwise.gateway.running import Running
from tierwise.gateway.settings import pepper, read_environment
from tierwise.gateway.tables.batch_table import BatchesTable
from tierwise.gateway.wiring import open_engine
from tierwise.money import Tenant
from tierwise.types import Request, Route


class Crowded(Limits):
    """Refuses the first so many requests for a moment, and for ever, in some way, those that say so."""

    refusals = 5

    def admit(self, tenant: Tenant, request: Request, route: Route) -> Grant | None:
        if self.refusals:
            self.refusals -= 1
            raise RateLimited("for a moment", retry_after=0.01)
        match request.messages[0].text:
            case "never":
                raise RateLimited("it is too long for the limit")
            case "crash":
                raise ZeroDivisionError("of our own")
            case "ledger":
                raise StoreError("the ledger can't be written")
        return super().admit(tenant, request, route)


class RunnerHarness:
    """A runner without a door, and what was put into its file store."""

    def __init__(self, runner: BatchRunner, resources: Resources, key_id: str) -> None:
        self.runner = runner
        self.app = resources.app
        self.resources = resources
        self.file_store = resources.file_store
        self.key_id = key_id

    def begin(self, content: bytes, left: int = DAY) -> str:
        """A new batch's id. `left`: seconds of its window."""
        now_ns, now = self.app.engine.clock.now_ns(), self.resources.now
        file = FileObject(
            id=new_id("file-", now_ns),
            bytes=len(content),
            created_at=now,
            expires_at=now,
            filename="x",
            purpose="batch",
        )
        part = self.file_store.new_part(self.key_id)
        part.write_bytes(content)
        self.file_store.add_file(self.key_id, file, part)
        batch = BatchObject(
            id=new_id("batch_", now_ns),
            endpoint=CHAT,
            input_file_id=file.id,
            created_at=now + left - DAY,
            expires_at=now + left,
        )
        self.file_store.write_batch(self.key_id, batch)
        self.runner.wake()
        return batch.id

    async def ended(self, batch_id: str, *statuses: str) -> BatchObject:
        async with asyncio.timeout(5):
            while (batch := self.file_store.batch(self.key_id, batch_id)).status not in statuses:
                await asyncio.sleep(0.01)
        return batch

    def written(self, file_id: str | None) -> dict[str, Any]:
        raws = self.file_store.content_path(self.key_id, file_id or "").read_bytes().splitlines()
        return {found["custom_id"]: found for found in map(msgspec.json.decode, raws)}


@asynccontextmanager
async def harness(folder: Path, scripts: Sequence[Script] = ()) -> AsyncIterator[RunnerHarness]:
    async with placed(folder, *scripts) as place:
        environment = read_environment({"UPSTREAM_KEY": UPSTREAM_KEY, "HOME": str(folder)})
        engine = await open_engine(place.config, environment)
        keyring = Keyring(engine.store, pepper(place.config, environment), engine.clock)
        await keyring.refresh()
        app = App(Running(engine, 1 << 20), keyring)
        app.limits = Crowded(engine.clock)
        resources = Resources(app, FileStore(folder / "batches", 1 << 20, 30), 2, asyncio.Semaphore(2))
        runner = BatchRunner(resources)
        following = asyncio.ensure_future(runner.follow())
        try:
            yield RunnerHarness(runner, resources, place.key_id)
        finally:
            following.cancel()
            await runner.close()
            await engine.close()


async def test_rate_limits_are_waited_for(tmp_path: Path) -> None:
    """A line that is refused for now is asked again; one that never fits is an error line."""
    async with harness(tmp_path) as at:
        batch_id = at.begin(line("a") + line("b") + line("c", "never"))
        batch = await at.ended(batch_id, "completed")
        assert batch.request_counts == Counts(3, 2, 1)
        error = at.written(batch.error_file_id)["c"]["response"]
        assert (error["status_code"], error["body"]["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_a_line_that_crashes_is_one_line(tmp_path: Path) -> None:
    """It has an error that quotes nothing; the others are answered."""
    async with harness(tmp_path) as at:
        batch = await at.ended(at.begin(line("a", "crash") + line("b") + line("c")), "completed")
        assert batch.request_counts == Counts(3, 2, 1)
        response = at.written(batch.error_file_id)["a"]["response"]
        assert response["status_code"] == 500
        assert "of our own" not in str(response)


async def test_a_ledger_that_fails_is_no_answer(tmp_path: Path) -> None:
    """Such a line waits: it is in no file, and can be cancelled."""
    async with harness(tmp_path) as at:
        batch_id = at.begin(line("a") + line("b", "ledger"))
        async with asyncio.timeout(5):
            while at.file_store.batch(at.key_id, batch_id).request_counts.completed < 1:
                await asyncio.sleep(0.02)
        assert at.file_store.batch(at.key_id, batch_id).status == "in_progress"
        at.file_store.cancel(at.key_id, batch_id, at.resources.now)
        at.runner.wake()
        batch = await at.ended(batch_id, "cancelled")
        assert (batch.request_counts, batch.error_file_id) == (Counts(2, 1, 0), None)


async def test_stopping_is_no_answer(tmp_path: Path) -> None:
    """What a stop cuts off has no result, not even an error; it is for whoever goes on."""
    async with harness(tmp_path, by_model(Script(text=GOOD, delay=0.8))) as at:
        batch_id = at.begin(b"".join(line(str(number)) for number in range(9)))
        async with asyncio.timeout(5):
            while len(at.app.watches) < 2:
                await asyncio.sleep(0.01)
        at.app.abandon()
        async with asyncio.timeout(5):
            while at.app.watches:
                await asyncio.sleep(0.01)
        await at.runner.close()
        batch = at.file_store.batch(at.key_id, batch_id)
        assert (batch.status, batch.request_counts) == ("in_progress", Counts(9, 0, 0))
        assert at.written(f"file-{batch_id.removeprefix('batch_')}-errors") == {}


async def test_a_batch_that_can_not_be_written_is_not_in_the_way(tmp_path: Path) -> None:
    """It is left for later, without an end; others go on."""
    async with harness(tmp_path) as at:
        at.app.limits.refusals = 0  # type: ignore[attr-defined]
        batch_id = at.begin(line("a"))
        at.file_store.content_path(at.key_id, f"file-{batch_id.removeprefix('batch_')}-output").mkdir()
        await at.ended(at.begin(line("a")), "completed")
        assert at.file_store.batch(at.key_id, batch_id).status == "validating"


async def test_so_many_batches_of_a_key_at_a_time(tmp_path: Path) -> None:
    """The others wait for their turn, the oldest first."""
    async with harness(tmp_path, by_model(Script(text=GOOD, delay=0.02))) as at:
        ids = [at.begin(b"".join(line(str(number)) for number in range(4))) for _ in range(PER_KEY + 2)]
        most = 0
        while at.file_store.batch(at.key_id, ids[-1]).status == "validating":
            statuses = [at.file_store.batch(at.key_id, each).status for each in ids]
            most = max(most, statuses.count("in_progress"))
            await asyncio.sleep(0.005)
        for each in ids:
            await at.ended(each, "completed")
        assert most == PER_KEY


async def test_expired(tmp_path: Path) -> None:
    """What was not asked within the window has an error line that says so."""
    async with harness(tmp_path) as at:
        batch = await at.ended(at.begin(line("a") + line("b"), left=0), "expired")
        assert (batch.request_counts, batch.output_file_id) == (Counts(2, 0, 2), None)
        found = at.written(batch.error_file_id)["a"]
        assert (found["response"], found["error"]["code"]) == (None, "batch_expired")


async def test_a_key_that_is_revoked(tmp_path: Path) -> None:
    """Ends its batches: no line more is asked."""
    async with harness(tmp_path, by_model(Script(text=GOOD, delay=0.05))) as at:
        batch_id = at.begin(b"".join(line(str(number)) for number in range(500)))
        await at.ended(batch_id, "in_progress")
        config = at.app
        assert await config.engine.store.revoke_key(at.key_id, 1)
        await config.keyring.refresh()
        batch = await at.ended(batch_id, "failed")
        assert batch.errors is not None
        assert batch.errors.data[0].code == "key_revoked"
        assert batch.request_counts.completed < 500


async def test_input_that_is_gone(tmp_path: Path) -> None:
    """Deleted before it was begun with: the batch has failed, and others go on."""
    async with harness(tmp_path) as at:
        torn = at.file_store.new_part(at.key_id).parent / f"batch_{'0' * 32}.json"
        torn.write_text("{")
        batch_id = at.begin(line("a"))
        input_file = at.file_store.batch(at.key_id, batch_id).input_file_id
        at.file_store.delete(at.key_id, input_file)
        batch = await at.ended(batch_id, "failed")
        assert batch.errors is not None
        assert batch.errors.data[0].code == "file_not_found"
        await at.ended(at.begin(line("a")), "completed")


# ------------------------------------------------------------------ lines


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        (b"", "empty_file", None),
        (b"\n \n", "empty_file", None),
        (line("a") + b"{\n", "invalid_json_line", 2),
        (line("a") + b"\n\xff\n", "invalid_json_line", 3),
        (b"[1]", "invalid_line", 1),
        (line("a") + line("b") + line("a"), "duplicate_custom_id", 3),
        (line(""), "invalid_custom_id", 1),
        (line("x" * 513), "invalid_custom_id", 1),
        (line("a").replace(b"POST", b"GET"), "invalid_method", 1),
        (line("a", url="/v1/responses"), "mismatched_url", 1),
        (line("a", stream=True), "streamed", 1),
        (line("a").replace(b"custom_id", b"customid"), "invalid_line", 1),
        (b'{"custom_id":"a","method":"POST","url":"%b","body":[]}' % CHAT.encode(), "invalid_body", 1),
        (line("a") + line("b", "x" * 2000), "line_too_long", 2),
    ],
)
def test_lines_that_are_wrong(tmp_path: Path, content: bytes, code: str, number: int | None) -> None:
    """The line is named, and nothing of what it says is quoted."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    problem = validate(path, CHAT, 1000).problems[0]
    assert (problem.code, problem.line) == (code, number)
    assert number is None or f"Line {number}:" in problem.message
    assert "parcel" not in problem.message


def test_too_many_lines(tmp_path: Path) -> None:
    """Are format_lines to the limit exactly."""
    path = tmp_path / "in.jsonl"
    shortest = b"".join(
        b'{"custom_id":"%d","method":"POST","url":"%b","body":{}}\n' % (number, CHAT.encode())
        for number in range(LINES_MAX)
    )
    path.write_bytes(shortest)
    assert validate(path, CHAT, 1000) == (LINES_MAX, ())
    path.write_bytes(shortest + line("one more"))
    assert [problem.code for problem in validate(path, CHAT, 1000).problems] == ["too_many_lines"]


def test_bodies_travel_byte_for_byte(tmp_path: Path) -> None:
    """Large integers, order and white space of a request; an answer of several lines becomes one."""
    body = b'{ "z": 12345678901234567890,  "a": "\\u00fc" }'
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"custom_id":"a","method":"POST","url":"%b","body":%b}' % (CHAT.encode(), body))
    assert validate(path, CHAT, 1000).problems == ()
    source = PendingLines(path, 1000, ())
    found = source.next()
    assert found is not None
    assert source.next() is None
    assert bytes(found.body) == body
    result = result_line(found, "req_1", 200, b'{\r\n  "a":\n1e400, "b": "x\\ny"}')
    assert result.count(b"\n") == 1
    assert b'{    "a": 1e400, "b": "x\\ny"}' in result


def test_a_result_file_forgets_what_was_cut(tmp_path: Path) -> None:
    """At whatever byte the end was cut; what is before it stays, what is appended is after it."""
    path = tmp_path / "out"
    asked = [RequestLine(name, "POST", CHAT, msgspec.Raw(b"{}")) for name in ("a", "b")]
    whole = [result_line(each, "req_1", 200, b"{}") for each in asked]
    for cut in range(len(whole[1])):
        path.write_bytes(whole[0] + whole[1][:cut])
        found = ResultFile(path)
        assert found.done == {"a"}
        found.append(asked[1], whole[1])
        found.close()
        assert path.read_bytes() == whole[0] + whole[1]
    path.write_bytes(bytes(100) + whole[0])
    found = ResultFile(path)
    found.close()
    assert (found.done, path.read_bytes()) == (set(), b"")


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where the disk is full nothing of it stays, and it does not count."""
    asked = [RequestLine(name, "POST", CHAT, msgspec.Raw(b"{}")) for name in ("a", "b")]
    whole = result_line(asked[0], "req_1", 200, b"{}")
    found = ResultFile(tmp_path / "out")
    found.append(asked[0], whole)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (10, 0):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + room, hard))
        try:
            with pytest.raises(OSError):
                found.append(asked[1], whole)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert ((tmp_path / "out").read_bytes(), found.done) == (whole, {"a"})
    found.append(asked[1], whole)
    found.close()
    assert (tmp_path / "out").read_bytes() == whole * 2


def test_where_files_are(tmp_path: Path) -> None:
    """Next to the store, or where the config says, from its folder on."""
    store = tmp_path / "data" / "tierwise.db"
    assert BatchesTable().path(tmp_path, store) == tmp_path / "data" / "batches"
    assert BatchesTable(folder="files").path(tmp_path, store) == tmp_path / "files"
    assert BatchesTable(folder="/srv/files").path(tmp_path, store) == Path("/srv/files")
