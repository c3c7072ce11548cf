"""What a reply says of itself in its body, where the client asks: its decision, and what it cost.

`x-tierwise-explain: true` adds a member `tierwise`; `x-tierwise-cost: true`, or OpenRouter's `"usage": {"include":
true}` in an OpenAI body, adds `cost` and more to the reply's `usage`. A stream says it in its last event that has room
for it, and so holds back what comes after an answer's finish reason until it is booked. Where nobody asks, bodies are
the bytes that they are without this file. Knows wires only by where they have their usage; no texts go through here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tierwise.dialects import sse
from tierwise.errors import BadRequest, TierwiseError
from tierwise.gateway.doors import MESSAGES, MODERATIONS, RESPONSES, Door, Events
from tierwise.gateway.said import dollars
from tierwise.gateway.screening.gate import Clean
from tierwise.gateway.web.http import Reply
from tierwise.money import Record
from tierwise.types import Chunk, CostState, Decision, Request

if TYPE_CHECKING:
    from tierwise.dialects.openai_chat import Label
    from tierwise.gateway.run import Live

EXPLAIN, COST = "x-tierwise-explain", "x-tierwise-cost"
Json = dict[str, Any]
Headers = Callable[[str], str | None]
_STATES: Sequence[CostState] = ("provider_reported", "computed", "estimated", "unknown")  # the least sure one last


class Asked(NamedTuple):
    """What the client wants to be told."""

    explain: bool
    cost: bool


def asked(header: Headers, clean: Clean, door: Door) -> tuple[Clean, Asked | None]:
    """None where nothing is; else the request goes on without its `usage`, which providers of the wire don't know.

    Raises BadRequest for a header that says neither true nor false.
    """
    explain, cost, request = header(EXPLAIN), header(COST), clean.request
    included = door is not MESSAGES and "usage" in request.body and _included(request.body["usage"])
    if explain is None and cost is None and not included:
        return clean, None
    found = Asked(_true(EXPLAIN, explain), _true(COST, cost) or included)
    if included:
        body = {name: value for name, value in request.body.items() if name != "usage"}
        clean = clean._replace(request=msgspec.structs.replace(request, body=body))
    return clean, found if found.explain or found.cost else None


def _true(header: str, said: str | None) -> bool:
    if said not in (None, "true", "false"):
        raise BadRequest(f"{header} must be true or false.", param=header)
    return said == "true"


class _Include(msgspec.Struct):
    include: bool = False


_include = msgspec.json.Decoder(_Include)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _included(usage: msgspec.Raw) -> bool:
    try:
        return _include.decode(usage).include
    except msgspec.ValidationError:
        return False  # somebody else's `usage`


# ------------------------------------------------------------------ whole answers


def whole(reply: Reply, live: Live, wanted: Asked | None, door: Door) -> Reply:
    """The reply with what its client asked for."""
    if wanted is None:
        return reply
    return msgspec.structs.replace(reply, body=_told(reply.body, live, wanted, door))


def _told(body: bytes, live: Live, wanted: Asked, door: Door) -> bytes:
    """An answer's JSON object with more members; all others keep their bytes."""
    record = live.record
    if record is None:
        return body
    members = _object.decode(body)
    if wanted.cost and door is not MODERATIONS:  # which have no usage
        usage = {**_members(members.get("usage")), **spent(record)}
        members["usage"] = msgspec.Raw(msgspec.json.encode(usage))
    if wanted.explain:
        members["tierwise"] = msgspec.Raw(msgspec.json.encode(explanation(live, record)))
    return msgspec.json.encode(members)


