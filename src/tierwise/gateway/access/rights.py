"""What a key may ask for: headers that it must not send, and routes and models that there are not for it.

A key without terms of this kind may do everything; asking costs it two looks at a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tierwise.errors import Forbidden
from tierwise.gateway.engine import unknown
from tierwise.money import Tenant

if TYPE_CHECKING:
    from granian._granian import RSGIHeaders as Headers  # granian.rsgi names them without exporting them

HEADERS: Mapping[str, str] = {
    "x-tierwise-mode": "premium",
    "x-tierwise-tags": "tags",
    "x-tierwise-session": "session",
    "x-tierwise-deadline": "deadline",
    "x-tierwise-explain": "explain",
}
"""The right that each takes."""


def check(tenant: Tenant, headers: Headers, asked: str) -> None:
    """Whether a key may send this request, which names `asked` as its model. Raises Forbidden, NotFound."""
    if tenant.routes is not None:
        check_name(tenant, asked)
    if tenant.may is None:
        return
    for header, right in HEADERS.items():
        if right not in tenant.may and headers.get(header) is not None:
            raise Forbidden(f"This key may not send {header}: it lacks the right `{right}`.", param=header)


def check_name(tenant: Tenant, asked: str) -> None:
    """Raises NotFound for a route or model that there is not for this key: as if nobody had ever heard of it."""
    if not sees(tenant, asked):
        raise unknown(asked)


def sees(tenant: Tenant, name: str) -> bool:
    return tenant.routes is None or name in tenant.routes
