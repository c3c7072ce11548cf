"""Usage to nano-dollars, upper bounds, and what always-premium would have cost. Integers only.

Knows no catalogue: a price, or all that lists say, comes in with its model, or is None. An unknown price counts at a
ceiling that the caller gives, because a cost that is too high is noticed and a cost of zero is not. Moments are Unix
seconds: an attempt is charged what was asked when it started.
"""

from __future__ import annotations

import msgspec

from tierwise.core import tariff
from tierwise.core.tariff import PICO_PER_NANO
from tierwise.core.tokens import UNTAUGHT, Ratio, unread
from tierwise.money import Amount
from tierwise.types import Answer, CostState, Model, Price, Request, Text, Usage

NOTHING = Usage()
BYTES_PER_TOKEN = 4  # the usual rule of thumb for English text; only ever used for costs marked "estimated"


def cost(usage: Usage, price: Price) -> int:
    """Nano-dollars, rounded half up once, over all token kinds together."""
    fresh = max(usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, 0)
    pico = (
        fresh * price.input
        + usage.cache_read_tokens * price.cache_read
        + usage.cache_write_tokens * price.cache_write
        + usage.output_tokens * price.output
    )
    return (pico + PICO_PER_NANO // 2) // PICO_PER_NANO


def charge(
    model: Model, usage: Usage | None, fallback: Usage, ceiling: Price, moment: int
) -> tuple[Usage, int, CostState]:
    """What an attempt that started at `moment` cost, and how sure that is.

    `usage` is the provider's own; where it is None, `fallback` (an estimate) stands in.
    """
    counted = fallback if usage is None else usage
    if counted.cost_nanos is not None:
        return counted, counted.cost_nanos, "provider_reported"
    nanos = asked(model, counted, moment)
    if nanos is None:
        return counted, _at_most(model, counted, ceiling), "unknown"
    return counted, nanos, "estimated" if usage is None else "computed"


def asked(model: Model, usage: Usage, moment: int) -> int | None:
    """Nano-dollars by the price that holds at `moment`; None where that, or the service's, is not known."""
    if model.pricing is None:
        return None if model.price is None else cost(usage, model.price)
    held = tariff.valid(model.pricing.tariffs, moment)
    return None if held is None else tariff.cost(held, moment, usage)


def _at_most(model: Model, usage: Usage, ceiling: Price) -> int:
    """What is not known of a listed model is taken for its dearest price, so that nothing passes what was reserved."""
    if model.pricing is None:
        return cost(usage, ceiling)
    return _top(model, usage.input_tokens, usage.output_tokens, ceiling)


def _top(model: Model, size: int, output: int, ceiling: Price) -> int:
    """Nano-dollars that so many tokens, of whichever kind, cost at the most; rounded up."""
    listed = model.pricing
    if listed is not None:
        return -(-(size * listed.most_in + output * listed.most_out) // PICO_PER_NANO) + listed.most_fee
    price = model.price or ceiling
    return -(-(size * max(price.input, price.cache_read, price.cache_write) + output * price.output) // PICO_PER_NANO)


def bound(request: Request, size: int, models: tuple[Model, ...], ceiling: Price) -> Amount:
    """What `request`, of `size` bytes, costs and takes at the most when every model of `models` is called once.

    A token is at least one byte, so the size in bytes bounds the input, but for files whose pages nobody here counts.
    """
    nanos = tokens = 0
    for model in models:
        read = size + unread(request, model)
        output = (request.max_output or model.max_output) * request.n
        nanos += _top(model, read, output, ceiling)
        tokens += read + output
    return Amount(nanos, tokens)


def expected(request: Request, model: Model, output_tokens: float) -> int:
    """Nano-dollars that calling `model` will probably cost, by the prompt's length and the output that is usual.

    Where it answered the conversation's last turn, all but the newest message is taken to lie in its prompt cache: a
    change of models loses that. 0 where the model has no price.
    """
    if model.price is None:
        return 0
    tokens = _tokens(sum(_length(message.content) for message in request.messages)) + 4 * len(request.messages)
    cached = 0
    if model.name == request.last_model:
        cached = tokens - _tokens(_length(request.messages[-1].content)) - 4
    return cost(Usage(tokens, round(output_tokens), cache_read_tokens=max(cached, 0)), model.price)


def estimate(request: Request, answer: Answer | None, ratio: Ratio = UNTAUGHT) -> Usage:
    """Tokens by what was sent and said, for a provider that did not count; `ratio` is what its model has taught."""
    asked, said = ratio.input(request), ratio.output(answer.choices if answer else ())
    return Usage(_whole(asked), _whole(said))


def resumed(known: Usage, later: int) -> Usage:
    """A running total that broke off, with the tokens estimated that came after it. What it said of a cost is void."""
    return msgspec.structs.replace(known, output_tokens=known.output_tokens + later, cost_nanos=None)


def baseline(premium: Model, usage: Usage, spent: int, moment: int) -> tuple[int, CostState]:
    """What premium would have cost for a request that another model answered with `usage`: an estimate.

    At the same moment, and in the same service where premium has it: a request that could wait could wait for premium
    too. Without a price for premium nothing is claimed to be saved: the baseline is what was `spent`.
    """
    same = Usage(usage.input_tokens, usage.output_tokens, service=usage.service)
    nanos = asked(premium, same, moment)
    if nanos is None:
        nanos = asked(premium, Usage(usage.input_tokens, usage.output_tokens), moment)
    return (spent, "unknown") if nanos is None else (nanos, "estimated")


def _length(content: str | tuple[object, ...]) -> int:
    if isinstance(content, str):
        return len(content.encode("utf-8", "replace"))
    return sum(len(part.text.encode("utf-8", "replace")) if isinstance(part, Text) else 1000 for part in content)


def _whole(tokens: float) -> int:
    """Rounded, but something is never nothing."""
    return max(round(tokens), 1) if tokens > 0 else 0


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)
