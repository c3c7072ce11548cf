"""The free checks, in the order in which their evidence is told, and the three smallest of them.

CHECKS can fail a draft on any route. MEASURES can't: what they find is worth something only to a verifier that was
trained on a route's own traffic, and there the sign may go either way. `looked_for` leaves out those that have nothing
to go by.

A check is a pure function `(request, answer, checks) -> Evidence`. It looks at every choice, and all of them
must pass. `passed` is None where there is nothing to look at: nothing was asked for, or the answer is not
complete yet and the check needs its end. Time is linear in the answer, and bounded (LIMIT): from a longer
text a check reads the head and the tail. `detail` holds numbers, names of checks and places in a schema; never
words of a prompt or an answer. A check that can't do its work raises CheckFailed.

Knows nothing of routes, money or what happens to a draft that fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from math import isnan

from tierwise.scorers.arithmetic import arithmetic
from tierwise.scorers.code_output import code_output
from tierwise.scorers.confidence import logprob_entropy, logprob_low, logprob_min, logprob_spread
from tierwise.scorers.contradiction import contradiction, unsupported
from tierwise.scorers.grounded import (
    arguments_grounded,
    entities_grounded,
    numbers_grounded,
    numbers_used,
    quotes_grounded,
)
from tierwise.scorers.hedging import hedging
from tierwise.scorers.language import language
from tierwise.scorers.length import length
from tierwise.scorers.parses import parses
from tierwise.scorers.refusal import refusal
from tierwise.scorers.repeated import repeated
from tierwise.scorers.structure import json, tools
from tierwise.scorers.truncated import truncated
from tierwise.scorers.vectors import vectors
from tierwise.types import Answer, Checks, Evidence, Request

Check = Callable[[Request, Answer, Checks], Evidence]

ROUNDING = 0.01  # above 0, of a mean log-probability
MOST = 9999.0  # what is told of a mean beyond that
LIMIT = 16_000  # characters of one choice in which something visible must come
MATERIAL = 1_500  # characters of a request from which on it may hold what an answer is grounded in, beside its question

# What a reader can't see although it is no white space: zero-width and direction marks, fillers, variation
# selectors, tag characters.
_VISIBLE = re.compile(
    "[^\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)


def finish(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The model came to its own end, or to the end that the client itself set."""
    if not answer.complete:
        return Evidence("finish", None)
    if not answer.choices:
        return Evidence("finish", False, "no choice")
    for choice in answer.choices:
        if choice.finish == "length" and _client_capped(request, answer):
            continue
        if choice.finish not in {"stop", "tool_calls"}:
            return Evidence("finish", False, choice.finish or "no finish reason")
    capped = any(choice.finish == "length" for choice in answer.choices)
    return Evidence("finish", True, "length, as the client asked" if capped else "")


def _client_capped(request: Request, answer: Answer) -> bool:
    if request.max_output is None or answer.usage is None:
        return False
    return answer.usage.output_tokens >= request.max_output


def empty(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """There is something to see: text, a tool call, or a refusal."""
    for choice in answer.choices:
        if choice.tool_calls or choice.refusal or _VISIBLE.search(choice.text, 0, LIMIT):
            continue
        return Evidence("empty", False if answer.complete else None)
    if not answer.choices:
        return Evidence("empty", False if answer.complete else None, "no choice")
    return Evidence("empty", True)


def logprob(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The mean natural log-probability a token is at least `checks.min_logprob`, in the worst of the choices."""
    worst: tuple[float, int] | None = None
    for choice in answer.choices:
        if choice.logprobs:
            tokens = len(choice.logprobs)
            mean = sum(choice.logprobs) / tokens
            if worst is None or mean < worst[0] or isnan(mean):  # nothing is worse than a NaN
                worst = mean, tokens
    if worst is None:
        return Evidence("logprob", None)
    mean, tokens = worst
    # More than 0 (but for rounding) is no logarithm of a probability, and must not pass for certainty.
    passed = None if checks.min_logprob is None else checks.min_logprob <= mean <= ROUNDING
    return Evidence("logprob", passed, f"mean {min(max(mean, -MOST), MOST):.2f} over {tokens} tokens")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("finish", finish),
    ("empty", empty),
    ("refusal", refusal),
    ("truncated", truncated),
    ("repeated", repeated),
    ("json", json),
    ("tools", tools),
    ("parses", parses),
    ("arithmetic", arithmetic),
    ("code_output", code_output),
    ("language", language),
    ("vectors", vectors),
    ("logprob", logprob),
)

HARD = frozenset({"finish", "empty", "json", "tools", "vectors"})
"""Checks that no trained verifier may overrule: what was asked for, by the client or the operator, is not there."""

MEASURES: tuple[tuple[str, Check], ...] = (
    ("numbers_grounded", numbers_grounded),
    ("numbers_used", numbers_used),
    ("quotes_grounded", quotes_grounded),
    ("entities_grounded", entities_grounded),
    ("arguments_grounded", arguments_grounded),
    ("contradiction", contradiction),
    ("unsupported", unsupported),
    ("hedging", hedging),
    ("length", length),
    ("logprob_low", logprob_low),
    ("logprob_min", logprob_min),
    ("logprob_spread", logprob_spread),
    ("logprob_entropy", logprob_entropy),
)
# What has something to go by only in long requests, in tool calls, and where the provider gives log-probabilities.
# Without it they tell a verifier nothing that its other columns don't (docs/frontier.md).
_OF_MATERIAL = frozenset({"numbers_grounded", "quotes_grounded", "entities_grounded"})
_OF_CALLS = frozenset({"numbers_used", "arguments_grounded"})
_OF_LOGPROBS = frozenset({"logprob_low", "logprob_min", "logprob_spread", "logprob_entropy"})
_LOOKED_FOR = {
    (material, calls, logprobs): (
        *CHECKS,
        *[
            (name, check)
            for name, check in MEASURES
            if (material or name not in _OF_MATERIAL)
            and (calls or name not in _OF_CALLS)
            and (logprobs or name not in _OF_LOGPROBS)
        ],
    )
    for material, calls, logprobs in product((False, True), repeat=3)
}


def looked_for(request: Request, answer: Answer) -> tuple[tuple[str, Check], ...]:
    """The checks, and the measures that have something to go by."""
    size = sum([len(message.text) for message in request.messages])
    calls = any(choice.tool_calls for choice in answer.choices)
    logprobs = any(choice.logprobs for choice in answer.choices)
    return _LOOKED_FOR[size >= MATERIAL, calls, logprobs]
