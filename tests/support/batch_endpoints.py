"""The scripted upstream's batch endpoints: OpenAI's Files and Batches, and Anthropic's Message Batches.

Written from the providers' public API references, not from our dialects. Every fault is a field. Knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import msgspec

from tests.support.shapes import Anthropic, Json, OpenAI, Script

Answer = tuple[int, bytes]
"""A status and a body."""
ANTHROPIC = "/v1/messages/batches"


class Dropped(Exception):
    """It was done, and nobody is told so."""


@dataclass
class Job:
    id: str
    path: str
    requests: dict[str, Json]  # by custom_id
    metadata: Json | None = None
    input: str | None = None
    cancelled: bool = False
    results: dict[str, tuple[Script, str]] = field(default_factory=dict)  # of those that are answered: the answer's id


class BatchEndpoints:
    """What a test looks at, and may change as it goes."""

    def __init__(self, choose: Callable[[Json], Script], bill: Callable[[str, int], None]) -> None:
        self.jobs: list[Job] = []
        self.files: dict[str, bytes] = {}
        self.hold = False  # jobs don't end by themselves
        self.early = 0  # requests that a job which is cancelled has answered by then
        self.missing = 0  # requests at the end of a job that never get an answer
        self.drops = 0  # so many beginnings of jobs are done, and the connection is cut
        self.cuts = 0  # so many results break off in the middle
        self.status = 200  # what beginning a job is answered; others than 200 begin none
        self.refusal = 0  # the status that cancelling and deleting are answered with
        self.invalid = False  # a job begins, and fails as a whole (OpenAI)
        self.deleted: list[str] = []  # paths
        self._uploads = 0
        self._choose = choose
        self._bill = bill

    def answer(self, method: str, target: str, body: bytes) -> Answer | None:
        """None for paths that are none of these. Raises Dropped."""
        path, _, query = target.partition("?")
        if method == "POST" and path == "/v1/files":
            return self._upload(body)
        if method == "GET" and path.startswith("/v1/files/") and path.endswith("/content"):
            return 200, self._cut(self.files[path.split("/")[3]])
        if method == "DELETE" and path.startswith("/v1/files/"):
            return self._delete(path)
        for base in (ANTHROPIC, "/v1/batches"):
            if method == "DELETE" and path.startswith(f"{base}/"):
                return self._delete(path)
            if path == base:
                return self._begin(base, body) if method == "POST" else (200, self._list(base, query))
            if path.startswith(f"{base}/"):
                return self._one(base, *path.removeprefix(f"{base}/").partition("/")[::2])
        return None

    def _delete(self, path: str) -> Answer:
        if self.refusal:
            return self.refusal, b'{"error":{"message":"it can not be deleted","type":"x"}}'
        self.deleted.append(path.removeprefix("/v1"))
        return 200, b'{"deleted": true}'

    def _upload(self, body: bytes) -> Answer:
        head, _, rest = body.partition(b"\r\n\r\n")
        assert head.endswith(b'name="purpose"')
        assert rest.startswith(b"batch\r\n")
        mark = head.split(b"\r\n")[0]
        content = rest.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n" + mark + b"--\r\n")
        self._uploads += 1
        name = f"file-{self._uploads}"
        self.files[name] = content
        return 200, msgspec.json.encode({"id": name, "object": "file", "purpose": "batch", "bytes": len(content)})

    def _begin(self, base: str, body: bytes) -> Answer:
        if self.status != 200:
            return self.status, msgspec.json.encode({"error": {"message": "no batches today", "type": "x"}})
        asked = msgspec.json.decode(body)
        name = f"batch_{len(self.jobs)}"
        if base == ANTHROPIC:
            requests = {each["custom_id"]: each["params"] for each in asked["requests"]}
            job = Job(f"msg{name}", base, requests)
        else:
            rows = [msgspec.json.decode(raw) for raw in self.files[asked["input_file_id"]].splitlines()]
            assert {(row["method"], row["url"]) for row in rows} == {("POST", asked["endpoint"])}
            job = Job(
                name,
                base,
                {row["custom_id"]: row["body"] for row in rows},
                asked.get("metadata"),
                asked["input_file_id"],
            )
        self.jobs.append(job)
        if self.drops:
            self.drops -= 1
            raise Dropped
        return 200, msgspec.json.encode(self._shown(job))

    def _one(self, base: str, name: str, what: str) -> Answer:
        found = next((job for job in self.jobs if (job.path, job.id) == (base, name)), None)
        if found is None:
            return 404, b'{"error":{"message":"no such batch","type":"not_found_error"}}'
        if what == "cancel":
            if self.refusal:
                return self.refusal, b'{"error":{"message":"it can not be cancelled","type":"x"}}'
            found.cancelled = True
        if what == "results":
            return 200, self._cut(b"".join(_anthropic_rows(found)))
        return 200, msgspec.json.encode(self._shown(found))

    def _list(self, base: str, query: str) -> bytes:
        """Two a page, newest first."""
        jobs = [job for job in reversed(self.jobs) if job.path == base]
        wanted = parse_qs(query)
        after = (wanted.get("after") or wanted.get("after_id") or [""])[0]
        start = 1 + [job.id for job in jobs].index(after) if after else 0
        page = [self._shown(job) for job in jobs[start : start + 2]]
        return msgspec.json.encode({"data": page, "has_more": start + 2 < len(jobs)})

    def _shown(self, job: Job) -> Json:
        ended = bool(job.results) or job.cancelled or not self.hold
        if ended and not job.results and not self.invalid:
            self._work(job)
        if job.path == ANTHROPIC:
            return _anthropic_batch(job, ended=ended)
        return self._openai_batch(job, ended=ended)

    def _work(self, job: Job) -> None:
        count = self.early if job.cancelled else len(job.requests) - self.missing
        for place, (name, request) in list(enumerate(job.requests.items()))[:count]:
            script = self._choose(request)
            answer_id = f"{job.id}-{place}"
            job.results[name] = script, answer_id
            self._bill(answer_id, script.produced if script.status == 200 else 0)

    def _openai_batch(self, job: Job, *, ended: bool) -> Json:
        shown: Json = {"id": job.id, "object": "batch", "metadata": job.metadata, "status": "in_progress"}
        shown |= {"input_file_id": job.input, "output_file_id": None, "error_file_id": None, "errors": None}
        shown["request_counts"] = {"total": len(job.requests), "completed": 0, "failed": 0}
        if ended and self.invalid:
            return shown | {
                "status": "failed",
                "errors": {"object": "list", "data": [{"code": "token_limit_exceeded"}]},
            }
        if ended:
            good, bad = _openai_rows(job)
            shown["status"] = "cancelled" if job.cancelled else "expired" if self.missing else "completed"
            for kind, rows in (("output", good), ("error", bad)):
                if rows:
                    self.files[f"{kind}-{job.id}"] = b"".join(rows)
                    shown[f"{kind}_file_id"] = f"{kind}-{job.id}"
            shown["request_counts"]["completed"] = len(good)
        return shown

    def _cut(self, body: bytes) -> bytes:
        if not self.cuts:
            return body
        self.cuts -= 1
        return body[: len(body) - 9]


def _openai_rows(job: Job) -> tuple[list[bytes], list[bytes]]:
    """Lines of the output file, and of the error file."""
    good, bad = list[bytes](), list[bytes]()
    for name, request in reversed(job.requests.items()):
        row: Json = {"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": None}
        if name in job.results:
            script, answer_id = job.results[name]
            whole = script.status == 200
            body = OpenAI.whole(script, request, answer_id) if whole else OpenAI.error(script, answer_id)
            row["response"] = {"status_code": script.status, "request_id": answer_id, "body": body}
        else:
            row["error"] = {"code": "batch_expired", "message": "This request could not be executed in time."}
        answered = row["response"] is not None and row["response"]["status_code"] == 200
        (good if answered else bad).append(msgspec.json.encode(row) + b"\n")
    return good, bad


def _anthropic_batch(job: Job, *, ended: bool) -> Json:
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    counts["succeeded" if ended else "processing"] = len(job.requests)
    status = "ended" if ended else "in_progress"
    shown: Json = {"id": job.id, "type": "message_batch", "processing_status": status, "request_counts": counts}
    return shown | {"created_at": "2026-11-28T12:00:00Z", "results_url": f"x/{job.id}/results" if ended else None}


def _anthropic_rows(job: Job) -> Iterator[bytes]:
    for name, request in reversed(job.requests.items()):
        if name not in job.results:
            result: Json = {"type": "canceled" if job.cancelled else "expired"}
        else:
            script, answer_id = job.results[name]
            if script.status == 200:
                result = {"type": "succeeded", "message": Anthropic.whole(script, request, answer_id)}
            else:
                result = {"type": "errored", "error": Anthropic.error(script, answer_id)}
        yield msgspec.json.encode({"custom_id": name, "result": result}) + b"\n"
