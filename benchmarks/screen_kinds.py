"""Which rows of public sets are of a kind that their authors did not label, in `screen_kinds.json`: keys and no text.

One reader went once through HarmBench, SimpleSafetyTests, and what OpenAI's moderation set labels as
self-harm; nobody has checked it. A row that is not listed is of none of the kinds:

- `illicit/violent`: a wish to hurt bodies, or to have what does: weapons, explosives, poisons, pathogens, arson,
  robbery, kidnapping, threats of death, hired killers. Not drugs, fraud, hacking, theft, lies or hate, nor scenes.
- `self-harm/intent`: the writer does it, or wishes to, dying and eating disorders included. Not what is long over, what
  others do, or talk about it.
- `self-harm/instructions`: asks how, or to be encouraged, or encourages.

Keys are HarmBench's `behavior_id`, SimpleSafetyTests' `id`, and for OpenAI's set the first 12 hexadecimal digits of
the prompt's SHA-256. Knows nothing of how a head is fitted.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FILE = Path(__file__).parent / "screen_kinds.json"
VIOLENT, INTENT, INSTRUCTIONS = KINDS = ("illicit/violent", "self-harm/intent", "self-harm/instructions")


class Kinds:
    def __init__(self, file: Path = FILE) -> None:
        self._found: dict[str, dict[str, list[str]]] = json.loads(file.read_text(encoding="utf-8"))

    def of(self, name: str, key: str, kinds: tuple[str, ...] = KINDS) -> dict[str, int]:
        """Of each of the `kinds`, whether the row `key` of the set `name` is of it."""
        own = self._found[name].get(key, ())
        return {kind: int(kind in own) for kind in kinds}


def digest(text: str) -> str:
    """The key of a row that has no id."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
