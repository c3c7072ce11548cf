"""A report in sentences and in cells of tables, for somebody who decides about money and risk and is no statistician.

The page and the terminal say the same. Knows neither of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from tierwise.core.window import DAY_NS
from tierwise.offline.reports.report import SOURCES, Audit, Mean, Report
from tierwise.proof import Event

State = Literal["good", "open", "bad"]
MINUS = "\N{MINUS SIGN}"
NAMES = 3  # of those who labelled, told one by one


class Dollars(NamedTuple):
    """As told: rounded to the same digit, and so that the difference is right to the last one that is shown."""

    baseline: str
    spent: str
    aside: str
    net: str


def title(report: Report) -> str:
    return f"Route {report.route}: cost and quality, {period(report)}"


def period(report: Report) -> str:
    return date(report.last) if report.first == report.last else f"{date(report.first)} to {date(report.last)}"


def headline(report: Report) -> str:
    """How many requests, how many of them cheap, and what it saved."""
    money = report.money
    if not money.requests:
        return "The route answered no requests in this period."
    start = f"The route answered {money.requests:,} requests"
    if cheaper := report.tiers[:-1]:
        models = f"the cheaper {'model' if len(cheaper) == 1 else 'models'} ({listed(cheaper)})"
        start += f", {percent(money.drafts / money.requests) if money.drafts else 'none'} of them by {models}"
    if money.share is None:
        return f"{start}. What the premium model alone would have cost is not known, so no saving is stated."
    told = dollars(report)
    if money.net_nanos < 0:
        more = f"{told.net.lstrip(MINUS)} more than the premium model alone, or {percent(-money.share)}"
        return f"{start}. That cost {more}: there is no net saving."
    return f"{start}. Net saving against the premium model alone: {told.net}, or {percent(money.share)}."


def subtracted(report: Report) -> str:
    """What the net saving is less of."""
    if report.money.share is None:
        return ""
    told = dollars(report)
    text = (
        f"Subtracted from the {told.baseline} that the premium model alone would have cost: {told.spent} for answers "
        "(dropped ones, second opinions and judges included), and "
        f"{told.aside} for the proof (audits and observation)."
    )
    if report.money.interval is None or not report.in_force:
        return text
    low, high = report.money.interval
    return (
        f"{text} Another period of such days would save {percent(low)} to {percent(high)} (95 % bootstrap over days)."
    )


def quality(report: Report) -> str:
    """What is certified, and whether the audit still bears it out."""
    document, audit = report.certificate, report.audit
    if document is None or audit is None:
        return "No quality is certified for this route: nothing on this page is a guarantee."
    if document.form == "parity":
        claim = "Quality is certified to keep up with the premium model's, as the box below says"
    else:
        sure = "on average" if document.form == "expected" else f"with {percent(1 - document.delta)} confidence"
        claim = (
            f"Quality: it is certified, {sure}, that at most {percent(document.alpha)} of all requests are harmed (a "
            "cheap answer that is not good enough, where the premium's would have been)"
        )
    if audit.verdict != "none":
        return f"{claim}. That no longer holds: {_climbed(audit)}. {_blamed(audit)}"
    if not report.in_force:
        return f"{claim}; but the certificate is not in force ({report.standing}), and must not be relied on."
    if not audit.points:
        return f"{claim}. The certificate is in force; no audit has tested it yet."
    most = max(point.wealth for point in audit.points)
    return (
        f"{claim}. The certificate is in force, and {len(audit.points):,} random audits since have not refuted it (the "
        f"e-value is {number(audit.e_value)}, was {number(most)} at most, and an alarm comes at {number(audit.level)})."
    )


def state(report: Report) -> tuple[str, State]:
    """In a few words, for who reads nothing else."""
    audit = report.audit
    if report.certificate is None or audit is None:
        return "not certified", "open"
    if audit.verdict != "none":
        return "judge has changed" if audit.verdict == "judge" else "audit alarm", "bad"
    if not report.in_force:
        return "not in force", "bad"
    if report.broken:
        return "audit trail broken", "bad"
    return ("in force, no audit alarm", "good") if audit.points else ("in force, not audited yet", "open")


def _climbed(audit: Audit) -> str:
    if audit.verdict == "judge" or audit.thresholds[audit.rung] is None:
        now = "the premium model answers everything"
    else:
        told = scores(audit.thresholds)
        now = f"cheap answers are served only from a score of {told[audit.rung]} on, not {told[0]}"
    return f"{'an audit alarm came' if audit.rung else 'the judge was tested'}, and {now}"


def _blamed(audit: Audit) -> str:
    if audit.verdict == "judge":
        return "The judge that labels answers has changed, so what harm is now is not known."
    if audit.judge is None:
        return "Whether the judge has changed was not tested: people have labelled too little."
    return "Rechecks do not show that the judge has changed, so it is put down to the answers."


def missing(report: Report) -> Iterator[str]:
    """What a reader might believe to be there."""
    found, sources = report.quality, {row.source for row in report.labels}
    if report.broken:
        yield f"The audit trail is broken {report.broken}: it was changed or damaged there, and can't be relied on."
    if found.waiting:
        yield f"{found.waiting:,} of {found.drawn:,} audits have no label yet; they are taken to be like the rest."
    if not found.drawn and report.certificate is not None:
        yield "No served answer has been audited under this certificate, so its quality since then is not known."
    if "judge" in sources and "human" not in sources:
        yield "Answers were judged by a model and, in this period, by no person: quality is as that model sees it."
    if report.certificate is not None and report.certificate.form == "expected":
        yield "The certificate bounds harm on average over samples, which is weaker than a bound with confidence."
    days = report.last - report.first + 1
    if 0 < len(report.money.series) < days:
        yield f"{days - len(report.money.series):,} of the {days:,} days of this period had no requests."


# ------------------------------------------------------------------ rows of tables


def certified(report: Report) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What is claimed and by what, and how long and for what it holds."""
    document = report.certificate
    if document is None:
        return [], []
    confidence = "on average" if document.form == "expected" else f"{percent(1 - document.delta)} confidence"
    saving = "not known" if document.saving is None else "{} ({} to {})".format(*map(percent, document.saving))
    claim = [
        ("Limit", f"alpha {percent(document.alpha)}, delta {percent(document.delta)} ({confidence})"),
        ("Evidence", f"{document.n:,} requests, {document.labels_used:,} labels from {document.labels}"),
        ("Found", f"{document.failures:g} failures; harm at most {percent(document.harm_bound)}"),
        ("Method", document.method),
        ("Measured", f"{percent(document.kept_cheap)} answered cheap; saving {saving}"),
    ]
    holds = [
        ("Now", report.standing),
        ("Valid", f"{moment(document.issued)} to {moment(document.expires)}"),
        ("Signed by", f"{report.key} (Ed25519)"),
        ("Document", f"{report.name}; its data {document.data_sha256[:16]}"),
        ("Binds", ", ".join(f"{what} {digest[:8]}" for what, digest in sorted(document.binds.items()))),
    ]
    return claim, holds


