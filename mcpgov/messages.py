"""What an upstream's JSON-RPC messages are, and which request each belongs to: one reading, for all stages. Pure.

Rule: an id or a token is the same only if its type is too: 1 and "1" are two requests (JSON-RPC 2.0 section 4).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NoReturn, cast

from mcpgov.models import Kind

if TYPE_CHECKING:
    from mcpgov.models import Json, MCPRequest

Message = Mapping[str, "Json"]
Exact = tuple[str, str | float]

ENVELOPE_KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
LISTEN = "subscriptions/listen"  # MCP 2026-07-28
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
NOBODY: Message = {}
INSIDE = re.compile(rb"(\{[^\[{]*+)[\[{].*[\]}]([^\]}]*+\})", re.DOTALL)  # from the first bracket inside to the last


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and the infinities: a client in another language fails on them


DECODER = json.JSONDecoder(parse_constant=_not_json)


def parse_message(text: bytes) -> Message | None:
    """The JSON-RPC message in `text`, or None if there is none: not UTF-8, not JSON, not one object, not 2.0."""
    try:
        value: object = DECODER.decode(text.decode())
    except (ValueError, RecursionError):
        return None
    message = mapping(value)
    known = message.get("jsonrpc") == "2.0" and ("method" in message or is_response(message))
    return message if known else None


def outline(text: bytes) -> Message:
    """A text that is no message, read again without what is inside it: so that an answer nested too deeply, or with a
    number that is none, can be laid to the request that waits for it. Empty where that gives no response either.
    """
    around = INSIDE.fullmatch(text.strip())
    message = None if around is None else parse_message(around[1] + b"null" + around[2])
    return message if message and is_response(message) else NOBODY


def mapping(value: object) -> Message:
    """`value` if it is an object, else an empty one."""
    return cast("Message", value) if isinstance(value, dict) else NOBODY


def looks_alike(message: Message, keys: Collection[str]) -> bool:
    """Whether a key is one of `keys` to a client that knows no case: such a client would read another value than we."""
    return any(key not in keys and key.casefold() in keys for key in message)


def is_response(message: Message) -> bool:
    """Whether a message answers a request."""
    return "method" not in message and ("result" in message or "error" in message)


def answers(message: Message, request_id: str | int | None) -> bool:
    """Whether a message is the response to the request with this id; an error may not have known it."""
    given = message.get("id")
    same = exact(given) == exact(request_id) or (given is None and "error" in message)
    return is_response(message) and same


def may_answer(message: Message | None) -> bool:
    """Whether a client may take a message for the response it waits for: any but a plain request or notification.

    None, a text that cannot be read here, may be read elsewhere.
    """
    return message is None or not message.get("method") or "result" in message or "error" in message


def error_code(message: Message) -> Json:
    """The code of an error response; None for any other message."""
    return mapping(message.get("error")).get("code")


def exact(value: object) -> Exact | None:
    """An id or a token in a form that compares as the protocol compares; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return ("string" if isinstance(value, str) else "number", value)


def listens(request: MCPRequest) -> bool:
    """Whether a request asks for a stream of what the server says of its own accord, which stays open."""
    return request.kind is Kind.STREAM or request.method == LISTEN


def token_of(params: Message) -> Exact | None:
    """The progress token that a request gives."""
    return exact(mapping(params.get("_meta")).get("progressToken"))


def progress_of(message: Message) -> Exact | None:
    """The token that a progress notification belongs to."""
    if message.get("method") != "notifications/progress":
        return None
    return exact(mapping(message.get("params")).get("progressToken"))
