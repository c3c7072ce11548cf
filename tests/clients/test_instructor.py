"""instructor as a client: answers as objects, by each mode that these wires have, over both wires of providers."""

from __future__ import annotations

from typing import Any

import anthropic
import instructor
import openai
import pytest
from pydantic import BaseModel

from tests.clients.conftest import CALLED, ROUTES, Gateway


class City(BaseModel):
    name: str
    people: int


ASKED: Any = [{"role": "user", "content": "How many of the 300 people live in 'Bern'?"}]
BERN = {"name": "Bern", "people": 300}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA, instructor.Mode.RESPONSES_TOOLS])
def test_openai(gate: Gateway, mode: instructor.Mode, route: str) -> None:
    """One object, the same piece by piece, and a list of them."""
    client = instructor.from_openai(openai.OpenAI(base_url=gate.url, api_key=gate.key), mode=mode)
    assert client.create(model=route, messages=ASKED, response_model=City).model_dump() == BERN
    if mode is not instructor.Mode.RESPONSES_TOOLS:
        *_, last = client.create_partial(model=route, messages=ASKED, response_model=City)
        assert last.model_dump() == BERN
        several = client.create_iterable(model=route, messages=ASKED, response_model=City)
        assert [city.model_dump() for city in several] == [BERN]


@pytest.mark.parametrize("route", CALLED)
def test_models_without_schemas(gate: Gateway, route: str) -> None:
    """They are given the schema as a tool; the client's mode does not know."""
    client = instructor.from_openai(
        openai.OpenAI(base_url=gate.url, api_key=gate.key), mode=instructor.Mode.JSON_SCHEMA
    )
    assert client.create(model=route, messages=ASKED, response_model=City).model_dump() == BERN
    *_, last = client.create_partial(model=route, messages=ASKED, response_model=City)
    assert last.model_dump() == BERN


@pytest.mark.parametrize("route", ROUTES)
def test_anthropic(gate: Gateway, route: str) -> None:
    """One object, and the same piece by piece. Its JSON schema mode asks this SDK by words only, so it is not here."""
    client = instructor.from_anthropic(anthropic.Anthropic(base_url=gate.root, api_key=gate.key))
    options: Any = {"model": route, "max_tokens": 64, "messages": ASKED}
    assert client.create(**options, response_model=City).model_dump() == BERN
    *_, last = client.create_partial(**options, response_model=City)
    assert last.model_dump() == BERN