def qualities(report: Report) -> Iterator[tuple[str, str, str]]:
    """What, the estimate, and its interval."""
    found, document = report.quality, report.certificate
    if found.labelled:
        limit = f" (limit {percent(document.alpha)})" if document is not None and document.form == "harm" else ""
        yield f"Harm, of all requests{limit}", *_mean(found.harm, "{:.2f}", " %")
        yield "Quality minus premium's, all requests", *_mean(found.difference)
        yield "Quality minus premium's, cheap answers", *_mean(found.difference_cheap)
    for row in report.observed:
        yield f"Drafts of {row.model} not served ({row.labelled:,})", *_mean(row.difference)


def _mean(found: Mean, form: str = "{:+.2f}", unit: str = " points") -> tuple[str, str]:
    """In hundredths of the scale of scores, from 0 to 1."""
    if found.value is None:
        return "not known", ""
    if min(found.low, 0.0) + 1 <= found.high:  # all that is possible
        return "not known", "too few to say"
    value, low, high = (form.format(100 * part).replace("-", MINUS) for part in (found.value, found.low, found.high))
    return f"{value}{unit}", f"{low} to {high}"


def about_quality(report: Report) -> Iterator[str]:
    """What the figures are of."""
    found = report.quality
    if not found.labelled:
        return
    since = "in this period" if report.certificate is None else "under this certificate"
    void = f", {found.void:,} had nothing to label" if found.void else ""
    yield (
        f"{found.rows:,} requests {since}, {found.cheap:,} answered cheap; {found.drawn:,} of these were audited, "
        f"{found.labelled:,} have a label{void}. Each counts for as many as its chance of being drawn says. Points are "
        "hundredths of the scale of labels. Intervals hold however often one looks, and if quality changes on the way."
    )


def about_money(report: Report) -> Iterator[str]:
    """What the sums hold."""
    money = report.money
    if money.baseline_nanos > 0:
        share = percent(money.aside_nanos / money.baseline_nanos)
        yield f"Audits and observation took {share} of the first sum. Sums are exact; here they are rounded."


