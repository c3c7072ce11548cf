"""The nouns of the house: frozen values that every other room speaks in.

Knows nothing of wires, clocks, stores or the network; who pays, and what was spent, is in `money.py`.
Money is integer nano-dollars (1e-9 USD);
prices are integer pico-dollars a token (1e-12 USD), so that one millionth of a dollar per million
tokens is still an integer; times are milliseconds, or Unix nanoseconds where a name ends in `_ns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tierwise.tariffs import Pricing

Role = Literal["system", "developer", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]
Duty = Literal["draft", "premium", "direct", "opinion", "judge", "audit", "observe", "screen"]
CostState = Literal["provider_reported", "computed", "estimated", "unknown"]
Hold = Literal["draft", "window", "none"]
Mode = Literal["observe", "enforce", "premium"]
Uncertified = Literal["observe", "checks", "agreement"]
OpinionForm = Literal["same", "reason", "code"]
Structured = Literal["native", "tool", "retry"]
ProviderName = Literal["openai", "anthropic", "deepseek", "local", "scripted", "sorter"]


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of the small frozen values that hold no containers of their own making."""


# ------------------------------------------------------------------ what a client asks


class Text(Value, frozen=True, tag="text", tag_field="kind"):
    text: str


class Image(Value, frozen=True, tag="image", tag_field="kind"):
    """A picture: an `https:` address, or a `data:` URL with its bytes in base64."""

    url: str
    detail: str | None = None


class Document(Value, frozen=True, tag="document", tag_field="kind"):
    """A file to read, such as a PDF: an `https:` address, or a `data:` URL with its type and its bytes in base64."""

    url: str
    name: str = ""

    @property
    def what(self) -> str:
        return "file"


class Audio(Value, frozen=True, tag="audio", tag_field="kind"):
    """Speech or sound: its bytes in base64, and what they are: "wav", "mp3"."""

    data: str
    format: str

    @property
    def what(self) -> str:
        return "input_audio"


class Foreign(Value, frozen=True, tag="foreign", tag_field="kind"):
    """A part that only the dialect it came in can express (files kept at a provider); `what` names it in errors."""

    what: str
    dialect: str


Part = Text | Image | Document | Audio | Foreign


class ToolCall(Value, frozen=True):
    """A call that a model asks for. `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, frozen=True):
    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""  # of a `tool` message: the call that it answers

    @property
    def text(self) -> str:
        """Its words: parts of text on lines of their own, without pictures and the like."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join([part.text for part in self.content if isinstance(part, Text)])


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call. `parameters` is a JSON Schema, or None where none was given."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One chat request, neutral between dialects.

    `body` is the client's own top-level JSON object, each value as its raw bytes; a provider that speaks
    the same `dialect` starts from it, so fields that nobody here reads travel on unchanged.
    """

    id: str
    asked: str  # what the client named as `model`: a route, or a configured model
    messages: tuple[Message, ...]
    stream: bool = False
    usage_asked: bool = False  # the client wants the usage chunk at the end of its stream
    logprobs_asked: bool = False
    n: int = 1
    max_output: int | None = None  # tokens
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"  # auto | none | required | the name of a tool
    parallel_tools: bool = True
    json_answer: bool = False  # the answer must be a JSON document
    schema: dict[str, Any] | None = None  # ... and satisfy this JSON Schema
    tags: frozenset[str] = frozenset()  # risk classes and labels of the request, e.g. "legal"
    foreign: tuple[str, ...] = ()  # what only its own dialect can say: tools of other kinds than functions
    continues: str = ""  # the answer that it goes on from, on a wire that keeps conversations
    last_model: str = ""  # the configured model that answered this conversation's last turn, where that is known
    doubts: tuple[str, ...] = ()  # screens that could not decide by themselves: a model is asked, where there is one
    deadline_s: float | None = None  # the client can wait so long for the answer
    dialect: str = "openai_chat"
    extras: tuple[tuple[str, str], ...] = ()  # headers for a provider of the same dialect
    body: Mapping[str, msgspec.Raw] = {}


# ------------------------------------------------------------------ what a model answers


class Usage(Value, frozen=True):
    """Tokens of one answer. `input_tokens` includes cached ones, `output_tokens` includes reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanos: int | None = None  # where the provider itself says what it charges
    cache_write_1h_tokens: int = 0  # of those written: for an hour instead of the shortest life
    audio_tokens: int = 0  # of the input's fresh ones; so are images'
    image_tokens: int = 0
    speech_tokens: int = 0  # of the output
    service: str = ""  # the service tier that the provider says it used, in its own word
    region: str = ""  # ... and where, where that has a price