def _members(usage: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """None of what is no object: a provider may say `null`."""
    try:
        return _object.decode(usage or b"{}")
    except msgspec.ValidationError:
        return {}


# ------------------------------------------------------------------ streams


def streaming(door: Door, live: Live, wanted: Asked | None) -> Door:
    """The same wire, whose streams say at their end what was asked for."""
    if wanted is None:
        return door

    def events(request: Request, label: Label) -> Events:
        if wanted.cost:  # ... and its usage, which stands where the cost does
            request = msgspec.structs.replace(request, usage_asked=True)
        return _Told(door.events(request, label), live, wanted, door)

    return door._replace(events=events)


class _Told:
    """Events of one stream. From the first finish reason on they are kept until all is booked."""

    __slots__ = ("_door", "_events", "_held", "_live", "_wanted")

    def __init__(self, events: Events, live: Live, wanted: Asked, door: Door) -> None:
        self._events = events
        self._live = live
        self._wanted = wanted
        self._door = door
        self._held: list[bytes] = []

    def encode(self, batch: Sequence[Chunk]) -> bytes:
        written = self._events.encode(batch)
        if not self._held and not any(chunk.finish is not None for chunk in batch):
            return written
        self._held.append(written)
        return b""

    def done(self) -> bytes:
        events = [event for event in b"".join([*self._held, self._events.done()]).split(b"\n\n") if event]
        self._held = []
        at = next((at for at in reversed(range(len(events))) if self._has_room(events[at])), None)
        if at is not None:
            events[at] = self._with_more(events[at])
        return b"".join([event + b"\n\n" for event in events])

    def error(self, error: TierwiseError) -> bytes:
        held, self._held = b"".join(self._held), []
        return held + self._events.error(error)

    def _has_room(self, event: bytes) -> bool:
        """Of Anthropic's the last but one, which has the usage; of the others the last that is JSON."""
        return event.startswith(b"event: message_delta\n") if self._door is MESSAGES else not event.endswith(b"[DONE]")

    def _with_more(self, event: bytes) -> bytes:
        lines = event.split(b"\n")
        data = b"\n".join([line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")])
        if self._door is RESPONSES:
            members = _object.decode(data)
            response = _told(bytes(members["response"]), self._live, self._wanted, self._door)
            data = msgspec.json.encode(members | {"response": msgspec.Raw(response)})
        else:
            data = _told(data, self._live, self._wanted, self._door)
        name = lines[0].removeprefix(b"event: ").decode() if lines[0].startswith(b"event: ") else ""
        return sse.encode(data, name).removesuffix(b"\n\n")


# ------------------------------------------------------------------ what is said


def spent(record: Record) -> Json:
    """Members for a `usage`: USD, as numbers that are exact to the last digit."""
    served = sum(entry.nanos for entry in record.entries if entry.outcome == "served")
    states = {entry.cost_state for entry in record.entries}
    return {
        "cost": _usd(record.nanos),
        "baseline_cost": _usd(record.baseline_nanos),
        "cost_details": {
            "served_cost": _usd(served),
            "other_cost": _usd(record.nanos - served),
            "cost_state": max(states, key=_STATES.index, default="computed"),
        },
    }


def explanation(live: Live, record: Record) -> Json:
    """Why this answer: what became of each model's, in their order, and what each call cost."""
    outcome, route = live.outcome, live.route
    trail = () if outcome is None else outcome.trail
    return {
        "request_id": record.request_id,
        "route": record.route,
        "model": "" if outcome is None else outcome.answer.model,
        "decision": _decision(record.decision),
        "steps": [{"model": step.model, **_decision(step.decision)} for step in trail],
        "attempts": [
            {
                "model": entry.model,
                "role": entry.role,
                "outcome": entry.outcome,
                "rule": entry.rule,
                "input_tokens": entry.usage.input_tokens,
                "output_tokens": entry.usage.output_tokens,
                "cost_usd": _usd(entry.nanos),
                "cost_state": entry.cost_state,
                "first_ms": entry.first_ms,
                "total_ms": entry.total_ms,
            }
            for entry in record.entries
        ],
        "cost_usd": _usd(record.nanos),
        "baseline_usd": _usd(record.baseline_nanos),
        "baseline_state": record.baseline_state,
        "certificate": route.certified,
    }


def _decision(decision: Decision) -> Json:
    evidence = [{"check": each.check, "passed": each.passed, "value": each.value} for each in decision.evidence]
    return {"action": decision.action, "rule": decision.rule, "score": decision.score, "evidence": evidence}


def _usd(nanos: int) -> msgspec.Raw:
    return msgspec.Raw(dollars(nanos).encode())
