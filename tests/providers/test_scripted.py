"""The scripted provider: rules in, answers, delays and faults out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tierwise.core.join import join
from tierwise.errors import ConfigError, Overloaded, ProviderError, Refused, TimedOut, Torn, Unreachable
from tierwise.providers.scripted import Fault, Rule, ScriptedProvider, load
from tierwise.types import Answer, Chunk, Image, Message, Model, Request, Text, ToolCall, Usage

MODEL = Model("cheap", "scripted", "script")


class Clock:
    """Waits without waiting, and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def ask(words: str = "Hello", *, stream: bool = True) -> Request:
    return Request(id="r", asked="cheap", messages=(Message("user", words),), stream=stream)


async def batches(provider: ScriptedProvider, request: Request) -> list[tuple[Chunk, ...]]:
    return [batch async for batch in provider.stream(MODEL, request)]


async def collect(provider: ScriptedProvider, got: list[Chunk]) -> None:
    async for batch in provider.stream(MODEL, ask()):
        got += batch


async def answer(provider: ScriptedProvider, request: Request) -> Answer:
    return join(MODEL.name, [chunk for batch in await batches(provider, request) for chunk in batch])


async def test_first_rule_that_matches() -> None:
    """A rule matches a part of the user's last message; the first that does answers."""
    provider = ScriptedProvider([Rule(match="red", text="A"), Rule(match="", text="B")])
    earlier = Message("user", "red"), Message("assistant", "red"), Message("user", "blue"), Message("tool", "red")
    parts = Message("user", (Text("infra"), Image("https://example.com/a.png"), Text("red")))
    assert (await answer(provider, ask("bored"))).text == "A"
    assert (await answer(provider, Request(id="r", asked="cheap", messages=earlier))).text == "B"
    assert (await answer(provider, Request(id="r", asked="cheap", messages=(parts,)))).text == "A"


async def test_no_rule_matches() -> None:
    """A request that no rule is for is refused, and not to be tried again."""
    with pytest.raises(Refused, match="no rule matches") as caught:
        await batches(ScriptedProvider([Rule(match="red")]), ask())
    assert not caught.value.retryable


async def test_rule_for_the_first_times() -> None:
    """A rule may be used up: trouble that passes."""
    provider = ScriptedProvider([Rule(fault="overloaded", times=2), Rule(text="OK")])
    for _ in range(2):
        with pytest.raises(Overloaded):
            await batches(provider, ask())
    assert (await answer(provider, ask())).text == "OK"


async def test_streamed_word_by_word() -> None:
    """Each piece is a batch of its own, words with the space before them, the end and the usage last."""
    provider = ScriptedProvider([Rule(text=" One two\nthree ", logprob=-0.5)])
    *words, last = await batches(provider, ask())
    assert [batch[0].text for batch in words] == [" One", " two", "\nthree", " "]
    assert all(batch[0].logprobs == (-0.5,) for batch in words)
    assert (last[0].finish, last[0].usage) == ("stop", Usage(2, 4))


async def test_pieces_thinking_and_calls() -> None:
    """Given pieces are kept as they are; thinking comes before them, calls after, in two pieces each."""
    calls = (ToolCall("c1", "look", '{"a":1}'), ToolCall("c2", "wait", "{}"))
    provider = ScriptedProvider([Rule(pieces=("He", "llo"), reasoning="Hm, well", tool_calls=calls)])
    streamed, whole = await answer(provider, ask()), await answer(provider, ask(stream=False))
    assert len(streamed.chunks) == 8
    assert len(whole.chunks) == 1
    assert streamed.choices == whole.choices
    assert streamed.usage == whole.usage == Usage(2, 6, reasoning_tokens=3)
    assert (whole.text, whole.choices[0].finish, whole.choices[0].tool_calls) == ("Hello", "tool_calls", calls)


async def test_counts_as_the_rule_says() -> None:
    """Token counts and the finish are the rule's own where it gives them; usage may be missing."""
    given = Rule(
        text="Hi", input_tokens=100, output_tokens=1, cache_read_tokens=90, reasoning="Hm" * 9, finish="length"
    )
    told = await answer(ScriptedProvider([given]), ask())
    assert told.usage == Usage(100, 1, 90, reasoning_tokens=1)
    assert told.choices[0].finish == "length"
    assert (await answer(ScriptedProvider([Rule(cache_read_tokens=50)]), ask())).usage == Usage(50, 1, 50)
    assert (await answer(ScriptedProvider([Rule(text="Hi", no_usage=True)]), ask())).usage is None


