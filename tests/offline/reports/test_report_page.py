"""The page: self-contained, nothing but text from values, everything said that must be said, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.offline.reports.lives import FIRST, Life, certificate, read, signed
from tests.offline.test_markup import Read
from tierwise.core.certificate import Segment
from tierwise.core.window import DAY_NS
from tierwise.offline.reports.report import Report, reported
from tierwise.offline.reports.report_method import METHOD, NOT_PROMISED, REFERENCES
from tierwise.offline.reports.report_page import page
from tierwise.proof import Day, Event, Label

EVIL = "<script>alert('x')</script>&\""
POLICY = "Content-Security-Policy"
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "div", "h1", "h2", "p", "section", "table", "tr", "td",
    "th", "ul", "li", "footer", "svg", "line", "text", "polyline", "polygon", "rect", "circle",
}  # fmt: skip


@pytest.fixture(scope="module")
def good() -> Report:
    return reported(read(Life(days=60), certificate()))


@pytest.fixture(scope="module")
def bad() -> Report:
    return reported(read(Life(days=60, bad=30), certificate()))


def shown(report: Report) -> str:
    """Its words, in one line, without the style."""
    body = page(report).partition("</style>")[2]
    return " ".join(Read(re.sub(r"</(t[dhr]|p|h\d|div|li|text|title)>", r" \g<0>", body)).texts.split())


def changed(report: Report, **changes: Any) -> Report:
    return msgspec.structs.replace(report, **changes)


def plain(**changes: Any) -> Report:
    """Of a route that has done nothing yet."""
    empty = read(Life(days=0), None)._replace(days=5)
    return reported(empty._replace(**changes))


def test_it_is_self_contained(good: Report, bad: Report) -> None:
    """No scripts, links, pictures or fonts from elsewhere; the browser is told to load none."""
    for report in (good, bad, plain()):
        text = page(report)
        found = Read(text)
        assert {tag for tag, _ in found.tags} <= TAGS
        names = {key for _, attributes in found.tags for key, _ in attributes}
        assert not {name for name in names if name.startswith("on") or name in {"src", "href", "style", "action"}}
        assert "http://" not in text
        assert "https://" not in text
        assert "url(" not in text
        policy = [dict(attributes)["content"] for _, attributes in found.tags if ("http-equiv", POLICY) in attributes]
        assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
        assert text.startswith("<!doctype html>")


def test_every_value_is_escaped() -> None:
    """Names, labels, segments and events that try to be markup."""
    document = certificate(
        statement=EVIL, method=EVIL, labels=EVIL, segments=(Segment(EVIL, 60, 0.5, 1, 0.1),), binds={EVIL: EVIL},
        data_sha256=EVIL,
    )  # fmt: skip
    whole = read(Life(days=12), document)
    bodies = (f'{{"certificate": "{EVIL[:20]}", "standing": "<b>"}}', EVIL, "{}")
    events = [
        Event(at_ns=(FIRST + 3) * DAY_NS, route=EVIL, what=what, body=body, id=place, digest=EVIL)
        for place, (what, body) in enumerate((what, body) for body in bodies for what in ("certificate", EVIL))
    ]
    said = Label(
        request_id=EVIL, route="r", model=EVIL, source="human", by=EVIL, draft=0.0, premium=1.0, comment=EVIL,
        at_ns=(FIRST + 3) * DAY_NS, id=10**6,
    )  # fmt: skip
    whole = whole._replace(
        route=EVIL, tiers=(EVIL, EVIL), standing=EVIL, broken=EVIL, trail=events, labels=[*whole.labels, said]
    )
    report = msgspec.structs.replace(reported(whole), name=EVIL, key=EVIL)
    text = page(report)
    assert "<script" not in text
    assert "<b>" not in text
    assert {tag for tag, _ in Read(text).tags} <= TAGS
    assert shown(report).count("<script>alert('x')</script>&\"") >= 12


def test_the_order_of_things(good: Report) -> None:
    """What was saved and whether quality held, then the certificate, then what bears it out."""
    told = shown(good)
    heads = [
        "Route support", "Net saving against", "Quality: it is certified", "Certificate", "Quality", "Savings, net",
        "Labels and feedback", "Audit: evidence", "Spending so far", "Segments", "Audit trail", "Method",
        "What is not promised", "References",
    ]  # fmt: skip
    places, at = list[int](), 0
    for head in heads:
        at = told.index(head, at)
        places.append(at)
    assert places == sorted(places)


def test_what_a_committee_reads(good: Report) -> None:
    """The certificate in full, the state of it, who labelled, and why feedback doesn't count."""
    told, document = shown(good), good.certificate
    assert document is not None
    for part in (
        document.statement, "in force, no audit alarm", "alpha 3 %, delta 5 %", "1,240 requests", good.name, good.key,
        "1 September 2026 to 30 November 2026", "prompt: short", "the chain of digests is sound", "no random sample",
        "Feedback is not used in the guarantee", "Harm, of all requests (limit 3 %)", "Drafts of small not served",
        "have not refuted it", "people, who saw both answers blind",
    ):  # fmt: skip
        assert part in told
    assert re.search(r"blind \d+ Ada another", told) or re.search(r"blind \d+ Ada same", told)
    assert "models 3f9a1c00" in told
    assert "alarm at 40" in told
    assert "The last digest of the audit trail is d1." in shown(changed(good, digest="d1"))
    assert "last digest" not in shown(changed(good, digest=""))
    for text in (*METHOD, *NOT_PROMISED, *(part for row in REFERENCES for part in row)):
        assert " ".join(text.split()) in told


