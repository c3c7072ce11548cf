"""A batch job, one finite set of rows: which cheap answers may stand, shown of these very rows by few labels.

Every row has a draft of the route's cheapest tier. The artefact scores the drafts, and the walks of
`stats/sequential.py` (after BARGAIN, arXiv 2509.02896) ask for labels row by row; `labels_of` reads them off the scores
that the outcomes have. Where one is missing the walk stops and names the rows to label next. Nothing is kept between
runs: the order comes of the seed and the ids, so a run with more labels goes on where the last one stopped.

What is shown rests on an order that had no part in the scores. Rows that the artefact was trained on are therefore no
part of the batch. Knows no config, and not who labels; it certifies nothing for traffic to come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tierwise.errors import ConfigError
from tierwise.offline.learn import Floats, Learned, scores
from tierwise.offline.measured import Flags, measure
from tierwise.offline.outcomes import Pairs, aside, naming, pair, read
from tierwise.offline.train import Wanted as Training
from tierwise.scorers import artefact
from tierwise.scorers.artefact import Artefact, TierModel, row_key
from tierwise.scorers.trained import usable
from tierwise.stats.certify import grid
from tierwise.stats.sequential import Bought, accuracy_cascade, capped, precision_target, recall_target

if TYPE_CHECKING:
    import polars as pl

Target = Literal["accuracy", "precision", "recall"]
Tell = Callable[[str, int, int], None]
Rows = NDArray[np.int64]

CANDIDATES = 10  # thresholds: each has to pass, so more of them cost labels and gain little
GOOD = 0.5  # a graded score from here on counts as good, or as harm, where a target knows no degrees
ROOM = 2.0  # rows that a threshold accepts, over those that a flawless sample needs to show a precision
ABOUT = ("category", "prompt", "extra")
BUY = {"accuracy": accuracy_cascade, "precision": precision_target, "recall": recall_target}


class Aim(NamedTuple):
    """At least `at`, a share, of what `target` counts, with confidence 1 - delta; (0, 1) both.

    accuracy: of all rows those that are not harmed; graded scores count by degree. precision: of the kept rows the
    good ones. recall: of the rows that the draft would harm those that are sent up. `seed`: of the order, one a batch:
    a second try with another is a second chance to err. `labels`: settle for what so many show. `ask`: rows to name at
    once, at most.
    """

    target: Target
    at: float
    delta: float = 0.05
    seed: int = 0
    labels: int | None = None
    ask: int = 20


@dataclass(frozen=True)
class Wanted:
    """`route` as training saw it, with `outcomes` that hold the batch; `trained` is its artefact."""

    route: Training
    trained: Path
    aim: Aim


class Decided(NamedTuple):
    """`kept`: the rows whose draft stands. `need`: rows to label next, in that order; empty where it is decided.

    `tested`: the share that they may allow to keep.
    """

    bought: Bought
    kept: Flags
    need: tuple[int, ...] = ()
    tested: float | None = None


class Line(msgspec.Struct, frozen=True):
    """What becomes of a query; `score` in [0, 1] is the verifier's, by all evidence that there is."""

    query_id: str
    score: float
    tier: Literal["cheap", "premium"]


class Need(msgspec.Struct, frozen=True):
    """A query to label: the `models` that have no score yet. The premium's is of no use where the draft is good."""

    query_id: str
    models: tuple[str, ...]


class Costs(msgspec.Struct, frozen=True):
    """In USD. `spent`: drafts, opinions, premium where it is sent to, and premium's answers that labels took.

    `unused`: other answers of premium to kept rows, which no label took; not in `spent`. `estimated`: rows whose
    premium is priced by the mean of the others.
    """

    spent: float
    always_premium: float
    saved: float
    unused: float
    estimated: int


