"""A report in words: each state of a certificate, sums that add up as they are shown, events of any body."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offline.reports.lives import FIRST, Life, certificate, read, signed
from tierwise.offline.reports import report_words as words
from tierwise.offline.reports.report import Audit, Mean, Money, Report, reported
from tierwise.proof import Event

EMPTY = reported(read(Life(days=0), None)._replace(days=5))
FRESH = reported(read(Life(days=0), None)._replace(days=5, signed=signed(certificate()), standing="valid"))
USED = reported(read(Life(days=20), certificate()))
ALARM = reported(read(Life(days=40, bad=10), certificate()))


def changed(report: Report, **changes: Any) -> Report:
    return msgspec.structs.replace(report, **changes)


def audited(report: Report, **changes: Any) -> Report:
    assert report.audit is not None
    return changed(report, audit=msgspec.structs.replace(report.audit, **changes))


def money(baseline: int, spent: int, aside: int, requests: int = 100, drafts: int = 70) -> Money:
    net = baseline - spent - aside
    return Money(requests, drafts, baseline, spent, aside, net, net / baseline if baseline else None, (0.5, 0.6), ())


@pytest.mark.parametrize(
    ("report", "said", "mood", "part"),
    [
        (EMPTY, "not certified", "open", "nothing on this page is a guarantee"),
        (FRESH, "in force, not audited yet", "open", "no audit has tested it yet"),
        (USED, "in force, no audit alarm", "good", "have not refuted it"),
        (ALARM, "audit alarm", "bad", "the premium model answers everything"),
        (changed(USED, standing="expired"), "not in force", "bad", "(expired), and must not be relied on"),
        (changed(USED, broken="at line 2"), "audit trail broken", "bad", "have not refuted it"),
        (audited(ALARM, rung=1), "audit alarm", "bad", "from a score of 0.784 on, not 0.712"),
        (audited(USED, verdict="judge"), "judge has changed", "bad", "the judge was tested, and the premium model"),
        (audited(ALARM, verdict="judge"), "judge has changed", "bad", "what harm is now is not known"),
        (audited(ALARM, judge=(1.0, 40.0, 9)), "audit alarm", "bad", "put down to the answers"),
        (ALARM, "audit alarm", "bad", "people have labelled too little"),
    ],
)
def test_states(report: Report, said: str, mood: str, part: str) -> None:
    """What the corner says, how it looks, and the sentence of it."""
    assert words.state(report) == (said, mood)
    assert part in words.quality(report)


def test_claims_of_each_form() -> None:
    """With confidence, on average, or against premium's."""
    assert "with 95 % confidence, that at most 3 %" in words.quality(USED)
    expected, parity = (changed(USED, certificate=certificate(form=form)) for form in ("expected", "parity"))
    assert "certified, on average, that at most 3 %" in words.quality(expected)
    assert "weaker than a bound with confidence" in " ".join(words.missing(expected))
    assert "keep up with the premium" in words.quality(parity)
    assert "(limit" not in next(iter(words.qualities(parity)))[0]
    assert "(on average)" in dict(words.certified(expected)[0])["Limit"]
    assert dict(words.certified(changed(USED, certificate=certificate(saving=None)))[0])["Measured"].endswith(
        "not known"
    )
    assert words.certified(EMPTY) == ([], [])


def test_headlines() -> None:
    """A saving, a loss, a baseline nobody knows, no drafts, one model, no requests."""
    saving = changed(USED, money=money(2_000_000_000_000, 900_000_000_000, 50_000_000_000))
    assert words.headline(saving) == (
        "The route answered 100 requests, 70 % of them by the cheaper model (small). Net saving against the premium "
        "model alone: $1,050.00, or 52.5 %."
    )
    assert "$2,000.00" in words.subtracted(saving)
    assert "would save 50 % to 60 %" in words.subtracted(saving)
    assert "would save" not in words.subtracted(changed(saving, standing="expired"))
    loss = changed(USED, money=money(1_000_000_000, 1_500_000_000, 0))
    assert words.headline(loss).endswith(
        "That cost $0.50 more than the premium model alone, or 50 %: there is no net saving."
    )
    unknown = changed(USED, money=money(0, 5, 0))
    assert "no saving is stated" in words.headline(unknown)
    assert words.subtracted(unknown) == ""
    assert ", none of them by" in words.headline(changed(USED, money=money(10**9, 1, 1, drafts=0)))
    assert "cheaper models (a and b)" in words.headline(changed(saving, tiers=("a", "b", "big")))
    assert "cheaper" not in words.headline(changed(saving, tiers=("big",)))
    assert words.headline(EMPTY) == "The route answered no requests in this period."


def test_periods() -> None:
    """One day, or from and to."""
    assert words.period(changed(USED, first=FIRST, last=FIRST)) == "1 September 2026"
    assert words.period(USED) == "1 September 2026 to 20 September 2026"


