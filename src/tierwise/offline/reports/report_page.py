"""A report as one HTML page that fits on paper: no scripts, nothing from elsewhere, and every value escaped.

Knows how things are set out, not what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tierwise import __version__
from tierwise.offline import sheet
from tierwise.offline.markup import Markup, element
from tierwise.offline.reports import report_words as words
from tierwise.offline.reports.report import Report
from tierwise.offline.reports.report_method import FEEDBACK, METHOD, NOT_PROMISED, REFERENCES
from tierwise.offline.reports.report_plots import evidence, spend

EVENTS = 5  # of the trail; the newest
PARTS = 8  # of the segments; those with the most requests


def page(report: Report) -> str:
    """The whole document."""
    parts = (_header(report), *_summary(report), _certificate(report), *_evidence(report), _footer(report))
    return sheet.document(words.title(report), *parts)


def _header(report: Report) -> Markup:
    said, mood = words.state(report)
    about = f"{' → '.join(report.tiers)}; made on {_at(report.made_ns)} UTC"
    left = element("div", element("h1", words.title(report)), element("p", about))
    return element("header", left, element("div", said, class_=f"state {mood}"))


def _summary(report: Report) -> Iterator[Markup]:
    yield element("p", words.headline(report), class_="lead")
    if subtracted := words.subtracted(report):
        yield element("p", subtracted)
    yield element("p", words.quality(report))
    if missing := [element("p", text) for text in words.missing(report)]:
        yield element("div", *missing, class_="warn")


def _certificate(report: Report) -> Markup:
    document = report.certificate
    if document is None:
        told = element(
            "p", "There is none. The command tierwise certify makes one, from labelled answers of this route."
        )
        return element("section", element("h2", "Certificate"), told, class_="box")
    said = element("p", f"Of this route it is certified that {document.statement}.", class_="said")
    sides = [element("table", *(sheet.row(row, ("key", "")) for row in side)) for side in words.certified(report)]
    return element("section", element("h2", "Certificate"), said, element("div", *sides, class_="two"), class_="box")


def _evidence(report: Report) -> Iterator[Markup]:
    """Figures and pictures side by side, then what happened, then how to read it."""
    left, right = (_quality, _savings, _labels), (_audit, _spending, _segments)
    yield element("div", *(element("div", *(part(report) for part in side)) for side in (left, right)), class_="two")
    yield _trail(report)
    yield element("div", _method(), element("div", _limits(), _references()), class_="two")


# ------------------------------------------------------------------ sections


def _quality(report: Report) -> Markup:
    rows, quality = list(words.qualities(report)), report.quality
    if not rows:
        return sheet.section("Quality", element("p", "Not known: no answer of this route is labelled."))
    table = sheet.table(("", "estimate", f"{words.percent(quality.confidence)} interval"), rows, "lrr")
    return sheet.section(
        "Quality", table, *(element("p", text, class_="quiet") for text in words.about_quality(report))
    )


def _audit(report: Report) -> Markup:
    audit, document = report.audit, report.certificate
    if audit is None or document is None:
        return sheet.section("Audit", element("p", "Nothing is certified, so there is nothing to audit."))
    if not audit.points:
        return sheet.section("Audit", element("p", "No audit has a label yet."))
    plot = evidence(audit.points, document.issued * 1_000_000_000, report.made_ns)
    return sheet.section("Audit: evidence against the certificate (e-value)", plot, element("p", words.ladder(audit)))


def _savings(report: Report) -> Markup:
    told, money = words.dollars(report), report.money
    if money.share is None:
        text = f"Not known. {told.spent} was spent on answers, and {told.aside} on audits and observation."
        return sheet.section("Savings, net", element("p", text))
    rows = [
        ("Premium model alone, for the same requests", told.baseline),
        ("Less: all answers to clients", told.spent),
        ("Less: audits and observation", told.aside),
    ]
    total = sheet.row((f"Net saving ({words.percent(money.share)})", told.net), ("", "right"), class_="total")
    table = element("table", *(sheet.row(row, ("", "right")) for row in rows), total)
    return sheet.section(
        "Savings, net", table, *(element("p", text, class_="quiet") for text in words.about_money(report))
    )


def _spending(report: Report) -> Markup:
    if not report.money.series:
        return sheet.section("Spending", element("p", "There were no requests."))
    return sheet.section("Spending so far, beside the premium model alone", spend(report.money, words.dollars(report)))


def _labels(report: Report) -> Markup:
    rows = list(words.sources(report))
    table = (
        sheet.table(("who says how good an answer was", "labels", "by"), rows, "lrl") if rows else element("p", "None.")
    )
    told = (element("p", words.anchors(report)), element("p", words.feedback(report)))
    return sheet.section("Labels and feedback", table, *told, element("p", FEEDBACK, class_="quiet"))


def _segments(report: Report) -> Markup:
    document = report.certificate
    parts = () if document is None else document.segments
    if not parts:
        return sheet.section(
            "Segments", element("p", "No part of the traffic has enough labelled requests for a bound.")
        )
    shown = sorted(parts, key=lambda part: -part.n)[:PARTS]
    rows = [
        (part.name, f"{part.n:,}", words.percent(part.kept), f"{part.failures:g}", words.percent(part.bound))
        for part in shown
    ]
    table = sheet.table(("when certified", "requests", "cheap", "failures", "harm at most"), rows, "lrrrr")
    left = f"{len(parts) - PARTS} smaller ones are in the certificate."
    return sheet.section("Segments, each taken alone", table, *([element("p", left)] if len(parts) > PARTS else []))


def _trail(report: Report) -> Markup:
    events = report.trail[::-1][:EVENTS]
    rows = [(_at(event.at_ns), event.what, words.line(event)) for event in events]
    told = element("table", *(sheet.row(row, ("narrow", "narrow", "")) for row in rows))
    parts = [told if rows else element("p", "No events in this period.")]
    if len(report.trail) > EVENTS:
        parts.append(element("p", f"{len(report.trail) - EVENTS} earlier ones are in --json.", class_="quiet"))
    chain = f"the chain of digests is broken {report.broken}" if report.broken else "the chain of digests is sound"
    return sheet.section(f"Audit trail: {chain}", *parts)


def _limits() -> Markup:
    return sheet.section("What is not promised", element("ul", *(element("li", text) for text in NOT_PROMISED)))


def _method() -> Markup:
    return sheet.section("Method", *(element("p", " ".join(text.split())) for text in METHOD))


def _references() -> Markup:
    return sheet.section("References", element("table", *(sheet.row(row, ("key", "")) for row in REFERENCES)))


def _footer(report: Report) -> Markup:
    last = f" The last digest of the audit trail is {report.digest}." if report.digest else ""
    return element(
        "footer",
        f"tierwise {__version__}. No text of any request or answer is on this page. "
        f"All figures: tierwise report --route {report.route} --json.{last}",
    )


def _at(nanos: int) -> str:
    return f"{datetime.fromtimestamp(nanos // 1_000_000_000, UTC):%Y-%m-%d %H:%M}"
