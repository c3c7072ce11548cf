"""One upstream against a scripted provider on a real socket: pool, limits, retries, budget, breaker."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.client import PATH, STREAM, WHOLE, ask, failing, pair
from tests.support.upstream import Script
from tierwise.errors import Overloaded, Refused, TimedOut, Torn, Unreachable
from tierwise.providers.resilience import Breaker, RetryBudget

# ------------------------------------------------------------------ the plain course


async def test_a_whole_answer() -> None:
    """The request goes out with our headers and body; status, headers and body come back."""
    async with pair(Script(text="forty-two")) as (upstream, server):
        reply = await upstream.open(PATH, WHOLE)
        body = json.loads(await reply.read())
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert body["choices"][0]["message"]["content"] == "forty-two"
    (received,) = server.requests
    assert (received.method, received.path, received.body) == ("POST", "/v1/chat/completions", json.loads(WHOLE))
    assert received.headers == {
        "host": server.url.removeprefix("http://"),
        "user-agent": "tierwise",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "authorization": "Bearer k",
        "content-length": str(len(WHOLE)),
    }


async def test_a_stream_comes_as_it_is_made() -> None:
    """Pieces arrive while the provider still works, and end at its end."""
    async with pair(Script(tokens=("a", "b", "c"), gap=0.01)) as (upstream, server):
        reply = await upstream.open(PATH, STREAM)
        pieces = [piece async for piece in reply.pieces()]
        reply.close()
        assert len(pieces) >= 3
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
        assert server.billed == {"req-1": 3}


async def test_connections_are_used_again() -> None:
    """One after another needs one connection, whole or streamed; at the same time, one each."""
    async with pair() as (upstream, server):
        for body in (WHOLE, STREAM) * 5:
            await ask(upstream, body)
        assert server.accepted == 1
        await asyncio.gather(*(ask(upstream) for _ in range(8)))
        await asyncio.gather(*(ask(upstream) for _ in range(8)))
        assert server.accepted == 8
        assert len(server.requests) == 26


async def test_connections_have_a_limit() -> None:
    """One call more than there are connections is told so at once; it does not count as the provider's failure."""
    async with pair(Script(delay=0.2), connections=1) as (upstream, server):
        upstream.breaker = Breaker(limit=1)
        first = asyncio.create_task(ask(upstream))
        await asyncio.wait_for(server.asked.wait(), 10.0)
        error = await failing(upstream)
        assert isinstance(error, Overloaded)
        assert "limits.connections" in str(error)
        assert await first