async def test_delays() -> None:
    """The first piece and the others wait as told; a whole answer is ready when its stream would be."""
    rule = Rule(text="a b c", first=1.0, gap=0.25)
    clock, whole = Clock(), Clock()
    await batches(ScriptedProvider([rule], clock.sleep), ask())
    await batches(ScriptedProvider([rule], whole.sleep), ask(stream=False))
    assert clock.slept == [1.0, 0.25, 0.25, 0.25]
    assert whole.slept == [1.75]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refused", Refused),
        ("overloaded", Overloaded),
        ("timeout", TimedOut),
        ("unreachable", Unreachable),
        ("cut", Torn),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_faults(fault: Fault, error: type[ProviderError], stream: bool) -> None:
    """Each fault is the error that a real provider's would be, after the first delay."""
    clock = Clock()
    provider = ScriptedProvider([Rule(text="Hi", fault=fault, first=2.0)], clock.sleep)
    with pytest.raises(error) as caught:
        await batches(provider, ask(stream=stream))
    assert caught.value.model == "cheap"
    assert clock.slept == [2.0]
    assert not provider.cancelled


@pytest.mark.parametrize("after", [2, 99])
async def test_cut_after_some_pieces(after: int) -> None:
    """A cut stream gives what it has, never its end, and then breaks."""
    provider = ScriptedProvider([Rule(text="a b c d", fault="cut", cut_after=after)])
    got: list[Chunk] = []
    with pytest.raises(Torn):
        await collect(provider, got)
    assert len(got) == min(after, 4)
    assert all(chunk.finish is None for chunk in got)


async def test_closing_early_is_remembered() -> None:
    """A generator that is closed before its end says so, and how many pieces it had given; one at its end does not."""
    provider = ScriptedProvider([Rule(text="a b c")])
    for take in (2, 4):
        async with aclosing(provider.stream(MODEL, ask())) as stream:
            for _ in range(take):
                await anext(stream)
    assert [call.given for call in provider.calls] == [2, 4]
    assert [call.given for call in provider.cancelled] == [2]
    assert provider.calls[0].request.messages[0].content == "Hello"


async def test_cancelled_while_it_waits() -> None:
    """A task that is cancelled before the first piece counts as closed early."""
    waiting = asyncio.Event()

    async def never(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    provider = ScriptedProvider([Rule(text="a")], never)
    task = asyncio.create_task(batches(provider, ask()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [call.given for call in provider.cancelled] == [0]


async def test_memory_of_calls_is_bounded() -> None:
    """Only the last thousand calls are kept."""
    provider = ScriptedProvider([Rule()])
    for n in range(1001):
        await batches(provider, ask(str(n)))
    assert len(provider.calls) == 1000
    assert provider.calls[0].request.messages[0].content == "1"


def test_rules_from_a_file(tmp_path: Path) -> None:
    """Rules are a JSON list."""
    path = tmp_path / "rules.json"
    path.write_text('[{"match": "a", "text": "b", "tool_calls": [{"id": "c", "name": "n", "arguments": "{}"}]}, {}]')
    assert load(path) == (Rule(match="a", text="b", tool_calls=(ToolCall("c", "n", "{}"),)), Rule())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[", "truncated"),
        (b'[{"text": "\xff"}]', "utf-8"),
        (b"{}", "array"),
        (b'[{}, {"txet": "a"}]', "`txet` - at `$[1]`"),
        (b'[{"first": "1"}]', "$[0].first"),
        (b'[{"fault": "fire"}]', "'fire'"),
        (b'[{"text": "a", "pieces": ["a"]}]', "not both"),
        (b'[{"gap": -1}]', "negative"),
        (b'[{"times": -1}]', "negative"),
        (b'[{"input_tokens": 1, "cache_read_tokens": 2}]', "cache_read_tokens"),
    ],
)
def test_rules_that_are_wrong(tmp_path: Path, content: bytes, told: str) -> None:
    """A file that can't be used says where and what is wrong with it."""
    path = tmp_path / "rules.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert told in caught.value.message


def test_rules_that_are_not_there(tmp_path: Path) -> None:
    """A file that is missing says so."""
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load(tmp_path / "none.json")


async def test_closing_twice() -> None:
    """Closing lets go of nothing, as often as one likes."""
    provider = ScriptedProvider([])
    await provider.close()
    await provider.close()


def rule(**fields: Any) -> Rule:
    return Rule(**fields)


@pytest.mark.parametrize("fields", [{"text": "a", "pieces": ("a",)}, {"first": -0.1}])
def test_rules_in_code_are_checked_too(fields: dict[str, Any]) -> None:
    """A rule that contradicts itself can't be made."""
    with pytest.raises(ValueError):
        rule(**fields)
