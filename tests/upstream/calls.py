"""Requests, connections and decisions as the stages before would have made them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mcpgov.decision import Decision, Reason
from mcpgov.models import (
    Answer,
    Connection,
    Credential,
    Era,
    Event,
    Headers,
    Kind,
    LocalUpstream,
    MCPRequest,
    RemoteUpstream,
    RequestHead,
    Secret,
)

ALLOWED = Decision(Reason.ALLOWED)
NOBODY = Credential("None", "nobody")
KEYED = Credential("CustomKeys", "test#key", (("Authorization", Secret("Bearer upstream-key")),))
HTTP_METHODS = {Kind.STREAM: "GET", Kind.END: "DELETE"}


def call(
    method: str = "tools/call",
    params: dict[str, Any] | None = None,
    *,
    request_id: str | int | None = 1,
    era: Era = Era.HANDSHAKE,
    session_id: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> MCPRequest:
    """A request (or, without an id, a notification) with a body that says the same."""
    if params is None:
        params = {"name": "echo", "arguments": {"text": "hi"}} if method == "tools/call" else {}
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if request_id is not None:
        message["id"] = request_id
    kind = Kind.NOTIFICATION if request_id is None else Kind.REQUEST
    return MCPRequest(
        head=head("POST", headers),
        era=era,
        kind=kind,
        protocol_version="2026-07-28" if era is Era.STATELESS else "2025-11-25",
        body=json.dumps(message).encode(),
        id=request_id,
        method=method,
        name=str(params.get("name", "")),
        params=params,
        session_id=session_id,
    )


def bodiless(kind: Kind, session_id: str = "s-1", headers: tuple[tuple[str, str], ...] = ()) -> MCPRequest:
    """A GET or DELETE of the HANDSHAKE era."""
    request = call(session_id=session_id)
    return replace(request, head=head(HTTP_METHODS[kind], headers), kind=kind, body=b"", id=None, method="", params={})


def head(http_method: str, headers: tuple[tuple[str, str], ...] = ()) -> RequestHead:
    """The head of a request from this machine."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return RequestHead(http_method, "test", Headers(headers), "127.0.0.1", "127.0.0.1", now, "c0ffee")


def to(url: str, *, timeout: float = 30.0, private: bool = True, name: str = "test") -> Connection:
    """A connection to a remote upstream."""
    return Connection(name, "dev.mcpgov/test", RemoteUpstream(url, private=private), timeout=timeout)


def starting(*command: str, timeout: float = 30.0, name: str = "test") -> Connection:
    """A connection to a local upstream."""
    return Connection(name, "dev.mcpgov/test", LocalUpstream(command), timeout=timeout)


async def events_of(answer: Answer) -> list[Event]:
    """Everything an answer holds."""
    return [event async for some in answer.events for event in some]


async def body_of(answer: Answer) -> bytes:
    """The bytes that would be sent on."""
    return b"".join([event.raw for event in await events_of(answer)])
