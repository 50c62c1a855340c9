"""Requests as a client would send them, and as an attacker would."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st

from mcpgov.endpoint.inbound import ENVELOPE_KEYS, META_KEYS, PARAMS_KEYS, parse_request
from mcpgov.errors import Refusal
from mcpgov.models import Headers, Json, MCPRequest, RequestHead
from mcpgov.strict_json import JsonLimits, dumps

LIMITS = JsonLimits()
STATELESS = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
META: dict[str, Json] = {VERSION_KEY: STATELESS, "io.modelcontextprotocol/clientCapabilities": {}}
LEVELS = {"envelope": ENVELOPE_KEYS, "params": PARAMS_KEYS, "meta": META_KEYS}
# Controls, formats, a separator, and what only a lossy conversion to ASCII drops: nobody sees them in a key.
UNSEEN = ["\0", "\x1f", "\x7f", "\u200b", "\u00ad", "\u2028", "\ufeff", "\u202e", "\ufe0f", "\u034f", "\U0001f600"]
Fields = Mapping[str, str] | tuple[tuple[str, str], ...]
Message = dict[str, object]


def head(fields: Fields = (), http_method: str = "POST") -> RequestHead:
    """A request's head with these header fields."""
    pairs = tuple(fields.items()) if isinstance(fields, Mapping) else fields
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return RequestHead(http_method, "github", Headers(pairs), "192.0.2.1", "192.0.2.1", now, "correlation")


def post(message: object, fields: Fields = (), content_type: str = "application/json") -> MCPRequest:
    """Parse `message`, or these very bytes, as the body of a POST."""
    pairs = tuple(fields.items()) if isinstance(fields, Mapping) else fields
    body = message if isinstance(message, bytes) else dumps(message)
    return parse_request(head((("content-type", content_type), *pairs)), body, LIMITS)


def refused(message: object, fields: Fields = (), content_type: str = "application/json") -> Refusal:
    """The refusal that a POST meets."""
    with pytest.raises(Refusal) as caught:
        post(message, fields, content_type)
    return caught.value


def request(method: str, **params: object) -> Message:
    """A request of the HANDSHAKE era."""
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def call(name: object = "echo", **more: object) -> Message:
    """A tools/call of the HANDSHAKE era, with other members of the envelope in `more`."""
    return request("tools/call", name=name, arguments={"a": 1}) | more


def stateless(method: str, **params: object) -> Message:
    """A request of the STATELESS era."""
    return request(method, **params, _meta=META)


def mirrors(method: str, name: str | None = None) -> dict[str, str]:
    """The headers that go with it."""
    named = {} if name is None else {"mcp-name": name}
    return {"mcp-protocol-version": STATELESS, "mcp-method": method} | named


def with_key(level: str, key: str) -> Message:
    """A call with one more key in the envelope, in params, or in params._meta."""
    meta: Message = {"vendor/key": 1}
    params: Message = {"name": "echo"}
    envelope: Message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
    {"envelope": envelope, "params": params, "meta": meta}[level][key] = 1
    return envelope | {"params": params | {"_meta": meta}}


def lookalikes(key: str) -> st.SearchStrategy[str]:
    """Keys that some reader takes for `key`: other case, letters that fold to its own, characters that are not seen."""
    return st.tuples(*(st.sampled_from(_alike(letter)) for letter in key)).map("".join).filter(lambda text: text != key)


def _alike(letter: str) -> list[str]:
    fullwidth = chr(ord(letter) + 0xFEE0) if letter.isalnum() else letter
    folding = {"k": ["\u212a"], "s": ["\u017f"]}.get(letter, [])
    accented = [letter + mark for mark in ("\u0301", "\u0327")]  # composed with some letters, apart from others
    unseen = [letter + mark for mark in UNSEEN]
    return [letter, letter.swapcase(), fullwidth, *folding, *accented, *unseen]
