"""The header `x-tierwise-deadline`: how many seconds a client can wait for its answer.

Where that is long enough, a model is asked in a slower and cheaper service (`dialects/openai_upstream.py`).
"""

from __future__ import annotations

import msgspec

from tierwise.errors import BadRequest
from tierwise.types import Request

HEADER = "x-tierwise-deadline"
LONGEST = 7 * 86_400.0


def with_deadline(request: Request, said: str) -> Request:
    """The request with what its header says. Raises BadRequest for what is no time to wait."""
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise BadRequest(f"{HEADER} must be a number of seconds above 0, at most {LONGEST:.0f}.", param=HEADER)
    return msgspec.structs.replace(request, deadline_s=seconds)