class Report(msgspec.Struct, frozen=True):
    """`kept` of `rows`; where labels are needed it is what would be kept by those that there are.

    `tested`: the share that the labels which are needed may allow to keep; None where it is decided.
    `bad`: the sum of what the labels that were used hold against the drafts. `left_out`: queries that the artefact was
    trained on; `without_draft`: those without a row of the cheap tier. `statement` is empty where
    nothing is kept. `costs` None: not known.
    """

    state: Literal["decided", "labels needed"]
    target: Target
    at: float
    delta: float
    seed: int
    rows: int
    kept: int
    kept_share: float
    tested: float | None
    threshold: float | None
    labels_used: int
    bad: float
    ended: str
    statement: str
    left_out: int
    without_draft: int
    costs: Costs | None


class Planned(NamedTuple):
    report: Report
    lines: list[Line]
    need: list[Need]


def plan(wanted: Wanted, tell: Tell = lambda what, done, total: None) -> Planned:
    """Raises ConfigError for outcomes or an artefact that can't be used together, and for shares outside (0, 1)."""
    aim, path = wanted.aim, wanted.route.outcomes
    if not (0 < aim.at < 1 and 0 < aim.delta < 1 and aim.seed >= 0):
        raise ConfigError("--at and --delta lie between 0 and 1, a seed is a whole number from 0 on")
    trained = usable(artefact.read(wanted.trained), wanted.trained)
    if trained.tiers != wanted.route.tiers or sorted(trained.opinions) != sorted(wanted.route.opinions):
        raise ConfigError(f"{wanted.trained}: was trained for other tiers or opinions than the route's; train it anew")
    frame = read(path, need=("query_id", "model", "response"))
    with naming(path):
        pairs, left_out, without = _batch(frame, wanted.route, trained)
    score = _scores(pairs, trained.models[0], lambda done, total: tell("measuring", done, total))
    labels = labels_of(pairs.cheap.score, pairs.premium.score, aim.target)
    found = decide(score, labels, order_of(pairs.query_id, aim.seed), aim)
    lines = [
        Line(query, worth, "cheap" if stays else "premium")
        for query, worth, stays in zip(pairs.query_id, score.tolist(), found.kept.tolist(), strict=True)
    ]
    report = _report(found, pairs, labels, aim)
    report = msgspec.structs.replace(report, left_out=left_out, without_draft=without)
    return Planned(report, lines, [_need(pairs, row, aim.target) for row in found.need])


def need_of(out: Path) -> Path:
    """Where the queries to label stand until the plan at `out` is decided."""
    return out.with_name(f"{out.name}.need")


def write(planned: Planned, out: Path) -> Path:
    """The plan, or what it still needs: JSON lines. Only one of the two is left. Raises ConfigError."""
    need = need_of(out)
    place, stale = (need, out) if planned.need else (out, need)
    lines: Sequence[Line | Need] = planned.need or planned.lines
    with aside(place) as part:
        part.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    try:
        stale.unlink(missing_ok=True)  # it is from an earlier run, and this one has found otherwise
    except OSError as error:
        raise ConfigError(f"{stale}: is out of date and can't be removed: {error.strerror}") from error
    return place


# ------------------------------------------------------------------ rows


def _batch(frame: pl.DataFrame, route: Training, trained: Artefact) -> tuple[Pairs, int, int]:
    """The batch's rows, how many others training has seen, and how many have no draft.

    Premium's scores are NaN where it has no row, its costs the mean of those that it has.
    """
    import polars as pl

    names = route.recorded_as(frame["model"].unique().to_list())
    cheap, premium = names[route.tiers[0]], names[route.tiers[-1]]
    drafts = frame.filter(pl.col("model") == cheap)
    keys = np.array([row_key(query) for query in drafts["query_id"]], np.uint64)
    fresh = drafts.filter(pl.Series(~np.isin(keys, trained.seen), dtype=pl.Boolean))
    if drafts.height and not fresh.height:
        raise ConfigError("every query in it was used to train or to certify before; a batch takes other rows")
    for column in ("prompt", "response"):
        if missing := fresh[column].null_count():
            raise ConfigError(f"{missing} of {fresh.height} rows of {cheap} have no {column}; a batch needs it of each")
    rows = frame.join(fresh.select("query_id"), on="query_id", how="semi") if fresh.height else frame
    answered = rows.filter(pl.col("model") == premium).select("query_id")
    unanswered = fresh.select("query_id").join(answered, on="query_id", how="anti")
    rows = pl.concat([rows, unanswered.with_columns(model=pl.lit(premium))], how="diagonal")
    # What is known of a query is the draft's row alone: scores must not change when premium answers it.
    of_draft = [pl.when(pl.col("model") != premium).then(pl.col(name)).alias(name) for name in ABOUT]
    rows = rows.with_columns(of_draft)
    pairs = pair(rows, cheap, premium, [names[name] for name in trained.opinions])
    if pairs.dropped:
        raise ConfigError(
            f"{pairs.dropped} of {fresh.height} rows of {cheap} have no answer of {', '.join(trained.opinions)}, "
            "which the verifier was trained to hear"
        )
    return pairs, drafts.height - fresh.height, frame["query_id"].n_unique() - drafts.height


