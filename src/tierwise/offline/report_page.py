"""A report as one HTML page that fits on paper: no scripts, nothing from elsewhere, and every value escaped.

Knows how things are set out, not what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from tierwise import __version__
from tierwise.offline import report_words as words
from tierwise.offline.markup import Markup, element, joined
from tierwise.offline.report import Report
from tierwise.offline.report_method import FEEDBACK, METHOD, NOT_PROMISED, REFERENCES
from tierwise.offline.report_plots import evidence, spend

EVENTS = 5  # of the trail; the newest
PARTS = 8  # of the segments; those with the most requests
STYLE = Markup("""
*{box-sizing:border-box}
body{margin:0 auto;padding:1.6em;max-width:76em;font:14px/1.36 "Helvetica Neue",Arial,"Liberation Sans",sans-serif;
color:#1d2530;background:#fff}
h1{font-size:1.42em;margin:0}
h2{font-size:1.04em;margin:0 0 .3em;padding-bottom:.15em;border-bottom:1px solid #1d2530}
p{margin:0 0 .4em}
header{display:flex;justify-content:space-between;align-items:flex-start;gap:2em;margin-bottom:.6em}
header p{color:#5b6675;margin:.1em 0 0}
.state{border:1.5px solid;border-radius:.2em;padding:.15em .6em;font-weight:700;white-space:nowrap}
.good{color:#20693a}.open{color:#7a5200}.bad{color:#b3261e}
.lead{font-size:1.16em;font-weight:600}
.box{border:1.5px solid #1d2530;padding:.6em .8em .4em;margin:.6em 0 .9em}
.two{display:grid;grid-template-columns:1fr 1fr;gap:0 2em;align-items:start}
section{margin-bottom:.9em}
.two>div{min-width:0}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.12em .6em .12em 0;border-bottom:1px solid #e3e7ec}
th{font-weight:600;color:#5b6675}
td{overflow-wrap:anywhere}
table+p{margin-top:.35em}
.narrow{white-space:nowrap;width:1%;padding-right:1.2em}
.said{font-weight:600}
.right{text-align:right;white-space:nowrap}
.key{width:1%;padding-right:1.2em;color:#5b6675;white-space:nowrap}
.total td{font-weight:700;border-top:1px solid #1d2530}
.quiet{color:#5b6675}
.warn{border-left:3px solid #b3261e;padding-left:.7em;margin:.5em 0}
ul{margin:0 0 .4em;padding-left:1.2em}
svg{width:100%;height:auto;display:block;font-size:9.5px}
svg text{font-family:inherit}
footer{margin-top:.8em;color:#5b6675}
@media (max-width:60em){.two{grid-template-columns:1fr}}
@media print{@page{size:A4;margin:6mm 10mm}
body{font-size:7pt;line-height:1.26;max-width:none;padding:0;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.two{grid-template-columns:1fr 1fr}section{margin-bottom:.5em}
th,td{padding-top:.07em;padding-bottom:.07em}p{margin-bottom:.3em}.box{margin:.4em 0 .6em;padding:.4em .8em .3em}
footer{margin-top:.2em}}
""")


def page(report: Report) -> str:
    """The whole document."""
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", words.title(report)),
        element("style", STYLE),
    )
    body = element(
        "body", _header(report), *_summary(report), _certificate(report), *_evidence(report), _footer(report)
    )
    return f"<!doctype html>\n{element('html', element('head', head), body, lang='en')}\n"


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
    sides = [element("table", *(_row(row, ("key", "")) for row in side)) for side in words.certified(report)]
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
        return _section("Quality", element("p", "Not known: no answer of this route is labelled."))
    table = _table(("", "estimate", f"{words.percent(quality.confidence)} interval"), rows, "lrr")
    return _section("Quality", table, *(element("p", text, class_="quiet") for text in words.about_quality(report)))


def _audit(report: Report) -> Markup:
    audit, document = report.audit, report.certificate
    if audit is None or document is None:
        return _section("Audit", element("p", "Nothing is certified, so there is nothing to audit."))
    if not audit.points:
        return _section("Audit", element("p", "No audit has a label yet."))
    plot = evidence(audit.points, document.issued * 1_000_000_000, report.made_ns)
    return _section("Audit: evidence against the certificate (e-value)", plot, element("p", words.ladder(audit)))


def _savings(report: Report) -> Markup:
    told, money = words.dollars(report), report.money
    if money.share is None:
        text = f"Not known. {told.spent} was spent on answers, and {told.aside} on audits and observation."
        return _section("Savings, net", element("p", text))
    rows = [
        ("Premium model alone, for the same requests", told.baseline),
        ("Less: all answers to clients", told.spent),
        ("Less: audits and observation", told.aside),
    ]
    total = _row((f"Net saving ({words.percent(money.share)})", told.net), ("", "right"), class_="total")
    table = element("table", *(_row(row, ("", "right")) for row in rows), total)
    return _section("Savings, net", table, *(element("p", text, class_="quiet") for text in words.about_money(report)))


def _spending(report: Report) -> Markup:
    if not report.money.series:
        return _section("Spending", element("p", "There were no requests."))
    return _section("Spending so far, beside the premium model alone", spend(report.money, words.dollars(report)))


def _labels(report: Report) -> Markup:
    rows = list(words.sources(report))
    table = _table(("who says how good an answer was", "labels", "by"), rows, "lrl") if rows else element("p", "None.")
    told = (element("p", words.anchors(report)), element("p", words.feedback(report)))
    return _section("Labels and feedback", table, *told, element("p", FEEDBACK, class_="quiet"))


def _segments(report: Report) -> Markup:
    document = report.certificate
    parts = () if document is None else document.segments
    if not parts:
        return _section("Segments", element("p", "No part of the traffic has enough labelled requests for a bound."))
    shown = sorted(parts, key=lambda part: -part.n)[:PARTS]
    rows = [
        (part.name, f"{part.n:,}", words.percent(part.kept), f"{part.failures:g}", words.percent(part.bound))
        for part in shown
    ]
    table = _table(("when certified", "requests", "cheap", "failures", "harm at most"), rows, "lrrrr")
    left = f"{len(parts) - PARTS} smaller ones are in the certificate."
    return _section("Segments, each taken alone", table, *([element("p", left)] if len(parts) > PARTS else []))


def _trail(report: Report) -> Markup:
    events = report.trail[::-1][:EVENTS]
    rows = [(_at(event.at_ns), event.what, words.line(event)) for event in events]
    told = element("table", *(_row(row, ("narrow", "narrow", "")) for row in rows))
    parts = [told if rows else element("p", "No events in this period.")]
    if len(report.trail) > EVENTS:
        parts.append(element("p", f"{len(report.trail) - EVENTS} earlier ones are in --json.", class_="quiet"))
    chain = f"the chain of digests is broken {report.broken}" if report.broken else "the chain of digests is sound"
    return _section(f"Audit trail: {chain}", *parts)


def _limits() -> Markup:
    return _section("What is not promised", element("ul", *(element("li", text) for text in NOT_PROMISED)))


def _method() -> Markup:
    return _section("Method", *(element("p", " ".join(text.split())) for text in METHOD))


def _references() -> Markup:
    return _section("References", element("table", *(_row(row, ("key", "")) for row in REFERENCES)))


def _footer(report: Report) -> Markup:
    last = f" The last digest of the audit trail is {report.digest}." if report.digest else ""
    return element(
        "footer",
        f"tierwise {__version__}. No text of any request or answer is on this page. "
        f"All figures: tierwise report --route {report.route} --json.{last}",
    )


# ------------------------------------------------------------------ parts


def _section(title: str, *inside: Markup) -> Markup:
    return element("section", element("h2", title), *inside)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> Markup:
    """`sides`: l or r for each column."""
    classes = ["right" if side == "r" else "" for side in sides]
    head = element("tr", *(_cell("th", title, class_) for title, class_ in zip(titles, classes, strict=True)))
    return element("table", head, *(_row(row, classes) for row in rows))


def _row(cells: Sequence[str], classes: Sequence[str], **more: str) -> Markup:
    return element("tr", *(_cell("td", text, class_) for text, class_ in zip(cells, classes, strict=True)), **more)


def _cell(name: str, text: str, class_: str) -> Markup:
    return element(name, text, class_=class_) if class_ else element(name, text)


def _at(nanos: int) -> str:
    return f"{datetime.fromtimestamp(nanos // 1_000_000_000, UTC):%Y-%m-%d %H:%M}"
