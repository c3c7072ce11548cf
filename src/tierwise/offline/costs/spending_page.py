"""The money report as one HTML page that fits on paper. Knows how things are set out, not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tierwise import __version__
from tierwise.core.window import iso
from tierwise.offline import sheet
from tierwise.offline.costs import spending_plots
from tierwise.offline.costs import spending_words as words
from tierwise.offline.costs.spending import Spending
from tierwise.offline.costs.sums import BY, By
from tierwise.offline.markup import Markup, element

MOST = 31  # rows of a table; the rest is in --csv
METHOD = (
    """Savings are what premium models alone would have cost for the same answers, less everything that was spent. Where
    a cheaper model answered, premium's price is applied to the tokens of that answer: an estimate, as premium may have
    written more or less.""",
    """Sums are exact, in billionths of a dollar; here they are rounded. A call costs what the provider reported, or its
    counts of tokens at the catalogue's price. Where it did not count, tokens are estimated; where a model has no
    price, an upper bound stands in.""",
    """The forecast weighs a drifting level, a trend and the pattern of the week by how well they explain the last eight
    weeks at most (Harvey 1989). It knows of no holidays and no launches.""",
    """An experiment needs no such estimate: a random share of requests is answered by premium alone. The interval is
    the wider of Welch's and one that takes only hours to be independent. Ratings: Agresti and Caffo (2000).""",
)


def page(found: Spending, tables: Iterable[By] = BY) -> str:
    """The whole document."""
    parts = (_header(found), _summary(found), *_pictures(found), *_tables(found, tables), _method(), _footer())
    return sheet.document(words.title(found), *parts)


def _header(found: Spending) -> Markup:
    about = f"All routes; days are UTC; made on {iso(found.made_ns)[:16].replace('T', ' ')} UTC"
    return element("header", element("div", element("h1", words.title(found)), element("p", about)))


def _summary(found: Spending) -> Markup:
    """What matters most stands out."""
    rows = [sheet.row(told, ("key", "said" if told[0] == "Saved" else "")) for told in words.told(found)]
    return element("section", element("table", *rows), class_="box")


def _pictures(found: Spending) -> Iterator[Markup]:
    if found.first is None:
        return
    left = [sheet.section("Each day, beside premium models alone", spending_plots.daily(words.days_of(found)))]
    right = list[Markup]()
    if any(row.sums.baseline_nanos > 0 for row in found.tables["route"]):
        left.append(sheet.section("Savings by route (green)", spending_plots.by_route(found.tables["route"])))
    if found.ahead is not None:
        right.append(sheet.section("This month, and the forecast to its end", spending_plots.month(found.ahead)))
    if found.whole.spent_nanos > 0:
        right.append(sheet.section("How sure the spend is", spending_plots.certainty(found.whole)))
    yield element("div", element("div", *left), element("div", *right), class_="two")


def _tables(found: Spending, tables: Iterable[By]) -> Iterator[Markup]:
    for by in tables:
        rows = list(words.rows(found, by, MOST))
        if rows:
            titles = words.titles(by)
            yield sheet.section(f"By {by}", sheet.table(titles, rows, "l" + "r" * (len(titles) - 1)))


def _method() -> Markup:
    return sheet.section("Method", *(element("p", " ".join(text.split()), class_="quiet") for text in METHOD))


def _footer() -> Markup:
    return element("footer", f"tierwise {__version__}. No text of any request or answer is on this page.")
