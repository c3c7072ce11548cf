"""The error tree. Foreign errors are mapped to it at one door each; an error says who may retry.

    TierwiseError
      ConfigError             the operator's file is wrong: where, what, and the nearest right thing
      ClientError             the client's request can't be served as it is; the same request fails again
        BadRequest            400  malformed, or a field has a wrong value (`param` names it)
        Unauthorized          401  no key, or not one of ours
        Forbidden             403  the key may not do this, or no model may have it; the message says by which rule
        Blocked               400  a screen stops the request or its answer; `classes` says why
        NotFound              404  no such path, route or model
        MethodNotAllowed      405
        TooLarge              413  a body over the limit, as it came or once it is unpacked
        Unsupported           415  a body that is packed in a way that is not read here
        BudgetExceeded        429  the key's money is spent or held; `retry_after` where waiting helps
        RateLimited           429  the key's requests or tokens of a minute are used up
      ProviderError           a model could not answer; `retryable` says whether it may be asked again
        Unreachable           502  no connection, or it was cut before an answer began
        TimedOut              504  connect, first token, idle gap or total limit
        Overloaded            503  429 and 5xx of a provider, and an open breaker
        Refused               502  the provider rejects our key or our request (4xx)
        Torn                  502  the answer broke off, or was no answer: never shown as whole
      WireError               a provider's bytes are not what its dialect says; becomes a ProviderError
      CheckFailed             a verifier erred; the draft escalates
      StoreError              503  the ledger can't be written; without it nothing is served
      Stopping                503  the gateway is being stopped; another one, or this one restarted, can be asked
      WeightsError            a local model's file can't be had, or is not the file that was asked for

Messages are for the person who reads them. They never hold a secret, a prompt or an answer.
"""

from __future__ import annotations


class TierwiseError(Exception):
    """Base. `status` is the HTTP status that tells it to a client, `code` the machine-readable reason.

    `retry_after`: seconds after which the same request may be answered, where that is known.
    """

    status = 500
    code: str | None = None
    kind = "api_error"
    retry_after: float | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(TierwiseError):
    """`problems`, where there are several, lists them all, so that one run shows every mistake."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ClientError(TierwiseError):
    status = 400
    kind = "invalid_request_error"
    default_code: str | None = None

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code or self.default_code
        self.retry_after = retry_after


class BadRequest(ClientError):
    pass


class Unauthorized(ClientError):
    status = 401
    default_code = "invalid_api_key"


class Forbidden(ClientError):
    status = 403
    kind = "permission_error"
    default_code = "forbidden"


class Blocked(ClientError):
    """`classes` are the screens and their classes that stop it, e.g. "moderation:hate"."""

    default_code = "content_filter"

    def __init__(self, message: str, classes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.classes = classes


class NotFound(ClientError):
    status = 404
    default_code = "not_found"


class MethodNotAllowed(ClientError):
    status = 405
    default_code = "method_not_allowed"


class TooLarge(ClientError):
    status = 413
    default_code = "request_too_large"


class Unsupported(ClientError):
    status = 415
    default_code = "unsupported_encoding"


class BudgetExceeded(ClientError):
    status = 429
    kind = "insufficient_quota"
    default_code = "budget_exceeded"


class RateLimited(ClientError):
    status = 429
    kind = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class ProviderError(TierwiseError):
    """`model` is the configured model's name; `retry_after` is the provider's own."""

    status = 502
    retryable = True
    kind = "provider_error"

    def __init__(
        self, model: str, message: str, *, retry_after: float | None = None, upstream: int | None = None
    ) -> None:
        super().__init__(f"{model}: {message}")
        self.model = model
        self.retry_after = retry_after
        self.upstream = upstream  # the provider's HTTP status, where there was one


class Unreachable(ProviderError):
    code = "provider_unreachable"


class TimedOut(ProviderError):
    status = 504
    code = "provider_timeout"


class Overloaded(ProviderError):
    status = 503
    code = "provider_overloaded"


class Refused(ProviderError):
    retryable = False
    code = "provider_refused"


class Torn(ProviderError):
    code = "provider_answer_torn"


class WireError(TierwiseError):
    """`overloaded`: an in-band error event that says "try again", not a broken wire."""

    def __init__(self, message: str, *, overloaded: bool = False) -> None:
        super().__init__(message)
        self.overloaded = overloaded


class CheckFailed(TierwiseError):
    code = "check_failed"


class StoreError(TierwiseError):
    status = 503
    code = "ledger_unavailable"


class RowRefused(StoreError):
    """The ledger will never take this row; it can be written to all the same."""


class Stopping(TierwiseError):
    status = 503
    code = "gateway_stopping"


class WeightsError(TierwiseError):
    code = "weights_unavailable"
