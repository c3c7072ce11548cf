"""OpenAI's list of models, towards clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


def encode_models(names: Sequence[tuple[str, str]], created: int) -> bytes:
    """The list of (name, owner) as `GET /v1/models` gives it."""
    return msgspec.json.encode({"object": "list", "data": [_model(name, owner, created) for name, owner in names]})


def encode_model(name: str, owner: str, created: int) -> bytes:
    return msgspec.json.encode(_model(name, owner, created))


def _model(name: str, owner: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}
