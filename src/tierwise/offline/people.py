"""What people say of rows that a judge has scored: a file of some of the same outcomes, with scores of theirs.

Knows the file, and nothing of how a judge is corrected by it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tierwise.errors import ConfigError
from tierwise.offline.learn import Floats, harm
from tierwise.offline.outcomes import Pairs, naming, pair, read


def harm_by_people(path: Path, pairs: Pairs) -> Floats:
    """The harm of rows by people's word, NaN for those that they have not looked at. Raises ConfigError."""
    frame = read(path, need=("query_id", "model", "score", "prompt"))
    with naming(path):
        seen = pair(frame, pairs.cheap.model, pairs.premium.model)
    by_query = dict(zip(seen.query_id, harm(seen).tolist(), strict=True))
    found = np.array([by_query.get(query, np.nan) for query in pairs.query_id])
    if np.isnan(found).all():
        raise ConfigError(f"{path}: none of its queries is among the outcomes that a judge has scored")
    return found
