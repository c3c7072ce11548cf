"""A sorter as a model: its label or reply, how sure it is, what it refuses."""

from __future__ import annotations

import json
from math import exp

import pytest

from tierwise.core.join import join
from tierwise.errors import Refused
from tierwise.providers.sorter import SorterProvider
from tierwise.types import Answer, Message, Model, Request, Tool, Usage

MODEL = Model("sorter", "sorter", "sorter")


def sort(text: str) -> tuple[str, float]:
    return ("greeting", 0.9) if "hello" in text else ("other", 0.0)


def ask(text: str, **changes: object) -> Request:
    messages = (Message("user", "hello, earlier"), Message("assistant", "hello"), Message("user", text))
    return Request(id="r", asked="support", messages=messages, **changes)  # type: ignore[arg-type]


async def answer(provider: SorterProvider, request: Request) -> Answer:
    return join(MODEL.name, [chunk async for batch in provider.stream(MODEL, request) for chunk in batch])


@pytest.mark.parametrize("stream", [True, False])
async def test_the_label_is_the_answer(stream: bool) -> None:
    """Of the last user message alone; how sure it is is a log-probability, tokens are counted by characters."""
    said = await answer(SorterProvider(sort), ask("hello", stream=stream))
    assert (said.text, said.choices[0].finish, said.usage) == (
        "greeting",
        "stop",
        Usage(input_tokens=7, output_tokens=3),
    )
    assert exp(said.choices[0].logprobs[0]) == pytest.approx(0.9)
    other = await answer(SorterProvider(sort), ask("bye", stream=stream))
    assert (other.text, other.choices[0].logprobs[0] < -20) == ("other", True)


async def test_the_reply_of_a_label() -> None:
    """A label without one is refused for good, so that another tier answers."""
    provider = SorterProvider(sort, {"greeting": "Good day!"})
    assert (await answer(provider, ask("hello"))).text == "Good day!"
    with pytest.raises(Refused, match="no reply is written down for 'other'") as refused:
        await answer(provider, ask("bye"))
    assert not refused.value.retryable


async def test_a_json_answer() -> None:
    """Under the name that the schema gives it."""
    schema = {"type": "object", "properties": {"intent": {"type": "string"}}}
    said = await answer(SorterProvider(sort), ask("hello", json_answer=True, schema=schema))
    assert json.loads(said.text) == {"intent": "greeting"}
    odds: tuple[dict[str, object] | None, ...] = (None, {}, {"properties": {}}, {"properties": 3})
    for odd in odds:
        said = await answer(SorterProvider(sort), ask("hello", json_answer=True, schema=odd))
        assert json.loads(said.text) == {"label": "greeting"}


@pytest.mark.parametrize("changes", [{"n": 2}, {"tools": (Tool("look"),)}])
async def test_what_it_can_t_do_is_refused(changes: dict[str, object]) -> None:
    """Several answers, and tools."""
    with pytest.raises(Refused, match="calls no tools and gives one answer"):
        await answer(SorterProvider(sort), ask("hello", **changes))
    await SorterProvider(sort).close()
