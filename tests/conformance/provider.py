"""The suite that every provider passes. A case is a function of a Lab, which makes its provider do what a Script says.

A provider's test module writes a Lab and runs `cases(lab.can)`, one test a case. What a provider can't be made to do
(a real model answers what it likes) is not in its `can`, and cases that need it are left out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pytest

from tests.support.shapes import Script
from tierwise.core.join import join
from tierwise.dialects.openai_chat import decode_request
from tierwise.errors import Overloaded, ProviderError, Refused, TimedOut, Torn, Unreachable
from tierwise.ports import Batch, Provider
from tierwise.types import Answer, Chunk, Finish, Model, Request, Usage

Ability = Literal[
    "exact",  # says what the script says: text, counts, finish
    "tools",
    "reasoning",
    "logprobs",
    "faults",  # statuses, cuts and silence happen as the script says
    "wire",  # the script has bytes of its own to break
    "down",  # can be pointed at nothing
]
EVERYTHING: frozenset[Ability] = frozenset({"exact", "tools", "reasoning", "logprobs", "faults", "wire", "down"})
LONG = Script(tokens=(" word",) * 200, gap=0.02)  # 4 s: long enough to leave, short enough to fail by waiting
LATER = {"retry-after": "30"}  # further off than anyone waits, so that the error comes at once
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@dataclass(frozen=True)
class Bench:
    """A provider at work. `asked` returns once its upstream has a request, `left` once that saw its client leave."""

    provider: Provider
    model: Model
    asked: Callable[[], Awaitable[None]]
    left: Callable[[], Awaitable[None]]

    def stream(self, words: str = "Hello", *, stream: bool = True, **fields: Any) -> Any:
        return self.provider.stream(self.model, ask(words, stream=stream, **fields))


class Lab(Protocol):
    @property
    def can(self) -> frozenset[Ability]: ...

    def open(
        self, *scripts: Script, first: float = 5.0, idle: float = 5.0, down: bool = False
    ) -> AbstractAsyncContextManager[Bench]:
        """A bench whose upstream follows `scripts`. Seconds: `first` to the first byte, `idle` between bytes."""
        ...


def ask(words: str = "Hello", *, stream: bool = True, **fields: Any) -> Request:
    """A request as a client writes it, with whatever else the body is to hold."""
    body = {"model": "m", "messages": [{"role": "user", "content": words}], "stream": stream, "max_tokens": 32}
    return decode_request(json.dumps(body | fields).encode(), "r")


async def batches(bench: Bench, words: str = "Hello", got: list[Batch] | None = None, **fields: Any) -> list[Batch]:
    """All batches, which are never empty; `got` keeps what came before an error."""
    got = [] if got is None else got
    async with aclosing(bench.stream(words, **fields)) as stream:
        async for batch in stream:
            assert batch
            assert all(isinstance(chunk, Chunk) for chunk in batch)
            got.append(batch)
    return got


async def answer(bench: Bench, words: str = "Hello", **fields: Any) -> Answer:
    """The joined answer, which has always come to an end."""
    joined = join(bench.model.name, [chunk for batch in await batches(bench, words, **fields) for chunk in batch])
    assert joined.choices
    assert all(choice.finish is not None for choice in joined.choices)
    return joined


async def failure(bench: Bench, **fields: Any) -> tuple[ProviderError, list[Batch]]:
    """The error of a call, which names the model and comes in place of an end, and what came before it."""
    got: list[Batch] = []
    with pytest.raises(ProviderError) as caught:
        await batches(bench, got=got, **fields)
    assert caught.value.model == bench.model.name
    assert all(chunk.finish is None for batch in got for chunk in batch)
    return caught.value, got


Check = Callable[[Lab], Awaitable[None]]
_CASES: list[tuple[frozenset[Ability], Check]] = []


def case(*needs: Ability) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        _CASES.append((frozenset(needs), check))
        return check

    return register


def cases(can: frozenset[Ability]) -> list[Any]:
    """The cases for a provider that `can`, as values for `pytest.mark.parametrize("check", ...)`."""
    return [pytest.param(check, id=check.__name__) for needs, check in _CASES if needs <= can]


async def run(check: Check, lab: Lab) -> None:
    """One case, in at most 20 seconds."""
    async with asyncio.timeout(20):
        await check(lab)


# ------------------------------------------------------------------ answers


@case()
async def whole_and_streamed_say_the_same(lab: Lab) -> None:
    """The whole answer is the joined stream; whole, it is one batch."""
    script = Script(text="The answer, of course,\nis forty-two: ≈ 42.")
    async with lab.open(script) as bench:
        streamed = await answer(bench, temperature=0)
        (batch,) = await batches(bench, stream=False, temperature=0)
        whole = join(bench.model.name, batch)
        assert whole.text
        assert streamed.text
        if "exact" in lab.can:
            assert streamed.text == whole.text == script.text
            assert streamed.choices == whole.choices


@case()
async def usage_comes_both_ways(lab: Lab) -> None:
    """Usage is there whole and streamed, whether or not the client asks for it; input counts cached tokens."""
    async with lab.open(Script(input_tokens=120, cached_tokens=100, output_tokens=9)) as bench:
        streamed, whole = await answer(bench), await answer(bench, stream=False)
        asked = await answer(bench, stream_options={"include_usage": True})
        assert streamed.usage is not None
        assert whole.usage is not None
        if "exact" in lab.can:
            assert streamed.usage == whole.usage == asked.usage == Usage(120, 9, 100)
        assert streamed.usage.input_tokens == whole.usage.input_tokens >= streamed.usage.cache_read_tokens
        assert min(streamed.usage.output_tokens, whole.usage.output_tokens) > 0


@case("exact")
async def usage_that_is_not_told_is_none(lab: Lab) -> None:
    """A provider that counts nothing is not taken to have counted zero."""
    async with lab.open(Script(no_usage=True)) as bench:
        assert (await answer(bench)).usage is None
        assert (await answer(bench, stream=False)).usage is None


@case("exact")
async def finish_reasons(lab: Lab) -> None:
    """Why it stopped, whole and streamed."""
    reasons: tuple[Finish, ...] = ("stop", "length", "content_filter")
    for reason in reasons:
        async with lab.open(Script(finish=reason)) as bench:
            assert (await answer(bench)).choices[0].finish == reason
            assert (await answer(bench, stream=False)).choices[0].finish == reason


@case("exact")
async def an_answer_of_nothing(lab: Lab) -> None:
    """An answer may be empty; it still ends."""
    async with lab.open(Script(text="")) as bench:
        assert (await answer(bench)).text == (await answer(bench, stream=False)).text == ""


@case("exact", "tools")
async def tool_calls_join_by_index(lab: Lab) -> None:
    """Calls streamed in pieces join to what the whole answer says, beside text."""
    calls = (("look", '{"at":[1,2],"wörd":"x"}'), ("wait", "{}"), ("look", '{"at":[]}'))
    async with lab.open(Script(text="So:", tool_calls=calls)) as bench:
        for stream in (True, False):
            choice = (await answer(bench, stream=stream, tools=[TOOL])).choices[0]
            said = [(call.name, json.loads(call.arguments)) for call in choice.tool_calls]
            assert said == [(name, json.loads(arguments)) for name, arguments in calls]
            assert len({call.id for call in choice.tool_calls}) == len(calls)
            assert (choice.text, choice.finish) == ("So:", "tool_calls")


@case("exact", "reasoning")
async def reasoning_is_kept_apart(lab: Lab) -> None:
    """Thinking is not text, and not lost."""
    async with lab.open(Script(text="42", reasoning="Let me think")) as bench:
        for stream in (True, False):
            choice = (await answer(bench, stream=stream)).choices[0]
            assert (choice.text, choice.reasoning) == ("42", "Let me think")


@case("logprobs")
async def logprobs_come_where_asked(lab: Lab) -> None:
    """Log-probabilities, one a token, whole and streamed."""
    async with lab.open(Script(text="One two three", logprob=-0.25)) as bench:
        for stream in (True, False):
            logprobs = (await answer(bench, stream=stream, logprobs=True)).choices[0].logprobs
            assert logprobs
            assert all(value <= 0 for value in logprobs)
            if "exact" in lab.can:
                assert logprobs == (-0.25,) * 3


@case("exact")
async def calls_at_once_do_not_mix(lab: Lab) -> None:
    """Fifty calls at once, whole and streamed, each get their own answer."""
    scripts = [Script(match=f"<{n}>", text=f"This is answer {n} of 50", gap=0.001) for n in range(50)]
    async with lab.open(*scripts) as bench:
        answers = await asyncio.gather(*(answer(bench, f"<{n}>", stream=n % 2 == 0) for n in range(50)))
    assert [one.text for one in answers] == [script.text for script in scripts]


# ------------------------------------------------------------------ leaving


@case()
async def closing_early_stops_the_upstream(lab: Lab) -> None:
    """Closing the generator after its first batch is seen upstream within two seconds; the next call is answered."""
    async with lab.open(Script(match="next"), LONG) as bench:
        stream = bench.stream("Count to a thousand, in words", max_tokens=1000)
        assert await anext(stream)
        async with asyncio.timeout(2):
            await stream.aclose()
            await bench.left()
        assert (await answer(bench, "next")).choices


@case("exact")
async def cancelling_while_waiting_stops_the_upstream(lab: Lab) -> None:
    """A task that is cancelled before anything has come stops the upstream too."""
    for stream in (True, False):
        async with lab.open(Script(first=4.0)) as bench:
            task = asyncio.create_task(batches(bench, stream=stream))
            await bench.asked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(2):
                await bench.left()


@case()
async def closing_before_the_start_asks_nobody(lab: Lab) -> None:
    """A generator that is closed before it began has done nothing."""
    async with lab.open(Script()) as bench:
        await bench.stream().aclose()


@case()
async def closing_the_provider_twice(lab: Lab) -> None:
    """The provider may be closed twice, used or not."""
    async with lab.open(Script()) as bench:
        await answer(bench, stream=False)
        await bench.provider.close()
        await bench.provider.close()


# ------------------------------------------------------------------ faults


@case("exact", "faults")
async def a_cut_is_never_an_end(lab: Lab) -> None:
    """Wherever a stream is cut, what came before is given, no end is, and it is torn; half a body is no answer."""
    words = ("One", " two", " three", " four")
    for cut in range(len(words)):
        async with lab.open(Script(tokens=words, cut=cut)) as bench:
            error, got = await failure(bench)
        # before the first token there may have been no answer at all
        assert isinstance(error, Torn if cut else (Torn, Unreachable))
        assert "".join(words[:cut]) == "".join(chunk.text for batch in got for chunk in batch)
    async with lab.open(Script(cut=1)) as bench:
        error, got = await failure(bench, stream=False)
    assert isinstance(error, Torn)
    assert not got


@case("wire")
async def no_end_marker_is_no_end(lab: Lab) -> None:
    """A stream that closes cleanly without saying that it is done is torn."""
    async with lab.open(Script(no_end=True)) as bench:
        assert isinstance((await failure(bench))[0], Torn)


@case("wire")
async def garbage_is_torn(lab: Lab) -> None:
    """What should be JSON and is none is torn, whole and streamed."""
    async with lab.open(Script(garbage=True)) as bench:
        for stream in (True, False):
            assert isinstance((await failure(bench, stream=stream))[0], Torn)


@case("wire")
async def an_error_inside_the_stream(lab: Lab) -> None:
    """An error event is an error, whose words are not repeated, and no end."""
    async with lab.open(Script(in_band_error=True, error="the-secret-words")) as bench:
        error, _ = await failure(bench)
    assert error.retryable
    assert "the-secret-words" not in error.message


@case("wire")
async def bytes_of_any_kind(lab: Lab) -> None:
    """Whatever comes down the wire, it is a ProviderError and nothing else."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    for raw in (
        b"\x00\xff\x00\xff\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        head + b"content-length: 0\r\n\r\n",
        head + b"content-length: 2\r\n\r\n{}",
        head + b"content-length: 4\r\n\r\nnull",
        head + b"content-length: 9\r\n\r\ndata: \xff\xff\n",
        head + b"content-length: 16\r\n\r\ndata: [DONE]\n\n\n\n",
        head + b"content-length: 20\r\n\r\n" + b"[" * 20,
        head + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ):
        async with lab.open(Script(raw=raw, close=True, cut=0)) as bench:
            for stream in (True, False):
                await failure(bench, stream=stream)


