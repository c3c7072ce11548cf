"""The free checks `logprob_low`, `logprob_min`, `logprob_spread` and `logprob_entropy`: how sure the model was.

A mean over tokens hides the one place where an answer turned, and favours long answers; quantiles don't (Gupta et al.
2024, arXiv:2404.10136). Which of them matters, and how low is low, is for a verifier to learn: here nothing passes or
fails, except log-probabilities that can't be any. The mean and its threshold are the check `logprob`'s.

Natural logarithms, one a token, of the tokens that were chosen; of the alternatives nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, sqrt

from tierwise.types import Answer, Checks, Evidence, Request

ROUNDING = 0.01  # above 0; what is higher is no logarithm of a probability
LEAST = -100.0  # nats; providers write -9999 for "impossible", which would drown the rest
TOKENS = 8_192  # of one choice that are looked at: the first ones
LOW = 0.1  # the quantile of `logprob_low`


def logprob_low(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """`value`: the 0.1 quantile of the log-probabilities, in [-100, 0], of the worst choice."""
    return _measured("logprob_low", answer, min, _low)


def logprob_min(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """`value`: the log-probability of the least likely token, in [-100, 0], of the worst choice."""
    return _measured("logprob_min", answer, min, min)


def logprob_spread(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """`value`: the standard deviation of the log-probabilities, in [0, 50], of the choice where it is largest."""
    return _measured("logprob_spread", answer, max, _deviation)


def logprob_entropy(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """`value`: an estimate of the mean entropy a token in nats, in [0, 0.6932], of the choice where it is largest.

    It counts every token as a choice between itself and all others together, -p ln p - (1 - p) ln(1 - p): a lower
    bound of the entropy, and the most that the chosen token's probability alone can tell.
    """
    return _measured("logprob_entropy", answer, max, _entropy)


Pick = Callable[[Sequence[float]], float]


def _measured(name: str, answer: Answer, worst: Pick, measure: Pick) -> Evidence:
    """The worst choice's measure; False, without a value, where a number can't be a log-probability."""
    values: list[float] = []
    tokens = 0
    for choice in answer.choices:
        logprobs = choice.logprobs[:TOKENS]
        if not logprobs:
            continue
        if not all(value <= ROUNDING for value in logprobs):  # a NaN is not below anything either
            return Evidence(name, False, "no log-probabilities")
        values.append(measure([min(max(value, LEAST), 0.0) for value in logprobs]))
        tokens += len(logprobs)
    if not values:
        return Evidence(name, None)
    value = worst(values)
    return Evidence(name, None, f"{value:.2f} over {tokens} tokens", value)


def _low(logprobs: Sequence[float]) -> float:
    """The quantile by linear interpolation between order statistics (Hyndman and Fan's type 7, as in numpy)."""
    ordered = sorted(logprobs)
    place = LOW * (len(ordered) - 1)
    below = int(place)
    above = ordered[min(below + 1, len(ordered) - 1)]
    return ordered[below] + (place - below) * (above - ordered[below])


def _deviation(logprobs: Sequence[float]) -> float:
    mean = sum(logprobs) / len(logprobs)
    return sqrt(sum([(value - mean) ** 2 for value in logprobs]) / len(logprobs))


def _entropy(logprobs: Sequence[float]) -> float:
    return sum([_binary_entropy(value) for value in logprobs]) / len(logprobs)


def _binary_entropy(logprob: float) -> float:
    likely = exp(logprob)
    rest = 1 - likely
    return -likely * logprob - (rest * log(rest) if rest > 0 else 0.0)
