"""The audit of a certificate while it is in force: an alarm once harm is above what it promised, valid at every look.

Of the drafts that are served some are drawn at random, at a known propensity, and get a label. Each label is a row of
a betting e-process (`betting.Wealth`). As long as mean harm of the rows, given all that were before, is at most alpha,
an alarm ever comes with probability at most delta, however often one looks (Ville).

The rows are those of the claim. A certificate's is about all traffic, where an escalated request does no harm: tell the
audit of these (`Audit.escalated`), or it tests harm among accepted rows, which is larger.

Knows nothing of how drafts are drawn or labelled, and not whether the label is right: a second audit, of the judge on
rows that people have labelled, does (`verdict`).
"""

from __future__ import annotations

from math import nan
from typing import Literal, NamedTuple

from tierwise.stats.betting import Wealth

Verdict = Literal["none", "system", "judge"]

MULTIPLES = (1.5, 2.3, 6.0)  # of alpha: harm at which each bet grows fastest
SHARES = (0.2, 0.7, 0.1)  # of the wealth on each: most where harm doubles or triples
BOLD = 0.9  # of the bet that one harmless row could ruin


class Audit(NamedTuple):
    """The state after some rows; `step` gives the next. Start with `Audit.start`.

    What a row does to wealth, at a bet b that knows only rows before it:

        1 + b * w * (loss - alpha) if it was drawn, w = least / propensity; 1 if not

    Over the chance of the draw, the expected value of drawn * w * (loss - alpha), given the past, is least times
    (harm - alpha): at most 0 under the claim, whatever the propensities are and however they go with harm. So it's a
    fair game, and a row that wasn't drawn is counted by leaving wealth as it is; nothing need be known of it. That is
    the test of Y = drawn / propensity * loss * least against least * alpha, with least * alpha replaced by its
    unbiased estimate drawn * w * alpha, which takes the chance out of how many rows were drawn. Without the weights w
    it would test harm among drawn rows, where the doubtful ones are too many, and would raise false alarms.
    A row that was escalated has a loss that is known for nothing, 0, at propensity 1.

    `rows`: all, with escalated ones; `drawn`: of these. `weight`, `square`: sums over drawn ones of w and of its
    square; `lost`: of w * loss; `unharmed`: of w over escalated ones.
    """

    alpha: float
    delta: float
    least: float
    wealth: Wealth
    rows: int = 0
    drawn: int = 0
    weight: float = 0.0
    square: float = 0.0
    lost: float = 0.0
    unharmed: float = 0.0

    @classmethod
    def start(cls, alpha: float, delta: float, least: float = 1.0) -> Audit:
        """Of the claim "harm <= alpha"; no propensity is below `least`, which must be fixed beforehand.

        Raises ValueError unless 0 < alpha, delta < 1 and 0 < least <= 1.
        """
        if not (0 < alpha < 1 and 0 < delta < 1 and 0 < least <= 1):
            raise ValueError("alpha and delta lie between 0 and 1, least above 0 and at most at 1")
        return cls(alpha, delta, least, Wealth.start(SHARES))

    def step(self, loss: float, propensity: float) -> Audit:
        """After a row that was drawn with this propensity, and its harm, in [0, 1].

        Rows come in the order in which they were served, or in another that has nothing to do with their harm: labels
        of harm that come sooner than others would be such. A drawn row that got no label may be left out only if that
        has nothing to do with its harm; otherwise count it as harm 1.
        Raises ValueError for a loss outside [0, 1], or a propensity outside [least, 1].
        """
        if not (0 <= loss <= 1 and self.least <= propensity <= 1):
            raise ValueError("a loss lies in [0, 1], and a propensity between the least one and 1")
        weight = self.least / propensity
        gain = weight * (loss - self.alpha)
        return self._replace(
            wealth=self.wealth.grown(1 + bet * gain for bet in self._bets()),
            rows=self.rows + 1,
            drawn=self.drawn + 1,
            weight=self.weight + weight,
            square=self.square + weight * weight,
            lost=self.lost + weight * loss,
        )

    def passed(self, rows: int = 1) -> Audit:
        """After so many more accepted rows that were not drawn. They are counted, and leave the evidence as it is."""
        return self._replace(rows=self.rows + _count(rows))

    def escalated(self, rows: int = 1) -> Audit:
        """After so many more rows that were not accepted, and so did no harm; for a claim about all traffic.

        Best told together, before each `step`: that costs as much as one row.
        """
        if not _count(rows):
            return self
        return self._replace(
            wealth=self.wealth.grown((1 - bet * self.least * self.alpha) ** rows for bet in self._bets()),
            rows=self.rows + rows,
            unharmed=self.unharmed + rows * self.least,
        )

    def _bets(self) -> tuple[float, ...]:
        """The fastest growing ones, (r - alpha) / (alpha (1 - alpha)) for harm r, if weights are as those so far."""
        scale = (1 + self.weight) / (1 + self.square) / (1 - self.alpha)
        limit = BOLD / self.alpha
        return tuple(min((multiple - 1) * scale, limit) for multiple in MULTIPLES)

    @property
    def alarm(self) -> bool:
        """Whether the claim was refuted at some row; it stays so."""
        return self.p_value <= self.delta

    @property
    def p_value(self) -> float:
        """Of the claim, valid at any look: 1 over the largest wealth so far."""
        return self.wealth.p_value

    @property
    def harm(self) -> float:
        """The estimated mean harm of the rows (self-normalised inverse propensity); NaN without drawn ones."""
        return self.lost / (self.weight + self.unharmed) if self.weight else nan


def _count(rows: int) -> int:
    if rows < 0:
        raise ValueError("a number of rows is not negative")
    return rows


def verdict(system: Audit, judge: Audit) -> Verdict:
    """Whether harm has risen, or the judge that labels it has changed (System or judge?, arXiv 2606.15474).

    `system`: the audit of traffic, labelled by the judge. `judge`: an audit, at propensity 1, of how the judge as it is
    now labels anchors, rows that people have labelled once: loss is its disagreement with them, alpha the certified
    rate of that, and each row is drawn at random from all anchors, with replacement. If the judge has changed, what the
    system's labels say is not known, so that comes first. Before one acts on "system", some hundred anchors more should
    be put to the judge: a change of both shows in the system's audit as soon as in the judge's.
    """
    if judge.alarm:
        return "judge"
    return "system" if system.alarm else "none"
