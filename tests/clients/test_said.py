"""The official SDKs of OpenAI and Anthropic: moderations, and replies that say what they cost and why."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.clients.conftest import GOOD, ROUTES, Gateway

ASKED = {"x-tierwise-explain": "true", "x-tierwise-cost": "true"}
HI: Any = [{"role": "user", "content": "Hello"}]


def sdk(gate: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=gate.url, api_key=gate.key, default_headers=ASKED)


def told(usage: Any, reply: Any, route: str) -> None:
    """What is added is there, as extra fields."""
    assert usage.model_extra["cost"] > 0
    assert usage.model_extra["cost_details"]["cost_state"] == "computed"
    said = reply.model_extra["tierwise"]
    assert said["route"] == route
    assert said["cost_usd"] == usage.model_extra["cost"]
    assert said["attempts"][-1]["outcome"] == "served"


def test_moderations(gate: Gateway) -> None:
    """By the classifiers of the gateway: as its types have it, every category by its name."""
    texts = ["Hello", "fuck you, you stupid bitch"]
    for model in (openai.omit, "omni-moderation-latest"):
        found = sdk(gate).moderations.create(input=texts, model=model)
        assert [result.flagged for result in found.results] == [False, True]
        last = found.results[-1]
        assert last.categories.harassment
        assert last.category_scores.harassment > 0.9
        assert last.category_applied_input_types.harassment == ["text"]
        assert not last.categories.self_harm_intent
        openai.types.ModerationCreateResponse.model_validate(found.model_dump(by_alias=True), strict=True)
    parts: Any = [{"type": "text", "text": "Hello"}]
    assert not sdk(gate).moderations.create(input=parts).results[0].flagged


async def test_moderations_at_once(gate: Gateway) -> None:
    """The asynchronous client."""
    async with openai.AsyncOpenAI(base_url=gate.url, api_key=gate.key) as client:
        assert not (await client.moderations.create(input="Hello")).results[0].flagged


@pytest.mark.parametrize("route", ROUTES)
def test_chat(gate: Gateway, route: str) -> None:
    """Whole, streamed, and streamed with the SDK's own joiner."""
    client = sdk(gate)
    whole = client.chat.completions.create(model=route, messages=HI)
    assert whole.choices[0].message.content == GOOD
    told(whole.usage, whole, route)
    chunks = list(client.chat.completions.create(model=route, messages=HI, stream=True))
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == GOOD
    told(chunks[-1].usage, chunks[-1], route)
    with client.chat.completions.stream(model=route, messages=HI) as stream:
        joined = stream.get_final_completion()
    assert joined.choices[0].message.content == GOOD
    assert joined.usage is not None
    assert joined.usage.total_tokens > 0


@pytest.mark.parametrize("route", ROUTES)
def test_completions(gate: Gateway, route: str) -> None:
    """Whole and streamed."""
    client = sdk(gate)
    whole = client.completions.create(model=route, prompt="Hello")
    told(whole.usage, whole, route)
    chunks = list(client.completions.create(model=route, prompt="Hello", stream=True))
    assert "".join(each.choices[0].text for each in chunks if each.choices) == GOOD
    told(chunks[-1].usage, chunks[-1], route)


@pytest.mark.parametrize("route", ROUTES)
def test_responses(gate: Gateway, route: str) -> None:
    """Whole, streamed, and streamed with the SDK's own joiner."""
    client = sdk(gate)
    whole = client.responses.create(model=route, input="Hello")
    assert whole.output_text == GOOD
    told(whole.usage, whole, route)
    *_, last = client.responses.create(model=route, input="Hello", stream=True)
    assert last.type == "response.completed"
    told(last.response.usage, last.response, route)
    with client.responses.stream(model=route, input="Hello") as stream:
        assert stream.get_final_response().output_text == GOOD


@pytest.mark.parametrize("route", ROUTES)
def test_messages(gate: Gateway, route: str) -> None:
    """Whole, streamed, and streamed with the SDK's own joiner."""
    client = anthropic.Anthropic(base_url=gate.root, api_key=gate.key, default_headers=ASKED)
    whole = client.messages.create(model=route, messages=HI, max_tokens=200)
    told(whole.usage, whole, route)
    *_, delta, last = client.messages.create(model=route, messages=HI, max_tokens=200, stream=True)
    assert delta.type == "message_delta"
    assert last.type == "message_stop"
    told(delta.usage, delta, route)
    with client.messages.stream(model=route, messages=HI, max_tokens=200) as stream:
        final = stream.get_final_message()
    assert (final.content[0].type, final.stop_reason) == ("text", "end_turn")
    assert final.usage.output_tokens > 0
