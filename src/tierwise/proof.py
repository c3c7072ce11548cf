"""The nouns of proof: which requests were drawn, what every model said to them, who said how good that was.

Frozen values beside those of `types.py`. Times are Unix nanoseconds, money is nano-dollars.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["audit", "observe"]
Source = Literal["equality", "checks", "judge", "human", "feedback", "recheck", "missing", "void"]
EXACT: tuple[Source, ...] = ("human", "checks", "equality", "judge")
"""Sources of labels that say whether serving a draft did harm, the one that is believed most first."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request that was drawn at random, with probability `propensity`: its `uniform` number is below that.

    `kind`: an audit is of a draft that was served, and premium was asked afterwards; where premium had answered, the
    cheaper models were ("observe"). Rows of which `uniform` is below the least propensity of all are a uniform sample.
    `passed`, `escalated`: requests of the route that this process answered since its last sample, by a draft and by
    premium, and that were not drawn: under the same certificate, at the same rung, and such as the policy decides.
    An observed one is itself among those that escalated.
    """

    request_id: str
    route: str
    at_ns: int
    kind: Kind
    served: str  # the configured model that answered the client
    uniform: float
    propensity: float
    certificate: str = ""  # `core.certificate.name` of the one in force; "": none
    rung: int = 0  # of the ladder
    score: float | None = None  # of the draft, by the verifier; None where there was no draft, or nothing scored it
    passed: int = 0
    escalated: int = 0
    id: int = 0  # in the order of writing, from 1; the store gives it


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answer. `response` is as outcomes have it: text, or tool calls as a JSON list."""

    model: str  # the configured model's name
    response: str
    finish: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0
    seconds: float = 0.0


class Called(msgspec.Struct, frozen=True):
    """A tool call of an earlier turn; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Turn(msgspec.Struct, frozen=True):
    """A message of the conversation. `answers`: the id of the tool call that a `tool` message answers."""

    role: str
    text: str
    calls: tuple[Called, ...] = ()
    answers: str = ""


class Offered(msgspec.Struct, frozen=True):
    """A tool that was offered; `parameters` is a JSON Schema as JSON text, "" where there was none."""

    name: str
    description: str = ""
    parameters: str = ""


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sample was about: kept apart from it, for a route's `keep_days` only. Never shown in a log."""

    request_id: str
    route: str
    at_ns: int
    messages: tuple[Turn, ...]
    said: tuple[Said, ...]  # every model that answered; opinions too
    tools: tuple[Offered, ...] = ()
    tags: tuple[str, ...] = ()
    json_answer: bool = False


class Label(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How good the draft of `model` was, and the premium's answer to the same request; each in [0, 1].

    `premium` None: nobody looked at it (feedback). "missing": a label was due and could not be had; counts as harm.
    "void": there was nothing to label, for a reason that has nothing to do with the draft. "recheck": the judge asked
    anew about a request that people have labelled.
    """

    request_id: str
    route: str
    model: str
    source: Source
    by: str = ""  # the judge's model, a reviewer's name, the id of a key
    draft: float
    premium: float | None
    propensity: float = 1.0  # of the choice to label this pair
    at_ns: int = 0
    comment: str = ""
    id: int = 0  # in the order of writing, from 1; the store gives it

    @property
    def harm(self) -> float | None:
        """What serving the draft lost; None where nobody looked at premium's answer."""
        return None if self.premium is None else max(self.premium - self.draft, 0.0)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line of the audit trail. `what`: "alarm", "judge", "drift", "certificate", ...

    `key`: where it is not "", a second event with the same key is none (several processes see the same alarm).
    `body` is JSON, and holds no text of anybody's. `digest` chains it to the line before; the store gives it.
    """

    at_ns: int
    route: str
    what: str
    body: str
    key: str = ""
    id: int = 0
    digest: str = ""


class Day(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A route's money and requests on one day (UTC, days since 1970). `aside`: spent on audits and observation."""

    day: int
    requests: int  # of clients
    drafts: int  # of these, answered by a tier below premium
    nanos: int  # spent on them
    aside_nanos: int
    baseline_nanos: int  # what always-premium would have cost


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a person answers, and no model. Its id is the request's.

    `answered_ns` 0: nobody has yet. `why` is the decision's rule, e.g. "human:self-harm".
    """

    id: str
    route: str
    key_id: str
    at_ns: int
    why: str
    turns: tuple[Turn, ...]
    answer: str = ""
    by: str = ""
    answered_ns: int = 0
