"""A row's text to a line of what was found in it; and what a route's own rules change in that.

Knows neither files nor models; a model's word about what classifiers are in doubt of comes in as scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tierwise.errors import ConfigError
from tierwise.offline.imports.records import Record, format_of, records
from tierwise.offline.screening.screen_labels import columns
from tierwise.offline.screening.screen_queue import doubt
from tierwise.scorers.encoder import load_encoder
from tierwise.screens.judged import doubtful, meanings, settled
from tierwise.screens.own import Own
from tierwise.screens.panel import NAMES, assembled
from tierwise.screens.risk import Policy, shipped
from tierwise.screens.screen import Finding
from tierwise.screens.taught import read

COLUMNS = ("text", "prompt", "content", "message", "comment", "body", "input", "question", "query")  # looked for
CLASSIFIER, LLM = "classifier", "llm"
UNREAD = "unread"  # why a row without a text is flagged: nothing has looked at it
_DIGITS = 4  # of a score


class Rules(NamedTuple):
    """A route's own, instead of the shipped ones. Classes are such as "moderation:hate"."""

    limits: Mapping[str, float] = {}
    allowed: frozenset[str] = frozenset()  # classes that are not flagged
    strict: frozenset[str] = frozenset()  # ... in which a doubt that nobody decides counts as found
    types: frozenset[str] | None = None  # of personal data that is flagged; None: every
    policies: tuple[Policy, ...] | None = None


class Wanted(NamedTuple):
    """`text` None: the first of COLUMNS that the file has. `out` None: only the report. `review`: where rows for people
    to look at go, with their texts. `labels`: columns that say what rows are of. `trained`: an operator's own heads."""

    file: Path
    text: str | None = None
    screens: tuple[str, ...] = NAMES
    out: Path | None = None
    review: Path | None = None
    labels: str | None = None
    trained: Path | None = None
    rules: Rules = Rules()


class Told(msgspec.Struct):
    """What a line of the output says, as far as it is read back."""

    row: int
    why: tuple[str, ...]
    tier: str = CLASSIFIER
    doubts: tuple[str, ...] = ()
    doubt: float = 0.0


class Seen(NamedTuple):
    """A row as classifiers see it: `found` by screen, as its line says it; `scores` and `doubts` by class."""

    row: int
    text: str | None
    found: dict[str, Any]
    scores: dict[str, float]
    why: tuple[str, ...]
    doubts: tuple[str, ...]


