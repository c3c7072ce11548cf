"""Secrets stay where they belong: three canaries go through good and bad requests, and none is found anywhere else."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.harness import GOOD, UPSTREAM_KEY, Gateway, child, placed, running
from tests.gateway.test_run import Crashing, opened, post
from tests.support.shapes import Script
from tests.support.terminal import call
from tierwise.gateway.serve import serving
from tierwise.gateway.settings import read_environment

PROMPT = "Zanzibar-canary-prompt"
ANSWER = "Xylophone-canary-answer"
STATUSES = (400, 401, 429, 500)
ECHO = f"your key {UPSTREAM_KEY} can't ask that"
SCRIPTS = (
    *(
        Script(match=f"status {status}", model=model, status=status, error=ECHO)
        for status in STATUSES
        for model in ("cheap-1", "premium-1")
    ),
    Script(match="garbage", garbage=True, text=ANSWER),
    Script(match="cut", text=f"{ANSWER} is what it says here", gap=0.001, cut=2),
    Script(match="in-band", text=ANSWER, in_band_error=True, error=ECHO),
    Script(match="drop", drop=True),
    Script(match="refuse", model="cheap-1", text=f"I'm sorry, but I can't help with {ANSWER}."),
    Script(match="slow", text=f"{ANSWER} " * 20, gap=0.02),
    Script(text=f"{ANSWER}: {GOOD}"),
)
SITUATIONS = (
    *(f"status {status}" for status in STATUSES),
    *("garbage", "cut", "in-band", "drop", "refuse", "fine"),
)
BROKEN = (
    f'{{"model":"support","messages":"{PROMPT}"}}',
    f'{{"model":"support","messages":[{{"role":"{PROMPT}","content":"x"}}]}}',
    f'{{"model":"support","messages":[{{"role":"user","content":"{PROMPT}"}}]',
    f'{{"model":"support","messages":[{{"role":"user","content":"{PROMPT}"}}],"n":NaN}}',
    f'{{"model":"support","messages":[{{"role":"user","content":"{PROMPT}"}}],"temperature":"{PROMPT}"}}',
)


def clean(text: str | bytes, *canaries: str, where: str) -> None:
    raw = text.encode() if isinstance(text, str) else text
    for canary in canaries:
        assert canary.encode() not in raw, f"{canary[:6]}... is in {where}"


async def good_and_bad(gateway: Gateway) -> list[bytes]:
    """A session; the bodies that came back."""
    bodies = []
    url = f"{gateway.url}/chat/completions"
    for situation in SITUATIONS:
        for model in ("support", "premium"):
            for stream in (False, True):
                text = f"{PROMPT} {situation}"
                asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
                async with gateway.http.post(url, json=asked, headers=gateway.headers()) as reply:
                    bodies.append(await reply.read())
                for well in ("support", "premium"):  # so that no breaker opens and hides what comes next
                    assert (await gateway.chat(well, "fine"))[0] == 200
    for body in BROKEN:
        async with gateway.http.post(url, data=io.BytesIO(body.encode()), headers=gateway.headers()) as reply:
            assert reply.status == 400
            bodies.append(await reply.read())
    for path in ("/models", "/models/support", f"/models/{PROMPT}", f"/{PROMPT}"):
        async with gateway.http.get(gateway.url + path, headers=gateway.headers()) as reply:
            text = await reply.text()
            bodies.append(text.replace(PROMPT, "").encode())  # a path may be named to the one who asked for it
    return bodies


async def test_a_session(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs at their most talkative, nor the ledger's bytes, nor any body tell a secret."""
    caplog.set_level(logging.DEBUG)
    for name in ("_granian", "granian.access", "asyncio", "tierwise"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with running(tmp_path, SCRIPTS) as gateway:
        bodies = await good_and_bad(gateway)
        await leave_early(gateway)
        keys = (UPSTREAM_KEY, gateway.key)
        for number, body in enumerate(bodies):
            clean(body, *keys, where=f"body {number}")
        assert any(ANSWER.encode() in body for body in bodies)
        for request in gateway.upstream.requests:
            clean(str(request), gateway.key, where="a request to the provider")
            if request.body["model"] == "premium-1":  # it has no key of its own, and gets nobody else's
                clean(str(request), UPSTREAM_KEY, where="a request to another provider")
        secrets = (*keys, PROMPT, ANSWER)
        stored = kept(tmp_path, "ledger.db*")
        assert len(stored) >= 2  # with its write-ahead log
        for path in stored:
            clean(path.read_bytes(), *secrets, where=path.name)
    clean(caplog.text, *secrets, where="the logs")
    clean((tmp_path / "ledger.db").read_bytes(), *secrets, where="the closed ledger")


async def test_a_key_that_looks_like_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that quotes the key it was sent does not get it through to a client, whatever shape the key has."""
    caplog.set_level(logging.DEBUG)
    odd = "plainwordsofaprovider42"
    scripts = [Script(status=400, error=f"you sent {odd}, which is wrong")]
    async with placed(tmp_path, *scripts) as place:
        environment = read_environment({"UPSTREAM_KEY": odd, "HOME": str(tmp_path)})
        async with serving(place.config, environment) as url:
            asked = {"model": "cheap", "messages": [{"role": "user", "content": "hi"}]}
            async with place.http.post(f"{url}/chat/completions", json=asked, headers=place.headers) as reply:
                text = await reply.text()
    assert "you sent [redacted], which is wrong" in text
    assert odd in str(place.upstream.requests[0].headers)
    clean(text + caplog.text, odd, where="a body or the logs")


def kept(folder: Path, pattern: str) -> list[Path]:
    """The files of a ledger, its journals too."""
    found = [path for each in folder.glob(pattern) for path in (each, *each.rglob("*"))]
    return [path for path in found if path.is_file()]


async def leave_early(gateway: Gateway) -> None:
    asked = {"model": "premium", "stream": True, "messages": [{"role": "user", "content": f"{PROMPT} slow"}]}
    url = f"{gateway.url}/chat/completions"
    async with gateway.http.post(url, json=asked, headers=gateway.headers()) as reply:
        await reply.content.readany()
        reply.close()
    await asyncio.wait_for(gateway.upstream.aborted.wait(), 10)


async def test_a_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bug of ours whose message quotes everything: neither the log nor the client gets to read it."""
    caplog.set_level(logging.DEBUG)
    providers = dict.fromkeys(("cheap", "premium"), Crashing(2, f"{UPSTREAM_KEY} {PROMPT}"))
    messages = [{"role": "user", "content": PROMPT}]
    async with opened(tmp_path, "none", providers=providers) as (url, headers, _):
        for stream in (False, True):
            _, body, _ = await post(url, headers, stream=stream, messages=messages)
            clean(body, UPSTREAM_KEY, PROMPT, where="a body")
    assert "ZeroDivisionError" in caplog.text
    clean(caplog.text, UPSTREAM_KEY, PROMPT, headers["authorization"].split()[1], where="the logs")
    for path in kept(tmp_path, "tierwise.db*"):
        clean(path.read_bytes(), UPSTREAM_KEY, PROMPT, where=path.name)


async def test_a_process(tmp_path: Path) -> None:
    """What a gateway prints, to both of its streams, over a session and its end."""
    async with placed(tmp_path, *SCRIPTS) as place, child(place.config.path, "--port", "0") as gateway:
        for situation in SITUATIONS:
            messages = [{"role": "user", "content": f"{PROMPT} {situation}"}]
            await place.ask(gateway, messages=messages)
        gateway.process.terminate()
        printed, _ = await gateway.process.communicate()
        clean(printed, UPSTREAM_KEY, place.key, PROMPT, ANSWER, where="the output")


def test_the_command(tmp_path: Path) -> None:
    """The operator's own commands show no key but the one that is made, once."""
    (tmp_path / "script.json").write_text(json.dumps([{"match": "down", "fault": "refused"}, {"text": ANSWER}]))
    path = tmp_path / "c.toml"
    path.write_text(
        '[models.s]\nprovider = "scripted"\nscript = "script.json"\n'
        '[models.o]\nprovider = "openai"\nmodel = "gpt-x"\napi_key_env = "UPSTREAM_KEY"\n'
        '[routes.default]\ntiers = ["s"]\n'
    )
    env = {"TIERWISE_CONFIG": str(path), "UPSTREAM_KEY": UPSTREAM_KEY, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*words: str) -> Any:
        return call(words, env=env)

    key = json.loads(run("keys", "create", "--name", "x", "--json").stdout)["key"]
    for words in (("keys", "list"), ("keys", "list", "--json"), ("doctor",), ("doctor", "--json"), ("ask", "hi")):
        clean(run(*words).output, UPSTREAM_KEY, key, where=" ".join(words))
    clean(run("ask", f"{PROMPT} down").output, PROMPT, where="an error")
    for stored in kept(tmp_path, "tierwise.*"):
        clean(stored.read_bytes(), UPSTREAM_KEY, key, PROMPT, ANSWER, where=stored.name)
    path.write_text(
        path.read_text() + f'[models.bad]\nprovider = "openai"\nmodel = "x"\napi_key_env = "{UPSTREAM_KEY}"\n'
    )
    told = run("serve")
    assert told.exit_code == 2
    clean(told.output, UPSTREAM_KEY, where="a config error")
