"""Cases through the door: what a person is given, and who may fetch the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.gateway.harness import Gateway, running
from tests.gateway.test_app import wait_for
from tierwise.gateway.clock import SystemClock
from tierwise.gateway.screening.desk import Counter
from tierwise.gateway.setup.first_run import new_key
from tierwise.money import Tenant
from tierwise.ports import Store
from tierwise.store.sqlite import open_sqlite
from tierwise.types import Image, Message, Request, Route, Text

REQUEST = Request(
    id="req_1",
    asked="support",
    messages=(
        Message("system", "Be kind."),
        Message("user", (Text("Look at this,"), Image("data:image/png;base64,AAAA"), Text("what is it?"))),
    ),
)


async def fetch(gateway: Gateway, case_id: str, key: str | None = None) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key or gateway.key}"}
    async with gateway.http.get(f"{gateway.url}/cases/{case_id}", headers=headers) as reply:
        return reply.status, await reply.json()


async def test_a_case_and_its_answer(tmp_path: Path) -> None:
    """Open, then answered; for every other key there is no such case. A picture is told of, and not kept."""
    async with running(tmp_path) as gateway:
        store: Store = await open_sqlite(gateway.config.store_path, clock=SystemClock(), instance="desk")
        key_id = (await store.keys())[0].id
        route = Route("support", ())
        case_id = await Counter(store, SystemClock()).hand(REQUEST, route, Tenant(key_id, "x"), "human:minors")
        assert await fetch(gateway, case_id) == (200, {"id": case_id, "object": "case", "status": "open"})

        case = await store.proof.desk.case(case_id)
        assert case is not None
        assert case.turns[1].text == "Look at this,\n[a picture, file or sound, which is not kept]\nwhat is it?"
        assert (case.route, case.why, case.turns[0].text) == ("support", "human:minors", "Be kind.")

        await store.proof.desk.answer(case_id, "A cat.", "ada", 5 * 10**9)
        said = {"id": case_id, "object": "case", "status": "answered", "answer": "A cat.", "answered_at": 5}
        assert await fetch(gateway, case_id) == (200, said)

        await store.close()
        _, other = await new_key(gateway.config, gateway.environment, "other", None)
        await wait_for(gateway, other, 200)
        assert (await fetch(gateway, case_id, other))[0] == 404
        assert (await fetch(gateway, "req_2"))[0] == 404