def test_the_method_is_plain() -> None:
    """About two hundred words and no formula."""
    words = " ".join(METHOD).split()
    assert 150 <= len(words) <= 220
    assert not set("=<>∑λαδ^") & set(" ".join(words))


def test_an_alarm_is_said_first(bad: Report) -> None:
    """In the corner, in the first lines, in the box and beside the picture; and no promise of further savings."""
    told = shown(bad)
    head = told[: told.index("Certificate")]
    assert "audit alarm" in head[:200]
    assert "That no longer holds: an audit alarm came, and the premium model answers everything" in head
    assert "Another period" not in told
    assert "Now suspended: audit alarm" in told
    assert "Numbered lines are alarms" in told
    assert "3, premium answers all (now)" in told
    assert told.count("put down to the answers; went to rung") == 3
    assert told.index("went to rung 3") < told.index("went to rung 1")


def test_what_is_missing_is_said() -> None:
    """No certificate, no audits, no requests, no labels, a broken chain."""
    nothing = shown(plain())
    for part in (
        "not certified", "The route answered no requests in this period", "nothing on this page is a guarantee",
        "There is none. The command tierwise certify", "Not known: no answer of this route is labelled",
        "Nothing is certified, so there is nothing to audit", "There were no requests", "No events in this period",
        "No part of the traffic has enough", "No feedback of clients", "No pair of answers is labelled by both",
    ):  # fmt: skip
        assert part in nothing
    fresh = shown(plain(signed=signed(certificate()), standing="valid", broken="at line 7"))
    assert "no audit has tested it yet" in fresh
    assert "No audit has a label yet" in fresh
    assert "The audit trail is broken at line 7" in fresh[: fresh.index("Certificate")]
    assert "the chain of digests is broken at line 7" in fresh
    assert "is sound" not in fresh


def test_long_lists_are_cut(good: Report) -> None:
    """The largest segments and the newest events, and how many more there are."""
    parts = tuple(Segment(f"part {number}", 100 + number, 0.5, 1, 0.1) for number in range(12))
    events = tuple(
        Event(at_ns=(FIRST + number) * DAY_NS, route="support", what="drift", body='{"kind": "score"}', id=number)
        for number in range(8)
    )
    document = msgspec.structs.replace(certificate(), segments=parts)
    told = shown(changed(good, certificate=document, trail=events))
    assert "part 11" in told
    assert "part 4 " in told
    assert "part 3 " not in told
    assert "4 smaller ones" in told
    assert told.count("drift") == 5
    assert "2026-09-08" in told
    assert "2026-09-03" not in told
    assert "3 earlier ones" in told


def test_a_baseline_that_is_not_known() -> None:
    """No saving is stated, only what was spent."""
    day = Day(day=FIRST - 1, requests=5, drafts=5, nanos=2 * 10**9, aside_nanos=10**7, baseline_nanos=0)
    told = shown(plain(spend=[day]))
    assert "no saving is stated" in told
    assert "$2.00 was spent on answers, and $0.01 on audits" in told
    assert "Net saving" not in told.replace("net saving", "")