def ladder(audit: Audit) -> str:
    """Where the route stands, and what an alarm would do."""
    rungs = "; ".join(f"{rung}, {what}{' (now)' if rung == audit.rung else ''}" for rung, what in _rungs(audit))
    judge = ""
    if audit.judge is not None:
        value, level, rows = audit.judge
        judge = f" Of the judge: e-value {number(value)} after {rows:,} rechecks, alarm at {number(level)}."
    lately = ""
    if any(point.alarm for point in audit.points):
        lately = " Numbered lines are alarms. They weigh what came lately; harm since the start may be below the limit."
    return f"An alarm leads one rung up; only a new certificate leads down. Rungs: {rungs}.{lately}{judge}"


def _rungs(audit: Audit) -> Iterator[tuple[int, str]]:
    for rung, score in enumerate(scores(audit.thresholds)):
        kind = (
            "premium answers all"
            if audit.thresholds[rung] is None
            else f"{'stricter' if rung else 'certified'} {score}"
        )
        yield rung, kind


def scores(thresholds: Sequence[float | None]) -> list[str]:
    """With as many digits as tell them apart; "" for premium."""
    told = list[str]()
    for digits in range(3, 9):
        told = ["" if step is None else f"{step:.{digits}f}" for step in thresholds]
        if len(set(told)) == len(told):
            return told
    return told


def anchors(report: Report) -> str:
    """How people and judges agree."""
    both = report.anchors
    if not both.pairs:
        return "No pair of answers is labelled by both a judge and a person."
    return f"Of {both.pairs:,} pairs that a judge and people have labelled, they agree on {both.agreed:,}."


def feedback(report: Report) -> str:
    found = report.feedback
    if not found.up + found.down:
        return "No feedback of clients in this period."
    return f"Feedback of clients: {found.up:,} good, {found.down:,} bad."


def sources(report: Report) -> Iterator[tuple[str, str, str]]:
    for row in report.labels:
        yield SOURCES[row.source], f"{row.count:,}", listed(row.by, NAMES)


def line(event: Event) -> str:
    """An event of the trail. What it does not know it does not show."""
    try:
        body = msgspec.json.decode(event.body, type=dict[str, object])
    except msgspec.DecodeError:
        return ""
    return _LINES[event.what].format_map(_Told(body)) if event.what in _LINES else ""


class _Told(dict[str, str]):
    """Values for a reader; a question mark for one that is not there."""

    def __init__(self, body: Mapping[str, object]) -> None:
        super().__init__({key: _told(key, value) for key, value in body.items()})

    def __missing__(self, key: str) -> str:
        return "?"


_LINES: Mapping[str, str] = {
    "certificate": "{certificate}: {standing}",
    "alarm": "harm about {harm} in {drawn} audits of {rows} requests (p = {p_value}), put down to {verdict}; went to "
    "rung {rung}, threshold {threshold}",
    "judge": "differs from people on {disagreement} of {rows} rechecks, more than when certified (p = {p_value})",
    "drift": "{kind}: traffic is not what was certified, so more of it is audited",
}  # fmt: skip


_WHOM = {"system": "the answers", "judge": "the judge"}


def _told(key: str, value: object) -> str:
    if value is None or value == "":
        return "none (premium)" if key == "threshold" else "none"
    if isinstance(value, int | float):
        return percent(value) if key in {"harm", "disagreement"} else number(value)
    return _WHOM.get(value, value) if isinstance(value, str) else "?"


# ------------------------------------------------------------------ single values


def dollars(report: Report) -> Dollars:
    """To the cent, or to a hundredth of it where all is small."""
    money = report.money
    unit = 10**7 if max(abs(money.baseline_nanos), money.spent_nanos) >= 10**9 else 10**5
    baseline, spent, aside = (
        round(nanos / unit) for nanos in (money.baseline_nanos, money.spent_nanos, money.aside_nanos)
    )
    return Dollars(*(_dollars(units * unit, unit) for units in (baseline, spent, aside, baseline - spent - aside)))


def _dollars(nanos: int, unit: int) -> str:
    return f"{MINUS if nanos < 0 else ''}${abs(nanos) / 1e9:,.{2 if unit == 10**7 else 4}f}"


def percent(share: float) -> str:
    """To a tenth, and below a tenth to a hundredth; whole ones as such."""
    digits = 1 if abs(share) >= 0.1 else 2
    told = f"{100 * share:.{digits}f}"
    whole, _, rest = told.partition(".")
    return f"{told if rest.strip('0') else whole} %".replace("-", MINUS)


def number(value: float) -> str:
    """Three digits; large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def listed(names: Sequence[str], most: int = 8) -> str:
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def date(day: int) -> str:
    return moment(day * DAY_NS // 1_000_000_000)


def moment(seconds: int) -> str:
    """The day of it, such as 3 November 2026 (UTC)."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y}"