class Lines:
    """Rows to lines. `limits`: by class, those that may be flagged."""

    def __init__(self, wanted: Wanted) -> None:
        self.kind = format_of(wanted.file)
        first = next((record for record in records(wanted.file, self.kind) if record is not None), None)
        if first is None:
            raise ConfigError(f"{wanted.file}: holds no rows")
        self.column = _column(first, wanted)
        self._wanted, rules, encoder = wanted, wanted.rules, load_encoder()
        heads = None if wanted.trained is None else Own(read(wanted.trained), encoder.encode)
        policies = shipped() if rules.policies is None else rules.policies
        found = assembled(wanted.screens, encoder, policies, heads)
        self._screens, self._ahead, self._policies = found.screens, found.ahead, policies
        limits = {**found.limits, **{one: at for one, at in rules.limits.items() if one in found.limits}}
        self.limits = {one: at for one, at in limits.items() if one not in rules.allowed}
        classes = [one.partition(":")[2] for one in self.limits]
        self.labels = None if wanted.labels is None else columns(wanted.labels, first, classes, wanted.file)

    def meanings(self, doubts: Sequence[str]) -> dict[str, str]:
        return meanings(doubts, self._policies)

    def look(self, rows: Sequence[tuple[int, Record | None]]) -> list[Seen]:
        """At several rows at once: short texts take half the time so."""
        texts = [self.text(record) for _, record in rows]
        self._ahead([text for text in texts if text is not None])
        return [self._seen(row, text) for (row, _), text in zip(rows, texts, strict=True)]

    def text(self, record: Record | None) -> str | None:
        """Of a row; None where it has none."""
        text = record.get(self.column) if record is not None else None
        return text if isinstance(text, str) else None

    def _seen(self, row: int, text: str | None) -> Seen:
        if text is None:
            return Seen(row, None, {}, {}, (UNREAD,), ())
        findings = {name: one.screen(text) for name, one in self._screens.items()}
        scores = {f"{name}:{kind}": score for name, one in findings.items() for kind, score in one.scores.items()}
        why = [one for one, limit in self.limits.items() if scores[one] >= limit]
        if "privacy" in findings:
            types = self._wanted.rules.types
            why += [f"privacy:{kind}" for kind in findings["privacy"].flagged if types is None or kind in types]
        found = {name: _shown(name, finding) for name, finding in findings.items()}
        order = {name: place for place, name in enumerate(self._screens)}
        why.sort(key=lambda one: order[one.partition(":")[0]])
        return Seen(row, text, found, scores, tuple(why), doubtful(scores, self.limits))

    def line(self, seen: Seen, said: Mapping[str, float] | None) -> tuple[bytes, Told]:
        """`said`: a model's scores of the classes in doubt, which stand instead of the classifiers'."""
        flagged, undecided = settled(seen.doubts, said, self._wanted.rules.strict)
        judged = said or {}
        why = (*seen.why, *flagged)
        near = 1.0 if UNREAD in why else round(doubt({**seen.scores, **judged}, self.limits, judged), _DIGITS)
        told = Told(seen.row, why, LLM if judged else CLASSIFIER, undecided, near)
        line = {
            "row": seen.row,
            "flagged": bool(why),
            **_replaced(seen.found, judged),
            "tier": told.tier,
            "why": why,
            "doubts": undecided,
            "doubt": near,
        }
        return msgspec.json.encode(line) + b"\n", told

    def same(self, row: int, record: Record | None, last: bytes) -> None:
        """Raises ConfigError unless an output's `last` line is this row's, whatever a model has said of its doubts."""
        seen = self._seen(row, self.text(record))
        if not _alike(_firm(self.line(seen, None)[0], seen.doubts), _firm(last, seen.doubts)):
            raise ConfigError(
                f"{self._wanted.out}: its last row is not what {self._wanted.file} gives with these screens; --out "
                "names another file, or remove it to start anew"
            )


def _replaced(found: Mapping[str, Any], said: Mapping[str, float]) -> dict[str, Any]:
    """What a line says of each screen, with a model's scores in it."""
    new = {name: dict(one) if isinstance(one, dict) else one for name, one in found.items()}
    for one, score in said.items():
        name, _, kind = one.partition(":")
        if isinstance(new[name], dict):
            new[name][kind] = round(score, _DIGITS)
        else:
            new[name] = round(score, _DIGITS)
    return new


def _firm(line: bytes, doubts: Sequence[str]) -> dict[str, Any]:
    """What a line says that no model has a word in."""
    said: dict[str, Any] = msgspec.json.decode(line)
    firm = _replaced(said, dict.fromkeys([one for one in doubts if one.partition(":")[0] in said], 0.0))
    firm["why"] = [one for one in said["why"] if one not in doubts]
    return {name: one for name, one in firm.items() if name not in ("flagged", "tier", "doubts", "doubt")}


def _alike(one: object, other: object) -> bool:
    """The same, but for the last digit of scores: how they are summed up depends on what was read before."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) <= 1.5 * 0.1**_DIGITS
    return one == other


def _shown(name: str, finding: Finding) -> object:
    if name == "privacy":
        return [span._asdict() for span in finding.spans]
    scores = {kind: round(score, _DIGITS) for kind, score in finding.scores.items()}
    return scores[name] if name == "injection" and len(scores) == 1 else scores


def _column(first: Mapping[str, Any], wanted: Wanted) -> str:
    if wanted.text is not None and wanted.text in first:
        return wanted.text
    known = ", ".join(sorted(first)[:12])
    if wanted.text is not None:
        raise ConfigError(f"{wanted.file}: has no column {wanted.text}; its first row has {known}")
    found = next((name for name in COLUMNS if isinstance(first.get(name), str)), None)
    if found is None:
        raise ConfigError(f"{wanted.file}: which column is the text? Its first row has {known}: --text names one")
    return found