class ToolDelta(Value, frozen=True):
    """A piece of a streamed tool call; `id` and `name` come with the first piece of an `index`."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Chunk(msgspec.Struct, frozen=True):
    """A piece of an answer, neutral. `wire` is the provider's own JSON of it, in `dialect`.

    A provider that answered whole sends one chunk a choice, with `wire` (the whole body) on the first.
    """

    text: str = ""
    index: int = 0  # of the choice, where a request asked for several
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolDelta, ...] = ()
    finish: Finish | None = None
    logprobs: tuple[float, ...] = ()  # natural logarithms, one a token
    usage: Usage | None = None
    wire: bytes | None = None
    dialect: str = ""


class Choice(msgspec.Struct, frozen=True):
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None  # None: not ended (yet)
    logprobs: tuple[float, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What a model has said. `complete` is False while a window holds the rest of it back."""

    model: str  # the configured model's name
    choices: tuple[Choice, ...]
    usage: Usage | None = None  # None: the provider has not said
    complete: bool = True
    chunks: tuple[Chunk, ...] = ()  # what it was joined from, for whoever re-emits it

    @property
    def text(self) -> str:
        return self.choices[0].text if self.choices else ""


# ------------------------------------------------------------------ models and routes


class Price(Value, frozen=True):
    """Pico-dollars a token: 1 USD per million tokens is 1_000_000. `source` says where it is from."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    source: str = ""


class Model(Value, frozen=True):
    """One callable model at one provider. `price` None means that nobody has told us what it costs.

    With `pricing` that is what it is charged by, and `price` only the standard one at the dearest hour, for plans.
    """

    name: str
    provider: ProviderName
    model: str  # the provider's own name for it
    price: Price | None = None
    max_output: int = 4096  # tokens; the bound on an answer where the client sets none
    context: int | None = None  # tokens
    logprobs: bool = False  # ask for token log-probabilities: evidence for the verifier
    pricing: Pricing | None = None
    structured: Structured = "native"  # how a JSON Schema for the answer is asked of it
    region: str = ""  # where it runs, e.g. "eu"; "": nobody has said
    open_weights: bool | None = None  # None: nobody has said
    retention_days: int | None = None  # that its provider keeps what it is sent; None: nobody has said


class Vector(Value, frozen=True):
    """An operator's own test: where the prompt matches `when` ("": always), the answer must match `expect`.

    Both are regular expressions, searched for; with `absent` the answer must not match.
    """

    expect: str
    when: str = ""
    absent: bool = False


class Checks(msgspec.Struct, frozen=True):
    """Thresholds of the free checks. `min_logprob` is a mean natural logarithm a token; None only reports it."""

    min_logprob: float | None = -1.0
    max_repeats: int = 4
    vectors: tuple[Vector, ...] = ()


class Thresholds(Value, frozen=True):
    """What a trained verifier's score is worth on a route: from `accept` on a draft is served.

    From `consult` up to `unheard` is the uncertain band, in which second opinions and a judge are asked: below it a
    draft escalates at once, from `unheard` on it is served without asking anybody. consult <= accept <= unheard.
    """

    accept: float
    consult: float
    unheard: float


class Escalations(Value, frozen=True):
    """How much of what a key asks on a route within an hour may go to premium; None: without that limit.

    `share` is of its requests, `nanos` are for premium's calls. What is over it is refused, or gets the rejected draft.
    """

    share: float | None = None
    nanos: int | None = None
    over: Literal["refuse", "draft"] = "refuse"


class Route(msgspec.Struct, frozen=True):
    """A named workload. `tiers` is cheapest first; the last is the premium and the reference for quality."""

    name: str
    tiers: tuple[Model, ...]
    mode: Mode = "enforce"
    uncertified: Uncertified = "observe"
    max_harm: float = 0.03
    confidence: float = 0.95
    hold: Hold = "draft"
    window: int = 48  # tokens that hold = "window" keeps back
    audit: float = 0.02  # least share of served drafts after which premium is asked too
    observe: float = 0.0  # share of premium's answers beside which every cheaper model is asked too
    aside_nanos: int = 0  # that both may cost a day
    keep_days: int = 0  # that texts of samples are kept; 0: they are not
    floor: frozenset[str] = frozenset()
    escalate_above: float = 0.5  # with hold = "none": the router's score from which a request goes to premium
    premium_down: Literal["refuse", "draft"] = "refuse"  # what a rejected draft is worth when no premium answers
    checks: Checks = Checks()
    opinions: tuple[Model, ...] = ()  # other cheap models, asked in the uncertain band
    opinion_form: OpinionForm = "same"
    judge: Model | None = None  # asked where opinions leave a draft in the band
    thresholds: Thresholds | None = None  # of the trained verifier; None: there is none, or no certificate
    certified: str = "none"  # where its certificate stands: "valid", or why it is not
    certified_until: int = 0  # Unix seconds; the thresholds are worth nothing from then on
    certificate: str = ""  # the name of the one that the thresholds are by
    rung: int = 0  # of its ladder, after so many alarms
    planned: bool = False  # a trained router says before the first call which tiers are worth trying
    nanos_per_second: int = 0  # what a second of waiting is worth
    over_budget: Literal["refuse", "cheap"] = "refuse"  # what becomes of a request that a budget can't bear
    escalations: Escalations | None = None
    holdout: float = 0.0  # share of requests that premium answers by chance, to compare the others with
    screener: Model | None = None  # asked where a screen has doubts about a request
    human: frozenset[str] = frozenset()  # tags that a person answers, and no model
    human_reply: str = ""  # what the client is told meanwhile
    below: bool = False  # a lower tier that clients name themselves: classes with a floor are not for it
    insisted: bool = False  # mode "premium" is the client's wish, not the operator's
    reference: Model | None = None  # its own premium, where a rule for personal data has left models out

    @property
    def premium(self) -> Model:
        return self.tiers[-1]

    @property
    def yardstick(self) -> Model:
        """What always-premium would call, whoever may have the request."""
        return self.reference or self.premium


# ------------------------------------------------------------------ what was decided, and what it cost


class Evidence(Value, frozen=True, array_like=True):
    """One check's finding about a draft. `passed` None means that the check had nothing to look at.

    As an array in JSON: the ledger keeps several of them for every request.
    """

    check: str
    passed: bool | None
    detail: str = ""  # for people; never text of the prompt or the answer
    value: float | None = None  # what was measured, for a verifier that learns from it


class Estimate(Value, frozen=True):
    """What a router expects of one tier for one request, before any call."""

    good: float  # P(its answer is good enough)
    accept: float  # P(its draft will be served)
    consult: float = 0.0  # P(opinions will be asked about its draft)
    output_tokens: float = 0.0
    seconds: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """A scorer's view. Only calibration gives `score`, in [0, 1], a meaning.

    `estimates`, one for every tier of the route, come from a router that was trained for it.
    """

    score: float
    evidence: tuple[Evidence, ...] = ()
    estimates: tuple[Estimate, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    action: Literal["serve", "escalate", "refuse"]
    rule: str  # the rule that fired; goes to the audit trail as it is
    score: float | None = None
    evidence: tuple[Evidence, ...] = ()
