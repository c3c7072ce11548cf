"""Conversations that stay with a model: which request belongs to which, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core.plans import CHEAP, request, route
from tests.gateway.harness import GOOD, Gateway, by_model, running
from tests.support.shapes import Script
from tierwise.gateway.sessions import Sessions, begun, conversation
from tierwise.money import Tenant
from tierwise.types import Image, Message, Request, Route, Text

TENANT = Tenant("key_1", "test")
ROUTED = route(hold="none")
FIRST = (Message("system", "Be brief."), Message("user", "Where is my parcel?"))
LATER = (*FIRST, Message("assistant", "On its way."), Message("user", "And my card?"))


def named(messages: tuple[Message, ...] = FIRST, name: str = "", to: Route = ROUTED, by: Tenant = TENANT) -> bytes:
    found = conversation(request(messages=messages), to, by, name)
    assert found is not None
    return found


def test_later_turns_belong_to_the_first() -> None:
    """Instructions and the user's first message come again with every turn."""
    assert named(LATER) == named(FIRST)
    assert not begun(request(messages=FIRST))
    assert begun(request(messages=LATER))


def test_conversations_are_kept_apart() -> None:
    """By key, route, instructions, first message, and by the name that a client gives."""
    parts = (Text("Where is my parcel?"), Image("https://example.org/i.png"))
    all_of_them = [
        named(),
        named((FIRST[0], Message("user", "Where is my card?"))),
        named((Message("system", "Be long."), FIRST[1])),
        named((Message("user", "Be brief."), FIRST[1])),
        named(name="a"),
        named(name="b"),
        named(to=route(name="other", hold="none")),
        named(by=Tenant("key_2", "test")),
        named(name="a", by=Tenant("key_2", "test")),
    ]
    assert len(set(all_of_them)) == len(all_of_them)
    assert named((FIRST[0], Message("user", parts))) == named()  # pictures are not looked at
    assert named(LATER[3:], name="a") == named(name="a")  # a name is enough
    assert named(FIRST[:1]) not in all_of_them  # nobody has asked anything yet


@pytest.mark.parametrize("to", [route(), route(hold="window"), Route("cheap", (CHEAP,), hold="none")])
def test_nothing_is_kept_where_no_router_is_asked(to: Route) -> None:
    """It would decide nothing."""
    assert conversation(request(messages=LATER), to, TENANT, "a") is None


def test_a_planned_route_is_routed() -> None:
    """A trained router is asked before every first call."""
    assert conversation(request(messages=LATER), route(planned=True), TENANT, "") is not None


def test_the_least_recent_is_forgotten() -> None:
    """The memory is bounded; looking at a conversation, or another turn of it, keeps it."""
    sessions = Sessions(limit=2)

    def known(name: bytes) -> str:
        return sessions.resume(Request(id="r", asked="r", messages=FIRST), name).last_model

    sessions.remember(b"a", "cheap")
    sessions.remember(b"b", "premium")
    assert known(b"a") == "cheap"
    sessions.remember(b"c", "cheap")
    assert (known(b"a"), known(b"b"), known(b"c"), len(sessions)) == ("cheap", "", "cheap", 2)
    sessions.remember(b"a", "premium")
    sessions.remember(b"d", "cheap")
    assert (known(b"a"), known(b"c")) == ("premium", "")


# ------------------------------------------------------------------ through the door

NONE = 'hold = "none"'
LONG = "x" * 1600  # the length router says 0.516: a little over the limit


async def answered(gateway: Gateway, messages: list[dict[str, str]], **headers: str) -> str:
    """The model that a stream was answered by."""
    body: dict[str, Any] = {"model": "support", "messages": messages, "stream": True}
    url = f"{gateway.url}/chat/completions"
    async with gateway.http.post(url, json=body, headers=gateway.headers(**headers)) as reply:
        await reply.read()
        assert reply.status == 200
        return reply.headers["x-tierwise-model"]


def turns(first: str, *more: str) -> list[dict[str, str]]:
    said = [{"role": "user", "content": first}]
    for text in more:
        said += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": text}]
    return said


async def test_a_conversation_stays(tmp_path: Path) -> None:
    """A turn that is a little too long for the cheap tier goes up where it is the first, and not later."""
    async with running(tmp_path, by_model(Script(text=GOOD)), route=NONE) as gateway:
        assert await answered(gateway, turns(LONG)) == "premium"
        assert await answered(gateway, turns("Where is my parcel?")) == "cheap"
        assert await answered(gateway, turns("Where is my parcel?", LONG)) == "cheap"
        assert await answered(gateway, turns("Where is my card?", LONG)) == "premium"  # nobody remembers that one
        assert await answered(gateway, turns("Where is my parcel?", "y" * 9000)) == "premium"  # a clear reason
        assert await answered(gateway, turns("Where is my parcel?", "y" * 9000, "x" * 1400)) == "premium"


async def test_a_named_conversation_stays(tmp_path: Path) -> None:
    """Whatever its turns say; another name is another conversation."""
    async with running(tmp_path, by_model(Script(text=GOOD)), route=NONE) as gateway:
        assert await answered(gateway, turns("Hello."), x_tierwise_session="s-1") == "cheap"
        assert await answered(gateway, turns(LONG), x_tierwise_session="s-1") == "cheap"
        assert await answered(gateway, turns(LONG), x_tierwise_session="s-2") == "premium"


@pytest.mark.parametrize("name", ["s" * 129, "a\tb"])
async def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    """It is the client's mistake."""
    async with running(tmp_path) as gateway:
        status, body, _ = await gateway.chat(headers={"x_tierwise_session": name})
        assert (status, body["error"]["param"]) == (400, "x-tierwise-session")
        assert gateway.upstream.requests == []
