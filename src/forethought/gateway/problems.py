"""What a client is told when a request cannot be served: OpenAI's error object, one status, one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from forethought.errors import ForethoughtError

TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
}
"""`error.type` by status; `server_error` for any other."""


class Problem(ForethoughtError):  # noqa: N818 - what a client is told, as RFC 9457 calls it
    """A request that ends with an error, as the client hears of it.

    Args:
        status: HTTP status.
        message: What is wrong, the value found and what is allowed. Never holds a key or a prompt.
        code: Stable name for programs, such as `budget_exhausted`.
        param: The field of the request that is wrong.
        headers: Added to the response, such as `retry-after`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})

    @property
    def error(self) -> dict[str, Any]:
        """The error object of the OpenAI API."""
        return {
            "message": self.message,
            "type": TYPES.get(self.status, "server_error"),
            "param": self.param,
            "code": self.code,
        }

    @property
    def body(self) -> bytes:
        """The response's JSON."""
        return to_json({"error": self.error})
