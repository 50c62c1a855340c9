"""What an upstream's JSON-RPC messages are, and which request each belongs to: one reading, for all stages. Pure.

Rules: a message is read as strictly as a request is; what two readers could read in two ways is none: no key twice, no
half characters, no array of messages (a batch), no key that only looks like one that clients act on. An id or a token
is the same only if its type is too: 1 and "1" are two requests (JSON-RPC 2.0 section 4).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from mcpgov.errors import Refusal
from mcpgov.models import Kind
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from mcpgov.models import Event, Json, MCPRequest

Message = Mapping[str, "Json"]
Exact = tuple[str, str | float]

_MIB: Final = 1 << 20
LIMITS: Final = JsonLimits(256 * _MIB, depth=128, keys=500_000, values=1_000_000, string=256 * _MIB)
ENVELOPE_KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
# What clients act on in MCP, 2025-03-26 to 2026-07-28: in a result, in params, in an error, and in what a list holds.
RESULT_KEYS = frozenset({
    *("_meta", "action", "cacheScope", "capabilities", "completion", "content", "contents", "description"),
    *("inputRequests", "instructions", "isError", "messages", "model", "nextCursor", "pollInterval", "prompts"),
    *("protocolVersion", "requestState", "resourceTemplates", "resources", "resultType", "role", "roots", "serverInfo"),
    *("status", "statusMessage", "stopReason", "structuredContent", "supportedVersions", "task", "taskId", "tasks"),
    *("tools", "ttl", "ttlMs"),
})  # fmt: skip
PARAMS_KEYS = frozenset({
    *("_meta", "data", "elicitationId", "includeContext", "level", "logger", "maxTokens", "message", "messages"),
    *("metadata", "mode", "modelPreferences", "name", "notifications", "progress", "progressToken", "reason"),
    *("requestId", "requestedSchema", "status", "statusMessage", "stopSequences", "systemPrompt", "task", "taskId"),
    *("temperature", "toolChoice", "tools", "total", "uri", "url"),
})  # fmt: skip
ERROR_KEYS = frozenset({"code", "message", "data"})
ITEM_KEYS = frozenset({
    *("_meta", "annotations", "arguments", "blob", "content", "data", "description", "execution", "icons"),
    *("inputSchema", "mimeType", "name", "outputSchema", "resource", "role", "size", "text", "title", "type", "uri"),
    *("uriTemplate",),
})  # fmt: skip
LISTS = ("content", "contents", "messages", "prompts", "resourceTemplates", "resources", "tools")
LISTEN = "subscriptions/listen"  # MCP 2026-07-28
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
NOBODY: Message = {}
INSIDE = re.compile(rb"(\{[^\[{]*+)[\[{].*[\]}]([^\]}]*+\})", re.DOTALL)  # from the first bracket inside to the last
UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")


def parse_message(text: bytes) -> Message | None:
    """The JSON-RPC message in `text`, or None if there is none: not strict JSON, not one object, not 2.0, ambiguous."""
    try:
        message = mapping(parse(text, LIMITS))
    except Refusal:
        return None
    return message if is_message(message) and is_exact(message) else None


def message_in(event: Event) -> Message | None:
    """The message of an event: as it was read where it came in, else read now."""
    return event.message if event.message is not None or event.data is None else parse_message(event.data)


def is_message(message: Message) -> bool:
    """Whether an object is a request, a notification or a response, and only one of them (JSON-RPC 2.0)."""
    if message.get("jsonrpc") != "2.0" or (message.get("id") is not None and exact(message["id"]) is None):
        return False
    method = message.get("method")
    if "method" in message:
        return isinstance(method, str) and "result" not in message and "error" not in message
    return ("result" in message) != ("error" in message)


def is_exact(message: Message) -> bool:
    """Whether no key of a message only looks like one that clients act on: they may take it for that one.

    Such a key would be read by clients that know no case, or pass over what they cannot show, and by no policy. What
    is a server's own (structured content, schemas, `_meta`) is not looked into.
    """
    result = mapping(message.get("result"))
    return not (
        looks_alike(message, ENVELOPE_KEYS)
        or ("params" in message and looks_alike(mapping(message["params"]), PARAMS_KEYS))
        or ("error" in message and looks_alike(mapping(message["error"]), ERROR_KEYS))
        or (result and looks_alike(result, RESULT_KEYS))
        or (result and any(looks_alike(item, ITEM_KEYS) for item in _items(result)))
    )


def _items(result: Message) -> Iterable[Message]:
    """What the lists in a result hold."""
    for key in LISTS:
        found = result.get(key)
        if isinstance(found, list):
            yield from map(mapping, found)


def looks_alike(message: Message, keys: AbstractSet[str]) -> bool:
    """Whether a key is one of `keys` to some client but not to us: such a client would read another value than we."""
    if message.keys() <= keys:
        return False
    known = {key.casefold() for key in keys}
    return any(_folded(key) in known for key in message.keys() - keys)


def _folded(key: str) -> str:
    """A key as the most lenient reader takes it: no case, no marks, nothing unseen (Go SDK GHSA-q382-vc8q-7jhj)."""
    if key.isascii() and key.isprintable() and " " not in key:
        return key.lower()
    plain = unicodedata.normalize("NFKD", key).casefold().encode("ascii", "ignore").decode()
    return UNSEEN.sub("", plain)


def outline(text: bytes) -> Message:
    """A text that is no message, read again without what is inside it: so that an answer nested too deeply, or with a
    number that is none, can be laid to the request that waits for it. Empty where that gives no response either.
    """
    around = INSIDE.fullmatch(text.strip())
    try:
        value: object = json.loads(text if around is None else around[1] + b"null" + around[2])
    except (ValueError, RecursionError):
        return NOBODY
    message = mapping(value)
    return message if message.get("jsonrpc") == "2.0" and is_response(message) else NOBODY


def mapping(value: object) -> Message:
    """`value` if it is an object, else an empty one."""
    return cast("Message", value) if isinstance(value, dict) else NOBODY


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