@given(st.integers(0, 10**14), st.integers(0, 10**14), st.integers(0, 10**13))
def test_dollars_add_up_as_they_are_shown(baseline: int, spent: int, aside: int) -> None:
    """To the last digit that is shown, and within two of them of what is so."""
    told = words.dollars(changed(USED, money=money(baseline, spent, aside)))
    shown = [
        round(float(text.replace("\N{MINUS SIGN}", "-").replace("$", "").replace(",", "")) * 10**4) for text in told
    ]
    assert shown[0] - shown[1] - shown[2] == shown[3]
    unit = 10**7 if max(baseline, spent) >= 10**9 else 10**5
    assert abs(shown[3] * 10**5 - (baseline - spent - aside)) <= 1.5 * unit
    assert len(told[0].partition(".")[2]) == (2 if unit == 10**7 else 4)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.03, "3 %"),
        (0.0252, "2.52 %"),
        (0.604, "60.4 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (-0.0745, "\N{MINUS SIGN}7.45 %"),
    ],
)
def test_percents(value: float, told: str) -> None:
    """As many digits as are of use."""
    assert words.percent(value) == told


def test_numbers_and_lists() -> None:
    """Three digits, or whole; of long lists the first few."""
    assert [words.number(value) for value in (0.1374, 40.0, 1234.5, 3)] == ["0.137", "40", "1,234", "3"]
    assert words.listed(("a", "b", "c", "d", "e"), 3) == "a, b, c and 2 more"
    assert words.listed(()) == ""
    assert words.scores((0.71201, 0.71202, None)) == ["0.71201", "0.71202", ""]
    assert words.scores((0.5, None)) == ["0.500", ""]
    assert words.scores((0.5, 0.5 + 1e-12)) == ["0.50000000"] * 2


def test_means() -> None:
    """In hundredths, with a sign where it is a difference; no figure where all is possible."""
    rows = {row[0]: row[1:] for row in words.qualities(USED)}
    assert rows["Harm, of all requests (limit 3 %)"][0].endswith(" %")
    assert rows["Quality minus premium's, cheap answers"][0].endswith(" points")
    few = reported(read(Life(days=3, requests=100), certificate()))
    assert ("not known", "too few to say") in [row[1:] for row in words.qualities(few)]
    unknown = changed(USED, quality=msgspec.structs.replace(USED.quality, harm=Mean(None, 0.0, 1.0)))
    assert ("not known", "") in [row[1:] for row in words.qualities(unknown)]
    assert list(words.qualities(EMPTY)) == []
    assert list(words.about_quality(EMPTY)) == []
    assert list(words.about_money(EMPTY)) == []


def test_what_is_missing() -> None:
    """Each by itself; nothing where nothing is."""
    assert list(words.missing(USED)) == []
    quality = USED.quality
    for report, part in (
        (changed(USED, quality=msgspec.structs.replace(quality, waiting=3)), "3 of "),
        (FRESH, "No served answer has been audited"),
        (changed(USED, labels=tuple(row for row in USED.labels if row.source != "human")), "by no person"),
        (changed(USED, last=USED.last + 2), "2 of the 22 days of this period had no requests"),
        (changed(USED, broken="at line 2"), "is broken at line 2"),
    ):  # fmt: skip
        assert part in " ".join(words.missing(report))


def test_the_ladder_in_words() -> None:
    """Each rung, the one where it stands, and the judge's audit."""
    assert isinstance(USED.audit, Audit)
    told = words.ladder(msgspec.structs.replace(USED.audit, judge=(2.5, 40.0, 31)))
    assert "0, certified 0.712 (now); 1, stricter 0.784; 2, stricter 0.861; 3, premium answers all." in told
    assert "Of the judge: e-value 2.5 after 31 rechecks, alarm at 40" in told
    assert "Numbered" not in told


def event(what: str, body: str) -> str:
    return words.line(Event(at_ns=0, route="r", what=what, body=body))


def test_events_in_words() -> None:
    """Those that are known; of others only that they were."""
    raised = {"rung": 1, "threshold": 0.784, "rows": 5210, "drawn": 130, "harm": 0.0712, "p_value": 0.0123}
    alarm = msgspec.json.encode(raised | {"certificate": "c", "verdict": "system"}).decode()
    assert event("alarm", alarm) == (
        "harm about 7.12 % in 130 audits of 5,210 requests (p = 0.0123), put down to the answers; went to rung 1, "
        "threshold 0.784"
    )
    assert event("alarm", alarm.replace("0.784", "null").replace("system", "judge")).endswith(
        "threshold none (premium)"
    )
    assert "put down to the judge" in event("alarm", alarm.replace("system", "judge"))
    assert event("certificate", '{"certificate": "", "standing": "suspended: prices changed"}').startswith("none: susp")
    assert "12.5 % of 40 rechecks" in event("judge", '{"rows": 40, "disagreement": 0.125, "p_value": 0.01}')
    assert event("drift", '{"kind": "scores"}').startswith("scores: traffic")
    assert event("drift", '{"kind": ["a"]}').startswith("?: traffic")
    assert event("drift", "{}").startswith("?: traffic")
    for what, body in (("else", '{"text": "secret"}'), ("alarm", "secret"), ("alarm", "[1]"), ("drift", "")):
        assert event(what, body) == ""


@given(
    st.sampled_from(["alarm", "certificate", "judge", "drift"]),
    st.dictionaries(st.text(max_size=9), st.floats() | st.text(max_size=9)),
)
def test_no_body_breaks_a_report(what: str, body: dict[str, Any]) -> None:
    """Whatever is in the trail."""
    assert isinstance(event(what, msgspec.json.encode(body).decode()), str)