async def test_finish_saves_a_connection_whose_last_packet_is_late() -> None:
    """A dialect's end marker may come before HTTP's: the connection waits for it instead of being dropped."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with pair(Script(raw=head + b"4\r\ndone", times=1), Script()) as (upstream, server):
        reply = await upstream.open(PATH, STREAM)
        assert await anext(reply.pieces()) == b"done"
        reply.finish()
        reply.close()
        next(iter(server.connections)).send(b"\r\n0\r\n\r\n")
        await asyncio.sleep(0.02)  # nothing tells when a packet has arrived at an end that nobody reads
        await ask(upstream)
        assert server.accepted == 1


# ------------------------------------------------------------------ letting go


async def test_closing_a_reply_stops_the_provider() -> None:
    """A stream that nobody wants is aborted at once, and its connection not used again."""
    async with pair(Script(tokens=("x",) * 1000, gap=0.005)) as (upstream, server):
        reply = await upstream.open(PATH, STREAM)
        await anext(reply.pieces())
        reply.close()
        reply.close()
        await asyncio.wait_for(server.aborted.wait(), 10.0)
        assert server.aborts[0].tokens < 100
        with pytest.raises(Torn):
            await reply.read()


async def test_cancelling_a_call_stops_the_provider() -> None:
    """A call that is cancelled while it waits for its head leaves no connection behind."""
    async with pair(Script(delay=30.0)) as (upstream, server):
        call = asyncio.create_task(upstream.open(PATH, WHOLE))
        await asyncio.wait_for(server.asked.wait(), 10.0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.aborted.wait(), 10.0)
        assert server.aborts[0].tokens == 0


# ------------------------------------------------------------------ answers that break


@pytest.mark.parametrize(
    ("script", "body"),
    [
        (Script(cut=0), WHOLE),
        (Script(cut=2), STREAM),
        (Script(cut=2, gap=0.001), STREAM),
        (Script(raw=b"<html>secret"), WHOLE),
        (Script(raw=b"HTTP/1.1 200 OK\r\nx: " + b"secret" * 20_000), WHOLE),
    ],
)
async def test_a_broken_answer_is_torn(script: Script, body: bytes) -> None:
    """Cut, no HTTP, or a head without end: never an end, never asked again, never quoted."""
    async with pair(script) as (upstream, server):
        error = await failing(upstream, body)
        assert isinstance(error, Torn)
        assert "secret" not in str(error)
        assert len(server.requests) == 1


@pytest.mark.parametrize("body", [WHOLE, STREAM])
async def test_an_answer_over_the_limit_is_torn(body: bytes) -> None:
    """Memory is bounded whatever a provider sends."""
    async with pair(Script(huge=16_000_000), max_answer=100_000) as (upstream, server):
        error = await failing(upstream, body)
        assert isinstance(error, Torn)
        assert "limits.max_answer" in str(error)
        await asyncio.wait_for(server.aborted.wait(), 10.0)


@pytest.mark.parametrize(
    ("script", "limits", "said"),
    [
        (Script(delay=30.0), {"first_byte": 0.05}, "no answer's first byte within 0.05 s (limits.first_byte)"),
        (Script(first=30.0), {"first_byte": 0.05}, "no answer's first byte within 0.05 s (limits.first_byte)"),
        (Script(gap=30.0), {"idle": 0.05}, "stood still for 0.05 s (limits.idle)"),
        (Script(gap=0.01, tokens=("x",) * 1000), {"total": 0.1}, "not at its end after 0.1 s (limits.total)"),
    ],
)
async def test_silence_has_limits(script: Script, limits: dict[str, float], said: str) -> None:
    """Each limit says which one it is; a call that ran out of time is not made again."""
    async with pair(script, **limits) as (upstream, server):
        # Anthropic's and OpenAI's first event holds no token, so `first` is silence before the body only for whole ones
        error = await failing(upstream, WHOLE if script.first else STREAM)
        assert isinstance(error, TimedOut)
        assert said in str(error)
        assert len(server.requests) == 1


# ------------------------------------------------------------------ asking again


async def test_a_retry_succeeds() -> None:
    """Twice 5xx, then an answer."""
    async with pair(Script(status=503, times=1), Script(status=529, times=1), Script()) as (upstream, server):
        assert await ask(upstream)
        assert len(server.requests) == 3
        assert server.accepted == 1  # a refusal that was read leaves its connection usable


@pytest.mark.parametrize(
    ("script", "asked"), [(Script(status=500), 3), (Script(drop=True), 3), (Script(status=400), 1)]
)
async def test_retries_are_few_and_only_where_they_help(script: Script, asked: int) -> None:
    """At most two more tries; none for what our own request is to blame for."""
    async with pair(script) as (upstream, server):
        error = await failing(upstream)
        assert len(server.requests) == asked
        assert isinstance(error, Unreachable if script.drop else Refused if asked == 1 else Overloaded)
        assert error.upstream == (None if script.drop else script.status)


async def test_retry_after_is_honoured_where_it_is_short() -> None:
    """It waits as long as it was asked to."""
    script = Script(status=429, headers={"Retry-After-Ms": "60"}, times=1)
    async with pair(script, Script()) as (upstream, server):
        began = asyncio.get_running_loop().time()
        await ask(upstream)
        assert asyncio.get_running_loop().time() - began >= 0.055
        assert len(server.requests) == 2


async def test_a_long_retry_after_is_passed_on() -> None:
    """Who asks for half a minute is left to the plan, which has other models."""
    async with pair(Script(status=429, headers={"Retry-After": "30"})) as (upstream, server):
        error = await failing(upstream)
        assert (error.retry_after, error.upstream, len(server.requests)) == (30.0, 429, 1)


async def test_a_retry_that_would_end_after_the_total_limit_is_not_made() -> None:
    """The total limit covers the waits too."""
    async with pair(Script(status=429, headers={"Retry-After": "2"}), total=1.0) as (upstream, server):
        await failing(upstream)
        assert len(server.requests) == 1


async def test_the_retry_budget_ends_retries() -> None:
    """When the budget is spent, a failure is told at once."""
    async with pair(Script(status=500)) as (upstream, server):
        upstream.breaker = Breaker(limit=100)
        upstream.budget = RetryBudget(share=0.0, floor=1)
        for asked in (2, 3, 4):
            await failing(upstream)
            assert len(server.requests) == asked


async def test_a_kept_connection_that_died_is_replaced_for_free() -> None:
    """A provider may drop a connection that rested: the call starts anew, without touching the budget."""
    async with pair(Script(times=1), Script(drop=True, times=1), Script()) as (upstream, server):
        upstream.budget = RetryBudget(share=0.0, floor=0)
        await ask(upstream)
        await ask(upstream)
        assert (server.accepted, len(server.requests)) == (2, 3)


# ------------------------------------------------------------------ the breaker


async def test_the_breaker_opens_and_a_probe_closes_it() -> None:
    """After failures in a row nobody is sent there; after the pause one probe is, and its success ends it."""
    async with pair(Script(status=500, times=3), Script()) as (upstream, server):
        upstream.breaker = Breaker(limit=3, pause=0.2)
        upstream.budget = RetryBudget(share=0.0, floor=0)
        for _ in range(3):
            assert isinstance(await failing(upstream), Overloaded)
        error = await failing(upstream)
        assert isinstance(error, Overloaded)
        assert "breaker" in str(error)
        assert len(server.requests) == 3
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 0.2
        await asyncio.sleep(error.retry_after + 0.005)
        assert await ask(upstream)
        assert not upstream.breaker.open


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        (Script(status=500), True),
        (Script(drop=True), True),
        (Script(cut=0), True),
        (Script(delay=30.0), True),
        (Script(status=429), False),
        (Script(status=401), False),
        (Script(), False),
    ],
)
async def test_what_counts_for_the_breaker(script: Script, counts: bool) -> None:
    """Failures of the provider do, also while a body is read; limits reached and our own mistakes do not."""
    async with pair(script, first_byte=0.02 if script.delay else 3.0) as (upstream, _):
        upstream.breaker = Breaker(limit=1)
        upstream.budget = RetryBudget(share=0.0, floor=0)
        await asyncio.gather(ask(upstream), return_exceptions=True)
        assert upstream.breaker.open is counts


async def test_an_answer_that_its_dialect_finds_broken_counts() -> None:
    """HTTP went well, the answer did not: such failures in a row open the breaker too."""
    async with pair(Script(garbage=True)) as (upstream, _):
        upstream.breaker = Breaker(limit=2)
        for _ in range(2):
            assert not upstream.breaker.open
            reply = await upstream.open(PATH, WHOLE)
            await reply.read()
            reply.broken()
            reply.close()
        assert upstream.breaker.open


async def test_a_call_that_its_client_left_says_nothing_about_the_provider() -> None:
    """Neither a failure nor a success: failures in a row stay in a row."""
    async with pair(Script(status=500, times=1), Script(tokens=("a", "b"), gap=0.2)) as (upstream, server):
        upstream.breaker = Breaker(limit=2)
        upstream.budget = RetryBudget(share=0.0, floor=0)
        await failing(upstream)
        reply = await upstream.open(PATH, STREAM)
        await anext(reply.pieces())
        reply.close()
        server.scripts.insert(0, Script(status=500))
        await failing(upstream)
        assert upstream.breaker.open
