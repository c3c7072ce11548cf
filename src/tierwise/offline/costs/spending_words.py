"""The money report in sentences and in cells of tables, for somebody who decides about money and is no statistician.

The page and the terminal say the same. Knows neither of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tierwise import money
from tierwise.core.window import DAY_NS, iso
from tierwise.offline.costs.experiments import Experiment, Quality
from tierwise.offline.costs.spending import LEAST_DAYS, Ahead, Return, Spending
from tierwise.offline.costs.sums import ASIDE, DAY_HOURS, By, Row, Sums
from tierwise.offline.reports.report_words import MINUS, date, percent
from tierwise.stats import experiment, forecast

PARTS: Mapping[str, str] = {
    "premium": "premium models' answers",
    "draft": "cheaper models' answers, dropped ones too",
    "direct": "answers without a choice of models",
    "opinion": "second opinions",
    "judge": "judges",
    "audit": "audits",
    "observe": "observation",
    ASIDE: "the proof: audits, observation, comparisons",
    "correction": "corrections",
}
TITLES: Mapping[By, str] = {"route": "Route", "team": "Team", "key": "Key", "model": "Model", "day": "Day"}
EMPTY: Mapping[By, str] = {"team": "(no team)", "key": "(no key)", "model": "(of several models)"}
PROOF = "(audits)"  # and observation, and comparisons


def title(found: Spending) -> str:
    return f"Spend and savings, {period(found)}"


def period(found: Spending) -> str:
    first, last = found.since // DAY_HOURS, (found.until - 1) // DAY_HOURS
    return date(first) if first == last else f"{date(first)} to {date(last)}"


def told(found: Spending) -> Iterator[tuple[str, str]]:
    """All that the figures say: of what, and the sentences."""
    if found.first is None:
        yield "Spent", "Nothing was asked and nothing was spent in this period."
    else:
        yield "Spent", spent(found)
        yield "Saved", saved(found)
        yield "Sure", " ".join(certainty(found.whole))
    if found.ahead is not None:
        yield "Forecast", ahead(found.ahead)
    if found.returns is not None:
        yield "Return", returns(found.returns)
    for experiment_ in found.experiments:
        yield "Experiment", tried(experiment_)
        yield "Quality", quality(experiment_.quality)


def spent(found: Spending) -> str:
    """On how many requests, and on what."""
    whole, shown = found.whole, _digits(found)
    text = f"{usd(whole.spent_nanos, shown)} on {counted(whole.requests, 'answered request')}"
    if whole.drafts:
        text += f" ({percent(whole.drafts / whole.requests)} answered by cheaper models)"
    if whole.failed:
        text += f" and {whole.failed:,} without an answer"
    parts = [f"{_small(part.nanos, shown)} for {PARTS.get(part.what, part.what)}" for part in found.parts]
    return f"{text}: {', '.join(parts)}."


def saved(found: Spending) -> str:
    """Against premium alone, and what it would be for other days."""
    whole, shown = found.whole, _digits(found)
    if whole.share is None:
        return "Not known: there is nothing that premium models alone would have cost."
    net, baseline = usd(net_shown(whole, shown), shown), usd(whole.baseline_nanos, shown)
    against = f"premium models alone would have cost {baseline} for the same answers"
    if whole.net_nanos < 0:
        more = f"{net.lstrip(MINUS)}, or {percent(-whole.share)}, more was spent"
        return f"Nothing: {against}, and {more}."
    text = f"{net} net, or {percent(whole.share)}: {against}, and all spend is subtracted from that."
    if found.interval is None:
        return text
    low, high = map(percent, found.interval)
    return f"{text} Another period of such days would save {low} to {high} (95 %, bootstrap over days)."


def _small(nanos: int, shown: int) -> str:
    """With more digits where it would read as nothing."""
    return usd(nanos, shown if rounded(nanos, shown) else digits(nanos))


def _digits(found: Spending) -> int:
    return digits(found.whole.spent_nanos, found.whole.baseline_nanos)


def certainty(whole: Sums) -> Iterator[str]:
    """How much of it is not known for sure."""
    if whole.estimated_nanos or whole.unknown_nanos:
        estimated, unknown = share_of(whole.estimated_nanos, whole), share_of(whole.unknown_nanos, whole)
        yield (
            f"{estimated} of the spend is estimated (the provider did not count, or the answer broke off), and "
            f"{unknown} is of models without a price, counted at an upper bound. The rest is as providers reported or "
            "counted."
        )
    else:
        yield "All spend is as providers reported or counted; nothing is estimated or unknown."
    if whole.unknown_baseline_nanos and whole.baseline_nanos > 0:
        share = percent(whole.unknown_baseline_nanos / whole.baseline_nanos)
        yield (
            f"{share} of what premium alone would have cost is not known: it is put at what was spent, and claims no "
            "saving."
        )


def ahead(found: Ahead) -> str:
    """To the end of the month."""
    if found.value is None or found.low is None or found.high is None:
        return f"Too few days to forecast: {counted(found.days, 'whole day')} known, {forecast.LEAST_DAYS} needed."
    shown = digits(found.high)
    value, low, high, so_far = (usd(nanos, shown) for nanos in (found.value, found.low, found.high, found.so_far))
    return (
        f"{value} by the end of {date(found.last)} (95 % interval {low} to {high}), of which {so_far} is spent; from "
        f"{found.days} days."
    )


def returns(found: Return) -> str:
    """What a year of it costs and brings."""
    running = usd(found.running_nanos, 2)
    if found.saved_nanos is None or found.net_nanos is None:
        return f"Too few days to speak of a year: {found.days:.1f} known, {LEAST_DAYS} needed."
    year, net = usd(found.saved_nanos, 2), usd(found.net_nanos, 2)
    text = f"{net} a year: {year} saved at the pace of these {found.days:.1f} days, less {running} for running Tierwise"
    if found.roi is not None:
        text += f": a return (ROI) of {percent(found.roi)}"
    if found.payback_days is None:
        return f"{text}. The savings never pay for it."
    return f"{text}. The savings of {counted(round(found.payback_days), 'day')} pay for a year."


def tried(found: Experiment) -> str:
    """What an experiment says of money."""
    held, treated = found.holdout, found.treated
    start = (
        f"Route {found.route}: {held.requests:,} of {held.requests + treated.requests:,} requests, drawn at random, "
        "were answered by premium alone"
    )
    if found.each is None or found.saved is None:
        return (
            f"{start}. Too few to say what the route saves: they tell as much as {held.worth:,.0f} requests of equal "
            f"cost, the others as {treated.worth:,.0f}; {experiment.LEAST_WORTH:.0f} of each are needed, in "
            f"{experiment.LEAST_HOURS} hours or more."
        )
    small, large = digits(*map(round, found.each)), digits(*found.saved)
    each, low, high = (usd(round(nanos), small) for nanos in found.each)
    whole, least, most, aside = (usd(nanos, large) for nanos in (*found.saved, found.aside_nanos))
    return (
        f"{start}. Each of the others cost {each} less (95 % interval {low} to {high}). For all of them, {whole} is "
        f"saved ({least} to {most}), after {aside} for the route's audits and observation."
    )


def quality(found: Quality) -> str:
    """In hundredths of the scale of scores."""
    if found.difference is None:
        return (
            f"Too few ratings to say: {experiment.LEAST_RATINGS:.0f} are needed of each arm, or more labelled audits."
        )
    value, low, high = (f"{100 * part:+.1f}".replace("-", MINUS) for part in found.difference)
    of = (
        f"{found.treated:,} audited drafts, each beside premium's answer to the same request"
        if found.source == "audits"
        else f"{found.source}, on {found.treated:,} answers of the route and {found.holdout:,} that were held out"
    )
    return f"{value} points of 100 against premium's (95 % interval {low} to {high}), by {of}."


# ------------------------------------------------------------------ rows of tables


def titles(by: By) -> tuple[str, ...]:
    if by == "model":
        return (TITLES[by], "calls", "tokens in", "tokens out", "spent", "of all", "not sure")
    return (TITLES[by], "requests", "cheap", "spent", "premium alone", "net saving", "%")


def rows(found: Spending, by: By, most: int | None = None) -> Iterator[tuple[str, ...]]:
    """In the order of `titles`. With `most`: not more, and a row for those left out; of days, the last ones."""
    all_rows = found.tables[by]
    shown = all_rows if most is None else all_rows[-most:] if by == "day" else all_rows[:most]
    places = digits(*(part for row in shown for part in (row.sums.spent_nanos, row.sums.baseline_nanos)))
    for row in shown:
        cells = _of_model(row.sums, found.whole, places) if by == "model" else _of_requests(row.sums, places)
        yield (named(row, by), *cells)
    if left := len(all_rows) - len(shown):
        yield (f"({left} {'earlier' if by == 'day' else 'more'})", *[""] * (len(titles(by)) - 1))


def named(row: Row, by: By) -> str:
    if (by == "key" and row.id == ASIDE) or (by == "team" and row.id == money.ASIDE):
        return PROOF
    return row.name or EMPTY.get(by, "(none)")


def _of_requests(sums: Sums, shown: int) -> tuple[str, ...]:
    cheap = tenths(sums.drafts / sums.requests) if sums.requests else ""
    paid, baseline = usd(sums.spent_nanos, shown), usd(sums.baseline_nanos, shown)
    net, share = usd(net_shown(sums, shown), shown), "" if sums.share is None else tenths(sums.share)
    return f"{sums.requests:,}" if sums.requests or sums.failed else "", cheap, paid, baseline, net, share


def _of_model(sums: Sums, whole: Sums, shown: int) -> tuple[str, ...]:
    part = tenths(sums.spent_nanos / whole.spent_nanos) if whole.spent_nanos > 0 else ""
    unsure = tenths((sums.estimated_nanos + sums.unknown_nanos) / sums.spent_nanos) if sums.spent_nanos > 0 else ""
    tokens = (f"{sums.input_tokens:,}", f"{sums.output_tokens:,}")
    return f"{sums.entries:,}", *tokens, usd(sums.spent_nanos, shown), part, unsure


# ------------------------------------------------------------------ single values


def share_of(nanos: int, whole: Sums) -> str:
    """Of what was spent; what is not nothing does not read as nothing."""
    share = nanos / whole.spent_nanos if whole.spent_nanos else 0.0
    return "less than 0.01 %" if 0 < share < 0.0001 else percent(share)


def tenths(share: float) -> str:
    """For a column: all with the same digits."""
    text = f"{100 * share:.1f} %"
    return "0.0 %" if text == "-0.0 %" else text.replace("-", MINUS)


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def digits(*nanos: int) -> int:
    """Cents, or smaller where all is small."""
    most = max((abs(part) for part in nanos), default=0)
    return 2 if most >= 10 * 10**9 else 4 if most >= 10**8 else 6


def usd(nanos: int, shown: int) -> str:
    whole, rest = divmod(abs(rounded(nanos, shown)), 10**9)
    told = f"${whole:,}.{rest // _unit(shown):0{shown}d}"
    return f"{MINUS}{told}" if rounded(nanos, shown) < 0 else told


def rounded(nanos: int, shown: int) -> int:
    """Nano-dollars still, half of the last digit up."""
    return (nanos + _unit(shown) // 2) // _unit(shown) * _unit(shown)


def _unit(shown: int) -> int:
    return int(10 ** (9 - shown))


def net_shown(sums: Sums, shown: int) -> int:
    """So that the difference is right to the last digit that is shown."""
    return rounded(sums.baseline_nanos, shown) - rounded(sums.spent_nanos, shown)


def days_of(found: Spending) -> Sequence[tuple[int, Sums]]:
    """In days since 1970, those without anything too."""
    by_name = {row.id: row.sums for row in found.tables["day"]}
    if found.first is None:
        return []
    first, last = found.first // DAY_HOURS, min(found.until - 1, found.made_ns // (DAY_NS // DAY_HOURS)) // DAY_HOURS
    return [(day, by_name.get(iso(day * DAY_NS)[:10], Sums())) for day in range(first, last + 1)]
