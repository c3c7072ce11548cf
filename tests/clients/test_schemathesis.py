"""Schemathesis over our own OpenAPI document: whatever it says can be sent, and much that it does not, is sent.

`SCHEMATHESIS_CASES` is how many requests are made in all; `make fuzz` makes 10,000. Its own fixtures are of an older
pytest, so its cases are drawn by hypothesis here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.clients.conftest import Gateway

CASES = int(os.environ.get("SCHEMATHESIS_CASES", "500"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MODELS = ("plain", "bland", "dull", "nothing")  # behind whom there is nothing that reads what it is sent


def drawn(document: Any, key: dict[str, str], examples: int, sent: Counter[int]) -> Iterator[Callable[[], None]]:
    """A test of every operation, with `examples` requests; `sent` counts their statuses."""
    drawing = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for found in document.get_all_operations():
        operation = found.ok()
        right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @drawing
        @given(case=right | wrong, model=st.sampled_from(MODELS))
        def one(case: Any, model: str) -> None:
            if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
                case.body["model"] = model  # hardly any request would be answered otherwise
            answer = case.call(headers=key)
            sent[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        yield one


def test_no_faults(gate: Gateway) -> None:
    """No answer is a 5xx; every one has a status, a kind and a shape that the document names."""
    key = {"authorization": f"Bearer {gate.key}"}
    document = schemathesis.openapi.from_url(f"{gate.root}/openapi.json", headers=key)
    sent: Counter[int] = Counter()
    count = sum(1 for _ in document.get_all_operations())
    for one in drawn(document, key, -(-CASES // count), sent):
        one()
    print(dict(sent))
    assert sent[200] > CASES / 20
