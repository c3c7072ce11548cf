"""A gateway for clients of another environment, in front of providers that speak OpenAI's wires and Anthropic's.

`python -m tests.clients.gateway` prints its address and a key as one line of JSON, and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.gateway.harness import CONFIG, GOOD, running
from tests.support.shapes import Script

MODEL = """
[models.{name}]
provider = "{provider}"{more}
base_url = "{{url}}/v1"
model = "{name}-1"
price = {{{{ input = 3, output = 15 }}}}
limits = {{{{ connect = 1, first_token = 1, idle = 1, total = 20 }}}}
"""
MODELS = (
    ("claude", "anthropic", ""),
    ("plain", "openai", ""),
    ("bland", "anthropic", ""),
    ("caller", "openai", '\nstructured = "tool"'),
    ("calling", "anthropic", '\nstructured = "tool"'),
    ("modern", "openai", '\napi = "responses"'),
)
ROUTES = """opinions = []
[routes.direct]
tiers = ["claude"]
[routes.latest]
tiers = ["modern"]
[routes.dull]
tiers = ["plain", "bland"]
[routes.called]
tiers = ["caller"]
[routes.called_too]
tiers = ["calling"]
"""
SCRIPTS = (
    Script(model="plain-1", text=GOOD),  # these two do nothing but answer
    Script(model="bland-1", text=GOOD),
    Script(match="come to pieces", text=GOOD, cut=3),
    Script(match="be busy", status=503, error="canary-of-the-provider"),
    Script(match="no key", status=401, error="canary-of-the-provider"),
    Script(match="think first", text=GOOD, reasoning="Let me see.", obliging=True),
    Script(match="from the cache", text=GOOD, cached_tokens=12, obliging=True),
    Script(text=GOOD, obliging=True),
)


async def main() -> None:
    config = CONFIG + "".join(MODEL.format(name=name, provider=provider, more=more) for name, provider, more in MODELS)
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), SCRIPTS, route=ROUTES, config=config) as gate:
            print(json.dumps({"url": gate.url, "key": gate.key}), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