def _scores(pairs: Pairs, model: TierModel, tell: Callable[[int, int], None]) -> Floats:
    """By all the evidence: in a batch every opinion is there, so nothing is saved by leaving it out."""
    measured = measure(pairs, tell)
    return scores(Learned(model.router, model.alone, model.consulted, None), measured, np.arange(len(pairs))).best


def labels_of(cheap: Floats, premium: Floats, target: Target) -> Floats:
    """What each row's scores say of the target, NaN where they don't yet.

    accuracy: 1 minus harm. precision: 1 where the draft is good, else 0. recall: 1 where it would harm, else 0. A
    draft that is good harms nobody, whatever premium's answer is.
    """
    if target == "precision":
        return np.where(np.isnan(cheap), np.nan, (cheap >= GOOD).astype(float))
    harm = np.maximum(premium - cheap, 0.0)
    if target == "accuracy":
        return np.where(cheap >= 1, 1.0, 1 - harm)
    return np.where(cheap > GOOD, 0.0, np.where(np.isnan(harm), np.nan, (harm >= GOOD).astype(float)))


def order_of(query_ids: Sequence[str], seed: int) -> Rows:
    """The rows in the order of a hash of their ids: random, and the same when others come or go."""
    keys = np.array([row_key(f"{seed}:{query}") for query in query_ids], np.uint64)
    return np.argsort(keys, kind="stable").astype(np.int64)


# ------------------------------------------------------------------ the walk


def decide(score: Floats, labels: Floats, order: Rows, aim: Aim) -> Decided:
    """`labels` as of `labels_of`. A row that was read and whose label speaks against the draft is not kept.

    That can't break any of the three claims: it takes harm, or a bad answer, from what is kept.
    """
    proxy = 1 - score if aim.target == "recall" else score
    steps = _steps(proxy, aim)
    missing: list[int] = []

    def label_of(row: int) -> float | None:
        if np.isnan(labels[row]):
            missing.append(row)
            return None
        return float(labels[row])

    allowed = label_of if aim.labels is None else capped(label_of, aim.labels)
    if not len(steps):
        return Decided(Bought(None, len(score), 0.0, (), (), "hopeless"), np.zeros(len(score), bool))
    bought = BUY[aim.target](proxy, allowed, steps, aim.at, aim.delta, order)
    kept = _kept(proxy, bought.threshold, aim.target)
    read = np.array(bought.rows, np.int64)
    kept[read[_against(labels[read], aim.target) > 0]] = False
    if not missing:
        return Decided(bought, kept)
    left = aim.ask if aim.labels is None else min(aim.ask, aim.labels - bought.labels)
    walked = (steps[::-1] if aim.target == "recall" else steps).tolist()
    threshold = walked[len(bought.p_values)]
    need = _ahead((proxy, labels), threshold, order, aim)[:left]
    return Decided(bought, kept, need, float(_kept(proxy, threshold, aim.target).mean()))


