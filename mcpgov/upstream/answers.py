"""Whether what an upstream answered is what an MCP server may answer. Pure.

Rules: the upstream's refusal of *our* credential is never shown to the caller (401, 403, 407: clients would sign in
at the wrong door); a redirect is never followed and never told; a body that is no JSON-RPC message is never relayed,
because it speaks of the upstream's inside. What an MCP server says itself, errors with their status included, passes
unchanged; but where nothing was asked nothing is answered, and a result is only that of the request: one that belongs
to another would pass whoever judges what that may show.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import answers, is_response, parse_message
from mcpgov.models import Event, Headers, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.decision import Changes
    from mcpgov.messages import Message
    from mcpgov.models import MCPRequest

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PLAIN = (
    ("content-encoding", "identity"),
    ("transfer-encoding", "chunked"),
)  # else it could not be looked into
RETRY_AFTER = re.compile(r"[0-9]{1,6}|[A-Z][a-z]{2}, [0-9A-Za-z: ]{22,25}")  # RFC 9110 section 10.2.3


class Answered(Refusal):
    """The refusal that stands for an answer of the upstream which is not told. `status` is what it was."""

    def __init__(
        self, reason: Reason, message: str, status: int, headers: tuple[tuple[str, str], ...] = (), detail: str = ""
    ) -> None:
        super().__init__(reason, message, detail=detail or f"status {status}", headers=headers)
        self.status = status


def media_type(headers: Headers) -> str:
    """The media type of a body, without its parameters."""
    return headers.get("content-type").partition(";")[0].strip().lower()


def is_plain(headers: Headers, name: str, plain: str) -> bool:
    """Whether a field that says how a body is encoded says nothing but `plain`, each time that it stands there."""
    return all(value.strip().lower() == plain for value in headers.all(name))


def require_tellable(status: int, headers: Headers) -> None:
    """Raise the Refusal that stands for a status or an encoding that is never relayed."""
    if not all(is_plain(headers, *plain) for plain in PLAIN):
        raise Refusal(Reason.UPSTREAM_INVALID, "The upstream encoded an answer that was asked for plain.")
    if status in {401, 403, 407}:
        message = "The upstream did not accept the credential of this connection. Tell the gateway's operator."
        raise Answered(Reason.UPSTREAM_UNAUTHORIZED, message, status)
    if status == 429:
        told = headers.get("retry-after")
        wait = (("Retry-After", told),) if RETRY_AFTER.fullmatch(told) else ()
        raise Answered(Reason.UPSTREAM_RATE_LIMITED, "The upstream limits the rate of calls.", status, wait)
    if 300 <= status <= 399:
        raise Answered(Reason.UPSTREAM_REDIRECTED, "The upstream redirected the call.", status)
    if status < 200 or status > 599:
        raise Answered(Reason.UPSTREAM_INVALID, "The upstream did not answer as an MCP server.", status)


def require_success(request: MCPRequest, status: int, changes: Changes) -> None:
    """Raise the Refusal for an HTTP error where a policy says that no such answer counts.

    Only a request has an answer; and a session that is gone (404) is told, for the client has to open another.
    """
    gone = status == 404 and request.session_id
    if changes.fail_on_error and status >= 400 and request.kind is Kind.REQUEST and not gone:
        raise failed(status)


def told_body(request: MCPRequest, status: int, headers: Headers, body: bytes) -> Event | None:
    """A complete body as the one event that may be relayed, or nothing. Raises Refusal where it must be an answer.

    `body` is what came with any media type but text/event-stream.
    """
    message = parse_message(body) if body and media_type(headers) == JSON else None
    if message is not None and not is_error(message) and not is_result(message, request):
        message = None
    if status >= 400:
        if message is None and status >= 500:
            raise failed(status)
        return Event(body, body, message) if message else None
    if request.kind is Kind.REQUEST and (message is None or not answers(message, request.id)):
        raise not_mcp(f"status {status}, {media_type(headers)!a} is no response to the request")
    if request.kind is Kind.STREAM or (body and media_type(headers) != JSON):
        raise not_mcp(f"status {status}, {media_type(headers)!a}")
    return Event(body, body, message) if message else None


def is_result(message: Message, request: MCPRequest) -> bool:
    """Whether a message is the result of a request and nothing else."""
    return request.kind is Kind.REQUEST and "error" not in message and answers(message, request.id)


def is_error(message: Message) -> bool:
    """Whether a message is an error and nothing else; which request it is for may not have been known."""
    return is_response(message) and "result" not in message


async def whole(event: Event | None) -> AsyncGenerator[tuple[Event, ...], None]:
    """The only event there is, or none."""
    if event is not None:
        yield (event,)


def failed(status: int) -> Refusal:
    """The refusal for an HTTP error that comes with nothing to tell."""
    return Answered(Reason.UPSTREAM_ERROR, "The upstream failed.", status)


def not_mcp(detail: str) -> Refusal:
    """The refusal for an upstream that speaks, but not MCP."""
    return Refusal(Reason.UPSTREAM_INVALID, "The upstream did not answer as an MCP server.", detail=detail)


def told_headers(headers: Headers, *, body: bool) -> Headers:
    """The header fields that go with what is relayed; where the body is kept back, only what the status needs."""
    if body:
        return headers
    return Headers(tuple(field for field in headers.fields if field[0] in {"allow", "mcp-session-id"}))