@case("exact", "faults")
async def too_many_requests(lab: Lab) -> None:
    """A limit reached is an overload: it may be tried again, after as long as the provider says."""
    async with lab.open(Script(status=429, headers=LATER, error="the-secret-words")) as bench:
        for stream in (True, False):
            error, _ = await failure(bench, stream=stream)
            assert isinstance(error, Overloaded)
            assert error.retryable
            assert error.upstream == 429
            assert "the-secret-words" not in error.message
            if "wire" in lab.can:
                assert error.retry_after == 30.0


@case("wire")
async def breakdowns_of_the_provider(lab: Lab) -> None:
    """Its own failures are overloads too, and its words stay with it."""
    for status in (500, 502, 503, 504, 529):
        async with lab.open(Script(status=status, headers=LATER, error="the-secret-words")) as bench:
            error, _ = await failure(bench)
            assert isinstance(error, Overloaded)
            assert error.upstream == status
            assert "the-secret-words" not in error.message


@case("exact", "faults")
async def a_refusal_is_final(lab: Lab) -> None:
    """A key or a request that it rejects is not tried again; what it says about our key is not repeated."""
    for status in (400, 401, 403, 404, 413):
        async with lab.open(Script(status=status, error="sk-secret-words are wrong")) as bench:
            error, _ = await failure(bench)
            assert isinstance(error, Refused)
            assert not error.retryable
            assert "sk-secret-words" not in error.message
            if status in {401, 403}:
                assert "are wrong" not in error.message
            elif "wire" in lab.can and status in {400, 404}:  # what the client may mend, it is told
                assert "are wrong" in error.message


@case("faults")
async def silence_before_the_answer(lab: Lab) -> None:
    """Without a first byte in time the call ends as late, whole and streamed."""
    async with lab.open(Script(delay=30.0), first=0.1) as bench:
        for stream in (True, False):
            assert isinstance((await failure(bench, stream=stream))[0], TimedOut)


@case("wire")
async def silence_inside_the_answer(lab: Lab) -> None:
    """A stream that stands still ends as late, after what it has given."""
    async with lab.open(Script(gap=30.0), idle=0.1) as bench:
        error, got = await failure(bench)
    assert isinstance(error, TimedOut)
    assert got


@case("down")
async def nobody_there(lab: Lab) -> None:
    """Where nothing listens, the model is unreachable."""
    async with lab.open(Script(), down=True) as bench:
        for stream in (True, False):
            assert isinstance((await failure(bench, stream=stream))[0], Unreachable)