def _steps(proxy: Floats, aim: Aim) -> Floats:
    """Thresholds, strict to loose. None accepts drafts that checks have blocked, whose score is 0.

    For a precision, none that accepts so few that most of them would have to be labelled.
    """
    steps = grid(proxy, CANDIDATES)
    if aim.target == "recall":
        return steps
    steps = steps[steps > 0]
    if aim.target == "precision" and len(steps):
        least = min(ROOM * -log(aim.delta) / (1 - aim.at), float((proxy >= steps[-1]).sum()))
        steps = steps[[(proxy >= step).sum() >= least for step in steps]]
    return steps


def _kept(proxy: Floats, threshold: float | None, target: Target) -> Flags:
    """A recall's threshold accepts what goes up; without one everything does."""
    if threshold is None:
        return np.zeros(len(proxy), bool)
    accepted: Flags = proxy >= threshold
    return ~accepted if target == "recall" else accepted


def _against(labels: Floats, target: Target) -> Floats:
    return labels if target == "recall" else 1 - labels


def _ahead(known: tuple[Floats, Floats], threshold: float, order: Rows, aim: Aim) -> tuple[int, ...]:
    """The rows without a label that the test of `threshold` asks for if all of them speak for it.

    So a test passes at the earliest: it takes all of them, unless some turn out so bad that it is given up before.
    Only the first is certain.
    """
    proxy, labels = known

    def hopeful(row: int) -> float:
        if not np.isnan(labels[row]):
            return float(labels[row])
        return float(proxy[row] >= threshold) if aim.target == "recall" else 1.0

    asked = BUY[aim.target](proxy, hopeful, [threshold], aim.at, aim.delta, order).rows
    return tuple(row for row in asked if np.isnan(labels[row]))


# ------------------------------------------------------------------ what is told


def _report(found: Decided, pairs: Pairs, labels: Floats, aim: Aim) -> Report:
    bought, kept = found.bought, int(found.kept.sum())
    read = np.array(bought.rows, np.int64)
    return Report(
        state="labels needed" if found.need else "decided",
        target=aim.target,
        at=aim.at,
        delta=aim.delta,
        seed=aim.seed,
        rows=len(pairs),
        kept=kept,
        kept_share=kept / len(pairs),
        tested=found.tested,
        threshold=bought.threshold,
        labels_used=bought.labels,
        bad=float(_against(labels[read], aim.target).sum()),
        ended=bought.ended,
        statement=_states(aim, len(pairs), kept) if kept else "",
        left_out=0,
        without_draft=0,
        costs=_costs(pairs, found.kept, np.isin(np.arange(len(pairs)), read)),
    )


def _states(aim: Aim, rows: int, kept: int) -> str:
    what = {
        "accuracy": f"all {rows:,} rows get an answer that is as good as premium's",
        "precision": f"the {kept:,} kept answers are good",
        "recall": "the rows that the cheap answer would harm are sent to premium",
    }
    return f"with {100 * (1 - aim.delta):g}% confidence at least {100 * aim.at:g}% of {what[aim.target]}"


def _costs(pairs: Pairs, kept: Flags, read: Flags) -> Costs | None:
    """None where a model has no price at all. Models that answered some rows unpriced cost their mean there."""
    premium = pairs.premium.cost
    drafts = pairs.cheap.cost.sum() + sum(side.cost.sum() for side in pairs.opinions)
    answered = ~np.isnan(pairs.premium.score) | np.array([text is not None for text in pairs.premium.response], bool)
    spent = float(drafts + premium[~kept].sum() + premium[kept & read & answered].sum())
    always = float(premium.sum())
    if np.isnan(spent + always):
        return None
    unused = float(premium[kept & ~read & answered].sum())
    return Costs(spent, always, always - spent, unused, pairs.premium.unpriced)


def _need(pairs: Pairs, row: int, target: Target) -> Need:
    sides = (pairs.cheap,) if target == "precision" else (pairs.cheap, pairs.premium)
    return Need(pairs.query_id[row], tuple(side.model for side in sides if np.isnan(side.score[row])))
