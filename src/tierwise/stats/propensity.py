"""Random audits that nobody can steer: which requests are drawn, how likely, and estimates that undo the difference.

A draw depends on a secret and the request's id alone, so it can be repeated by whoever holds the secret, and by nobody
else be foreseen. Ids must be new for each request, and made by the gateway: who could choose them could repeat one.

Knows nothing of labels, money, or of what is done with a request that was drawn.
"""

from __future__ import annotations

import hmac
from math import inf, isnan, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

SHORTEST = 16  # bytes of a secret
BITS = 53  # of a uniform number: all that a float holds
MOST_DOUBT = 0.25  # p (1 - p) at p = 1/2


class Estimate(NamedTuple):
    """Of a mean over all rows; `error` is its standard error. For display and planning, never for a guarantee.

    Without rows the mean is NaN, and with fewer than two the error is infinite. Where next to no row was drawn, or no
    harm found among them, the error is far too small.
    """

    mean: float
    error: float


def uniform(secret: bytes, request_id: str, purpose: str) -> float:
    """A number in [0, 1), a multiple of 2^-53: HMAC-SHA256 (RFC 2104) of purpose and id.

    Independent between purposes: whether a request is audited tells nothing of whether it is used to explore.
    Raises ValueError for a secret of fewer than SHORTEST bytes.
    """
    if len(secret) < SHORTEST:
        raise ValueError(f"a secret has at least {SHORTEST} bytes")
    label = purpose.encode("utf-8", "surrogatepass")
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    message = len(label).to_bytes(4, "big") + label + request_id.encode("utf-8", "surrogatepass")
    digest = hmac.digest(secret, message, "sha256")
    return (int.from_bytes(digest[:8], "big") >> (64 - BITS)) * 2.0**-BITS


def drawn(secret: bytes, request_id: str, rate: float, purpose: str = "audit") -> bool:
    """Whether the request is drawn, with probability `rate` in [0, 1]; the same each time it is asked.

    One that is drawn at a rate is drawn at every higher one. Raises ValueError for other rates, NaN among them, or a
    secret of fewer than SHORTEST bytes.
    """
    if not 0 <= rate <= 1:
        raise ValueError("a rate lies between 0 and 1")
    return uniform(secret, request_id, purpose) < rate


def propensity(base: float, uncertainty: float, least: float, slope: float) -> float:
    """The probability with which a request is to be audited, in [least, 1]: base + slope * uncertainty.

    `uncertainty`: p (1 - p), for a draft that is good with probability p; in [0, 1/4]. NaN, of a request that has no
    score, counts as 1/4. It must be computed before the draw, from what is known then. `base` in [0, 1], `slope` at
    least 0; `least` above 0, or some harm could never be seen.
    Raises ValueError for other values.
    """
    doubt = MOST_DOUBT if isnan(uncertainty) else uncertainty
    if not (0 <= base <= 1 and 0 <= doubt <= MOST_DOUBT and 0 < least <= 1 and 0 <= slope < inf):
        raise ValueError("base, uncertainty, least or slope is out of its range")
    return min(max(base + slope * doubt, least), 1.0)


def ips(losses: ArrayLike, propensities: ArrayLike, audited: ArrayLike) -> Estimate:
    """The mean loss of all rows, from those that were drawn: each counts for 1 / propensity rows (Horvitz-Thompson).

    Vectors of one length over all rows: losses, which are not read where a row was not `audited`; propensities in
    (0, 1], those the draws were made with; whether it was drawn. Unbiased.
    Raises ValueError for unequal lengths, propensities outside (0, 1], or a NaN loss of an audited row.
    """
    return doubly_robust(losses, propensities, audited, np.zeros(np.shape(propensities)))


def doubly_robust(losses: ArrayLike, propensities: ArrayLike, audited: ArrayLike, predicted: ArrayLike) -> Estimate:
    """The same, with less variance: mean of predicted + (loss - predicted) / propensity where audited.

    Robins et al. (1994); in this form Dudik et al., arXiv 1103.4601. `predicted`: each row's loss by a model that was
    fitted on other rows, or it is biased. Unbiased however bad the model is. Errors as of `ips`, also for NaN
    predictions.
    """
    rate, model = np.asarray(propensities, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    loss, taken = np.asarray(losses, dtype=np.float64), np.asarray(audited, dtype=np.bool_)
    if rate.ndim != 1 or not rate.shape == model.shape == loss.shape == taken.shape:
        raise ValueError("vectors of one length are needed")
    if not ((rate > 0) & (rate <= 1)).all():
        raise ValueError("propensities lie above 0 and at most at 1")
    if np.isnan(loss[taken]).any() or np.isnan(model).any():
        raise ValueError("an audited row needs a loss, and every row a prediction")
    return _estimate(model + np.where(taken, loss - model, 0.0) / rate)


def _estimate(terms: Vector) -> Estimate:
    if not terms.size:
        return Estimate(nan, inf)
    error = float(terms.std(ddof=1)) / sqrt(terms.size) if terms.size > 1 else inf
    return Estimate(float(terms.mean()), error)
