"""The replies that an operator has written down for a sorter's labels: a JSON object, label to text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tierwise.errors import ConfigError
from tierwise.gateway.tables.model_table import ModelTable


def replies(table: ModelTable) -> Mapping[str, str] | None:
    """None where the sorter answers with its labels. Raises ConfigError that says where and what is wrong."""
    if not table.replies:
        return None
    path = Path(table.replies)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a JSON object of labels and texts: {error}") from None
