"""How a form of the answer (JSON, or a JSON Schema) is asked of a model: its own way, as a tool, or in words.

What is asked in words has to be checked, and asked again where it is wrong. Knows what each of that takes at the most,
for the reservation; nothing of how a wire says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tierwise.types import Model, Request, Structured

TRIES = 3  # the first, and two more with what was wrong named
TOLD = 512  # tokens that our own words around a schema take at the most
OBJECT: dict[str, Any] = {"type": "object"}  # what JSON without a schema means on every wire that has it


def way(model: Model, request: Request) -> Structured:
    """How `model` is asked for the form of this request's answer; "native" too where it asks for none.

    As a tool only what can be the arguments of one, and beside no tools of the client's own: which of them must be
    called could not be said then. DeepSeek, whose own way knows JSON but no schemas, is checked.
    """
    if not request.json_answer:
        return "native"
    if model.structured == "tool":
        taken = request.tools or request.foreign
        return "retry" if taken or request.schema is None or request.schema.get("type") != "object" else "tool"
    if model.structured == "native" and model.provider == "deepseek" and request.schema is not None:
        return "retry"
    return model.structured


def calls(request: Request, models: tuple[Model, ...]) -> Iterator[tuple[Model, int]]:
    """The calls that it takes at the most when each of `models` is asked, and the tokens that each adds to the input.

    An answer that was wrong is sent along with the next try.
    """
    for model in models:
        how = way(model, request)
        if how == "retry":
            for tried in range(TRIES):
                yield model, TOLD + tried * ((request.max_output or model.max_output) + TOLD)
        else:
            yield model, TOLD if how == "tool" else 0
