"""Virtual keys: made here, shown once, kept as a keyed digest only.

A key has 256 random bits, so a fast HMAC is enough: there is nothing to guess. The pepper that keys the HMAC is kept
outside the store; who copies the store alone can't even test a key. Knows nothing of HTTP beyond the header's value.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from tierwise.core.window import Window, account, window
from tierwise.errors import Unauthorized
from tierwise.money import Amount, Budget, Key, Period, Tenant
from tierwise.ports import Store

PREFIX = "tw-"
_SHOWN = 9  # characters of a key that lists and logs may show: 36 of its 256 bits
_LONGEST = 256  # a longer header value is no key of ours, and is not hashed


def mint() -> str:
    """A new key: `tw-` and 256 random bits in URL-safe base64."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str, pepper: bytes) -> bytes:
    """HMAC-SHA256 of the key, 32 bytes."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), hashlib.sha256)


class Terms(NamedTuple):
    """How often a key's budget renews, what it may ask for in a minute, and whose it is; None: without a limit."""

    period: Period = "total"
    rpm: int | None = None
    tpm: int | None = None
    team: str = ""
    streams: int | None = None  # requests at once
    budget_tokens: int | None = None  # beside its budget in nano-dollars
    may: str | None = None  # of `RIGHTS`, with commas between them; None: all
    routes: str | None = None  # so too: routes and models
    input_tpm: int | None = None
    output_tpm: int | None = None


UNLIMITED = Terms()


class Standing(NamedTuple):
    """What a key has spent and holds, in nano-dollars: in all, and of the budget that it has now.

    `window` is None where the budget never renews, and where there is none. `window_tokens` are spent and held; 0 where
    there is no budget of tokens.
    """

    key: Key
    posted: int
    held: int
    window: Window | None
    window_posted: int
    window_held: int
    window_tokens: int = 0


async def create_key(
    store: Store, pepper: bytes, name: str, budget_nanos: int | None, now_ns: int, terms: Terms = UNLIMITED
) -> tuple[Key, str]:
    """A new live key in the store, and its text, which exists nowhere else. `budget_nanos` is in nano-dollars."""
    text = mint()
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        name=name,
        digest=digest(text, pepper),
        prefix=text[:_SHOWN],
        created_ns=now_ns,
        budget_nanos=budget_nanos,
        period=terms.period,
        rpm=terms.rpm,
        tpm=terms.tpm,
        team=terms.team,
        streams=terms.streams,
        budget_tokens=terms.budget_tokens,
        may=terms.may,
        routes=terms.routes,
        input_tpm=terms.input_tpm,
        output_tpm=terms.output_tpm,
    )
    await store.add_key(key)
    return key, text


async def list_keys(store: Store) -> Sequence[Key]:
    """All keys, revoked ones too, oldest first."""
    return sorted(await store.keys(), key=lambda key: (key.created_ns, key.id))


async def standings(store: Store, now_ns: int) -> list[Standing]:
    """Of every key, in the order of `list_keys`."""
    found: list[Standing] = []
    for key in await list_keys(store):
        period = budget_period(key) or "total"
        current = account(Budget("key", key.id, period), now_ns)
        money, of_budget, tokens = await store.spent(key.id), await store.spent(current), 0
        if key.budget_tokens is not None:
            tokens = (await store.sums.used((current,))).get(current, Amount()).tokens
        found.append(Standing(key, *money, window(period, now_ns), *of_budget, tokens))
    return found


def budget_period(key: Key) -> Period | None:
    """After which its budget renews; None where it has none."""
    return None if key.budget_nanos is None and key.budget_tokens is None else key.period


async def revoke_key(store: Store, key_id: str, now_ns: int) -> bool:
    """False where there is no such live key."""
    return await store.revoke_key(key_id, now_ns)


class Ring:
    """The live keys at one moment: who a request comes from, without a look into the store. Immutable."""

    def __init__(self, keys: Iterable[Key], pepper: bytes) -> None:
        self._digest = hmac.new(pepper, digestmod=hashlib.sha256)  # of nothing yet: to be copied
        self._tenants = {
            key.digest: Tenant(
                key_id=key.id,
                name=key.name,
                budget_nanos=key.budget_nanos,
                period=key.period,
                rpm=key.rpm,
                tpm=key.tpm,
                team=key.team,
                streams=key.streams,
                budget_tokens=key.budget_tokens,
                may=_names(key.may),
                routes=_names(key.routes),
                input_tpm=key.input_tpm,
                output_tpm=key.output_tpm,
            )
            for key in keys
            if key.revoked_ns is None
        }

        self._by_id = {tenant.key_id: tenant for tenant in self._tenants.values()}

    def tenant(self, key_id: str) -> Tenant | None:
        """Of a key that lives, by its id."""
        return self._by_id.get(key_id)

    def __len__(self) -> int:
        return len(self._tenants)

    @property
    def tenants(self) -> Collection[Tenant]:
        return self._tenants.values()

    def find(self, header_value: str | None) -> Tenant:
        """Whose key this is. Takes `Bearer KEY`, and the bare key that an `x-api-key` header holds.

        The lookup is by digest: its timing tells of the digest, which nobody outside can compute. Raises Unauthorized.
        """
        scheme, _, rest = (header_value or "").strip().partition(" ")
        key = rest.strip() if scheme.lower() == "bearer" else scheme if not rest else ""
        if not key:
            raise Unauthorized(
                "No API key was given. Send it as `Authorization: Bearer tw-...`.", code="missing_api_key"
            )
        tenant = self._tenants.get(self._digested(key)) if len(key) <= _LONGEST else None
        if tenant is None:
            raise Unauthorized("The API key is not valid here: unknown, or revoked.")
        return tenant

    def _digested(self, key: str) -> bytes:
        """As `digest`, but faster and without letting go of the interpreter's lock: it is in everybody's way."""
        found = self._digest.copy()
        found.update(key.encode("utf-8", "surrogatepass"))
        return found.digest()


def _names(listed: str | None) -> frozenset[str] | None:
    return None if listed is None else frozenset(listed.split(","))
