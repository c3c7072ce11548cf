"""GET /openapi.json: what is at which path, as an OpenAPI 3.1 document.

The bodies are the very types that requests are decoded into, so the document can't say otherwise than the code. What it
says of answers is what all of them have in common: their fields are their wires' own, and documented there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tierwise import __version__
from tierwise.dialects import (
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_moderations,
    openai_responses,
)
from tierwise.gateway.batches import batches_api, files_api
from tierwise.gateway.evidence import feedback
from tierwise.gateway.web.http import Reply

if TYPE_CHECKING:
    from tierwise.gateway.app import App, Exchange

Json = dict[str, Any]


class Operation(NamedTuple):
    """`name`: of the path's parameter, where it ends in one. `also`: statuses besides those of every request.

    `sent` and `media` are the media types of its body and of its answer.
    """

    summary: str
    body: type | None = None
    name: str = ""
    also: tuple[int, ...] = ()
    media: str = "application/json"
    sent: str = "application/json"


_CALLS = (403, 409, 413, 415, 422, 429, 502, 503, 504)  # of whatever calls a model
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/v1/chat/completions"): Operation("OpenAI Chat Completions", openai_chat.Body, also=_CALLS),
    ("POST", "/v1/completions"): Operation("OpenAI Completions", openai_completions.Body, also=_CALLS),
    ("POST", "/v1/embeddings"): Operation("OpenAI Embeddings", openai_embeddings.Body, also=_CALLS),
    ("POST", "/v1/moderations"): Operation(
        "OpenAI Moderations, by local classifiers or a provider", openai_moderations.Body, also=_CALLS
    ),
    ("POST", "/v1/responses"): Operation("OpenAI Responses", openai_responses.Body, also=_CALLS),
    ("GET", "/v1/responses/"): Operation("A response that is kept", name="response_id"),
    ("DELETE", "/v1/responses/"): Operation("Forget a response", name="response_id"),
    ("POST", "/v1/messages"): Operation("Anthropic Messages", anthropic_messages.Body, also=_CALLS),
    ("POST", "/v1/messages/count_tokens"): Operation(
        "How many tokens a request to Messages has, estimated", anthropic_messages.Countable, also=(413, 415)
    ),
    ("POST", "/v1/feedback"): Operation("What a user thought of an answer", feedback.Body, also=(413, 415, 503)),
    ("GET", "/v1/cases/"): Operation("Whether a person has answered", name="case_id", also=(503,)),
    ("POST", "/v1/files"): Operation(
        "Upload a file of requests", files_api.Form, also=(413, 415, 503), sent="multipart/form-data"
    ),
    ("GET", "/v1/files"): Operation("Files of this key", also=(503,)),
    ("GET", "/v1/files/"): Operation("One file: ID, or its content: ID/content", name="file_id", also=(503,)),
    ("DELETE", "/v1/files/"): Operation("Delete a file", name="file_id", also=(503,)),
    ("POST", "/v1/batches"): Operation("Run a file of requests", batches_api.Body, also=(413, 415, 503)),
    ("GET", "/v1/batches"): Operation("Batches of this key", also=(503,)),
    ("GET", "/v1/batches/"): Operation("How far a batch is", name="batch_id", also=(503,)),
    ("POST", "/v1/batches/"): Operation("Cancel a batch: ID/cancel", name="batch_id", also=(409, 503)),
    ("GET", "/v1/models"): Operation("Routes and models"),
    ("GET", "/v1/models/"): Operation("One route or model", name="model"),
    ("GET", "/v1/routes/"): Operation("Where a route's certificate stands: NAME/certificate", name="route"),
    ("GET", "/metrics"): Operation("Metrics for Prometheus", media="text/plain"),
    ("GET", "/healthz"): Operation("Whether requests are served", also=(503,)),
    ("GET", "/openapi.json"): Operation("This document"),
}
_STATUSES = {
    200: "Done.",
    400: "The request is wrong; the error names the field.",
    401: "No key, or not one of this gateway's.",
    403: "The key may not send one of the request's headers.",
    404: "No such path, route, model, response, file or batch.",
    405: "Another method.",
    409: "The request with this idempotency key is still running; the batch has ended.",
    413: "A body over the limit.",
    415: "A body packed in a way that is not read here.",
    422: "The idempotency key came with another body.",
    429: "A budget or a limit is used up; `retry-after` says when to ask again.",
    502: "The provider could not answer.",
    503: "Overloaded, stopping, or the ledger can't be written.",
    504: "The provider took too long.",
}


async def openapi(app: App, exchange: Exchange) -> Reply:
    """GET /openapi.json."""
    return Reply(200, _document())


@cache
def _document() -> bytes:
    bodies = [operation.body for operation in OPERATIONS.values() if operation.body is not None]
    schemas, components = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    refs = dict(zip(bodies, schemas, strict=True))
    paths: dict[str, Json] = {}
    for (method, path), operation in OPERATIONS.items():
        full = f"{path}{{{operation.name}}}" if operation.name else path
        paths.setdefault(full, {})[method.lower()] = _operation(operation, refs)
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Tierwise", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": error},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{"bearer": []}, {"key": []}],
    }
    return msgspec.json.encode(document)


def _operation(operation: Operation, refs: Mapping[type, Json]) -> Json:
    statuses = sorted({200, 400, 401, 404, 405, *operation.also})
    described: Json = {
        "summary": operation.summary,
        "responses": {str(status): _response(status, operation) for status in statuses},
    }
    if operation.body is not None:
        content = {operation.sent: {"schema": refs[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.name:
        where = {"name": operation.name, "in": "path", "required": True}
        described["parameters"] = [where | {"schema": {"type": "string", "minLength": 1}}]
    return described


def _response(status: int, operation: Operation) -> Json:
    if status != 200:
        content: Json = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    else:
        content = {operation.media: {}}
        if operation.also is _CALLS:
            content["text/event-stream"] = {}
    return {"description": _STATUSES[status], "content": content}
