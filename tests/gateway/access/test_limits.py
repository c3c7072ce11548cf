"""Limits a minute: what the meters let in, and what counts. The door is in `test_terms.py`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.store import entry, record
from tests.core import plans
from tests.store.clock import ManualClock
from tierwise.errors import RateLimited
from tierwise.gateway.access.limits import NONE, SPAN, Limits, Meter, Slot, Tokens, bound, used
from tierwise.gateway.booking import ASIDE
from tierwise.money import Tenant
from tierwise.types import Foreign, Image, Message, Text, ToolCall, Usage

LIMIT = 20

# ------------------------------------------------------------------ the meter

arrivals = st.lists(
    st.tuples(st.integers(0, 25_000), st.integers(1, LIMIT), st.integers(0, LIMIT), st.integers(0, 90_000)), max_size=60
)


def granted(steps: list[tuple[int, int, int, int]]) -> list[tuple[float, int, int]]:
    """(second, amount, what it came to be) of all that get in.

    Steps: (ms since the last, amount asked for, amount used at the most, ms until it ends).
    """
    meter, now_ms = Meter(), 0
    running: list[tuple[int, Slot, int]] = []
    taken: list[tuple[float, int, int]] = []
    for gap, amount, most, takes in steps:
        now_ms += gap
        for ended in [each for each in running if each[0] <= now_ms]:
            running.remove(ended)
            meter.correct(ended[1], ended[2])
        now = now_ms / 1000
        if not meter.wait(amount, LIMIT, now):
            spent = min(amount, most)
            running.append((now_ms + takes, meter.take(amount, now), spent - amount))
            taken.append((now, amount, spent))
    return taken


@given(arrivals)
def test_never_more_than_the_limit_in_any_minute(steps: list[tuple[int, int, int, int]]) -> None:
    """In sixty seconds, wherever they begin, what was used is within the limit."""
    taken = granted(steps)
    for began, _, _ in taken:
        assert sum(spent for at, _, spent in taken if began <= at < began + 60) <= LIMIT


@given(arrivals)
def test_what_is_let_in_is_let_in_because_it_fits(steps: list[tuple[int, int, int, int]]) -> None:
    """Without corrections a request gets in just where it fits beside what the last SPAN seconds have taken."""
    asked = [(gap, amount, LIMIT, 10**9) for gap, amount, _, _ in steps]
    taken = {now: 0 for now, _, _ in granted(asked)}
    kept: list[tuple[int, int]] = []
    now_ms, meter = 0, Meter()
    for gap, amount, _, _ in asked:
        now_ms += gap
        fits = sum(count for second, count in kept if second > now_ms // 1000 - SPAN) + amount <= LIMIT
        assert (meter.wait(amount, LIMIT, now_ms / 1000) == 0) == fits
        if fits:
            meter.take(amount, now_ms / 1000)
            kept.append((now_ms // 1000, amount))
            assert now_ms / 1000 in taken


@given(arrivals, st.integers(1, LIMIT))
def test_it_recovers_when_it_says(steps: list[tuple[int, int, int, int]], amount: int) -> None:
    """After the wait that it gives, and not a second before; within SPAN seconds of the last in any case."""
    meter, now_ms = Meter(), 0
    for gap, asked, _, _ in steps:
        now_ms += gap
        if not meter.wait(asked, LIMIT, now_ms / 1000):
            meter.take(asked, now_ms / 1000)
    wait = meter.wait(amount, LIMIT, now_ms / 1000)
    assert 0 <= wait <= SPAN
    if wait:
        end_ms = now_ms + round(wait * 1000)
        assert meter.wait(amount, LIMIT, (end_ms - 1) / 1000) > 0
        assert meter.wait(amount, LIMIT, end_ms / 1000) == 0
    assert meter.wait(LIMIT, LIMIT, now_ms / 1000 + SPAN) == 0


def test_what_was_not_used_is_free_at_once() -> None:
    """And what was used beyond is owed."""
    meter = Meter()
    slot = meter.take(LIMIT, 5.5)
    meter.correct(slot, -8)
    assert (meter.wait(8, LIMIT, 5.5), meter.wait(9, LIMIT, 5.5)) == (0, SPAN - 0.5)
    meter.correct(slot, 100)
    assert meter.wait(1, LIMIT, 5.5) == SPAN - 0.5
    assert meter.wait(LIMIT, LIMIT, 5 + SPAN) == 0


def test_a_correction_that_comes_too_late_changes_nothing() -> None:
    """Its second does not count any more, whether others do or none."""
    for others in (0, 3):
        meter = Meter()
        slot = meter.take(LIMIT, 0)
        assert meter.wait(1, LIMIT, SPAN) == 0
        if others:
            meter.take(others, SPAN)
        meter.correct(slot, -LIMIT)
        assert meter.taken == others


def test_a_meter_remembers_no_more_than_a_minute() -> None:
    """However many requests: one number a second."""
    meter = Meter()
    for tenth in range(5_000):
        meter.wait(1, 10**9, tenth / 10)
        meter.take(1, tenth / 10)
    assert meter.taken == 10 * SPAN
    assert len(meter._slots) == SPAN


# ------------------------------------------------------------------ what counts


def tenant(rpm: int | None = None, tpm: int | None = None, key_id: str = "key_1", streams: int | None = None) -> Tenant:
    return Tenant(key_id, "test", rpm=rpm, tpm=tpm, streams=streams)


def asks(limits: Limits, who: Tenant, **changes: Any) -> Any:
    return limits.admit(who, plans.request(**changes), plans.route())


def test_a_key_without_limits_is_not_counted() -> None:
    """Nothing is remembered of it."""
    limits = Limits(ManualClock())
    assert all(asks(limits, tenant()) is None for _ in range(1_000))


def test_requests_are_counted_by_key() -> None:
    """One key's are not another's; after a minute they are there again."""
    clock = ManualClock()
    limits = Limits(clock)
    for who in (tenant(2), tenant(2, key_id="key_2")):
        assert all(asks(limits, who) for _ in range(2))
        with pytest.raises(RateLimited, match=r"2 requests a minute, and 2 were made\. Try again in 61\.0 s\.") as told:
            asks(limits, who)
        assert (told.value.status, told.value.code, told.value.retry_after) == (429, "rate_limit_exceeded", 61)
    clock.advance(SPAN)
    asks(limits, tenant(2))


def test_a_request_refused_for_its_tokens_is_no_request() -> None:
    """And one that is refused for its number takes no tokens."""
    limits = Limits(ManualClock())
    need = sum(bound(plans.request(max_output=100), plans.route()))
    who = tenant(2, 2 * need)
    asks(limits, who, max_output=100)
    for _ in range(5):
        with pytest.raises(RateLimited, match="tokens a minute"):
            asks(limits, who, max_output=101)
    grant = asks(limits, who, max_output=100)
    with pytest.raises(RateLimited, match="2 requests a minute"):
        asks(limits, who, max_output=100)
    grant.end(NONE)
    with pytest.raises(RateLimited, match="2 requests a minute"):
        asks(limits, who, max_output=100)


def test_requests_at_once_are_counted_by_key() -> None:
    """Another one is let in as soon as one has ended, and not before, however long that takes."""
    clock = ManualClock()
    limits = Limits(clock)
    first, _ = [asks(limits, tenant(streams=2)) for _ in range(2)]
    assert asks(limits, tenant(streams=2, key_id="key_2"))
    clock.advance(3_600)
    for _ in range(2):
        with pytest.raises(RateLimited, match=r"2 requests at once, and 2 are running\. Try again in 1\.0 s\.") as told:
            asks(limits, tenant(streams=2))
        assert told.value.retry_after == 1
    first.end(Tokens(3, 4))
    assert asks(limits, tenant(streams=2))
    with pytest.raises(RateLimited):
        asks(limits, tenant(streams=2))


def test_a_request_refused_for_a_limit_takes_of_no_other() -> None:
    """One over its requests a minute does not run, one over those at once is no request."""
    limits = Limits(ManualClock())
    first = asks(limits, tenant(3, streams=1))
    for _ in range(5):
        with pytest.raises(RateLimited, match="at once"):
            asks(limits, tenant(3, streams=1))
    first.end(NONE)
    for _ in range(2):
        asks(limits, tenant(3, streams=1)).end(NONE)
    for _ in range(5):
        with pytest.raises(RateLimited, match="3 requests a minute"):
            asks(limits, tenant(3, streams=1))
    assert asks(limits, tenant(streams=1))


def test_a_request_that_never_fits_is_told_so() -> None:
    """Waiting would not help it, so there is no time to wait. One that takes all of the limit fits."""
    need = sum(bound(plans.request(max_output=100), plans.route()))
    with pytest.raises(RateLimited, match="Ask for a shorter answer") as told:
        asks(Limits(ManualClock()), tenant(tpm=need - 1), max_output=100)
    assert told.value.retry_after is None
    asks(Limits(ManualClock()), tenant(tpm=need), max_output=100)


@pytest.mark.parametrize(("way", "advice"), [("input", "Shorten the prompt."), ("output", "Ask for a shorter answer")])
def test_tokens_in_and_out_are_limited_apart(way: str, advice: str) -> None:
    """Each by what it may take at first, then by what it took, whatever the other one takes; the refusal says which."""
    clock, need = ManualClock(), bound(plans.request(max_output=100), plans.route())
    limits, mine = Limits(clock), getattr(need, way)
    who = Tenant("key_1", "test", **{f"{way}_tpm": 2 * mine})
    first, second = [asks(limits, who, max_output=100) for _ in range(2)]
    said = f"{2 * mine:,} {way} tokens a minute, {2 * mine:,} are taken, and this request may take {mine:,}. Try again"
    with pytest.raises(RateLimited, match=said) as told:
        asks(limits, who, max_output=100)
    assert told.value.retry_after == SPAN
    other = {"input": 0, "output": 0, ("output" if way == "input" else "input"): 10**9}
    first.end(Tokens(**other))
    asks(limits, who, max_output=100)
    second.end(need)
    with pytest.raises(RateLimited, match=f"{way} tokens"):
        asks(limits, who, max_output=100)
    small = Tenant("key_2", "test", **{f"{way}_tpm": mine - 1})
    with pytest.raises(
        RateLimited, match=rf"{way} tokens a minute, and this request may take {mine}\. {advice}"
    ) as told:
        asks(limits, small, max_output=100)
    assert told.value.retry_after is None


def test_of_several_limits_the_one_that_never_fits_is_told_then_the_longest_wait() -> None:
    """Whoever waited for the shorter one would be refused again."""
    clock, need = ManualClock(), bound(plans.request(max_output=100), plans.route())
    limits = Limits(clock)
    asks(limits, Tenant("k", "test", output_tpm=need.output), max_output=100)
    clock.advance(10)
    both = Tenant("k", "test", input_tpm=need.input, output_tpm=need.output)
    asks(limits, Tenant("k", "test", input_tpm=need.input), max_output=100)
    with pytest.raises(RateLimited, match="input tokens") as told:
        asks(limits, both, max_output=100)
    assert told.value.retry_after == SPAN
    with pytest.raises(RateLimited, match="output tokens a minute, and") as told:
        asks(limits, both, max_output=101)
    assert told.value.retry_after is None


def test_the_bound_is_the_prompt_and_the_longest_answer() -> None:
    """The longest of any tier where the client sets none; each of `n` answers."""
    route = plans.route()
    prompt, answer = bound(plans.request(max_output=100), route)
    assert 4 <= prompt <= 20
    assert answer == 100
    assert bound(plans.request(max_output=100, n=3), route) == (prompt, 300)
    assert bound(plans.request(), route) == (prompt, max(model.max_output for model in route.tiers))
    longer = msgspec.structs.replace(route.tiers[0], max_output=9_999)
    assert bound(plans.request(), msgspec.structs.replace(route, tiers=(longer, route.premium))) == (prompt, 9_999)


def test_the_prompt_is_about_what_a_tokenizer_says() -> None:
    """A token has some four letters, or one Chinese character; pictures do not count by their size; tools do count."""

    def prompt(content: Any, **changes: Any) -> int:
        messages = (Message("user", content),)
        return bound(plans.request(messages=messages, max_output=1, **changes), plans.route()).input

    assert 200 <= prompt("word " * 200) <= 260
    assert 70 <= prompt("字" * 100) <= 110
    picture = Image("data:image/png;base64," + "A" * 4_000_000)
    assert 500 <= prompt((Text("What is it?"), picture)) <= 1_000
    assert 500 <= prompt((Foreign("file", "openai_chat"),)) <= 1_000
    tools = {"tools": msgspec.Raw(b"x" * 4_000)}
    assert prompt("hi", body=tools) == prompt("hi") + 1_000
    called = Message("assistant", "", (ToolCall("1", "f", "x" * 400),))
    assert bound(plans.request(messages=(called,), max_output=1), plans.route()).input >= 100


def test_what_answering_used_is_counted_once() -> None:
    """Of several tiers the one that took the most; those who were asked about the answer are not counted."""
    draft = msgspec.structs.replace(entry(1), usage=Usage(10, 5), role="draft")
    premium = msgspec.structs.replace(entry(1), usage=Usage(12, 9), role="premium")
    others = [msgspec.structs.replace(entry(1), usage=Usage(900, 900), role=duty) for duty in sorted(ASIDE)]
    assert used(record("r1", draft, premium, *others)) == (12, 9)
    assert used(record("r1", *others)) == used(record("r1")) == NONE
