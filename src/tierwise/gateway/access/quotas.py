"""Keeps calls of a model within what its provider grants us: one over it fails here, as it would there, and unpaid.

So the plan goes on as it does when a provider is busy: to the next tier, or to a refusal that says when to come again.
All calls count, audits too. In this process's memory, like keys' limits. Knows neither plans nor keys.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from tierwise.errors import Overloaded
from tierwise.gateway.access.limits import NONE, Grant, Quota, Tally, Tokens, counts_tokens, needs, unlimited
from tierwise.ports import Batch, Clock, Provider
from tierwise.types import Model, Request, Usage


class Rationed:
    """A provider of one model, behind that model's quota."""

    def __init__(self, provider: Provider, quota: Quota, clock: Clock) -> None:
        self._provider = provider
        self._quota = quota
        self._clock = clock
        self._tally = Tally()

    async def stream(self, model: Model, request: Request) -> AsyncGenerator[Batch, None]:
        """As the provider's own. Raises Overloaded, before anything is sent, for what is over the quota."""
        tokens = needs(request, model.max_output) if counts_tokens(self._quota) else NONE
        grant = self._admitted(model, tokens)
        used, usage = NONE, None
        try:
            async with aclosing(self._provider.stream(model, request)) as stream:
                async for batch in stream:
                    usage = _last(batch) or usage
                    used = tokens if usage is None else Tokens(usage.input_tokens, usage.output_tokens)
                    yield batch
        finally:
            grant.end(used)

    async def close(self) -> None:
        await self._provider.close()

    def _admitted(self, model: Model, tokens: Tokens) -> Grant:
        now = self._clock.monotonic_ms() / 1000
        full = self._tally.full(self._quota, tokens, now)
        if full is None:
            return self._tally.take(self._quota, tokens, now)
        raise Overloaded(model.name, f"its quota in this gateway is {full.said}", retry_after=full.wait)


def rationed(providers: Mapping[str, Provider], quotas: Mapping[str, Quota], clock: Clock) -> dict[str, Provider]:
    """The providers, by model; those whose model has a quota are kept within it."""
    return {
        name: provider if unlimited(quotas[name]) else Rationed(provider, quotas[name], clock)
        for name, provider in providers.items()
    }


def _last(batch: Batch) -> Usage | None:
    return next((chunk.usage for chunk in reversed(batch) if chunk.usage is not None), None)
