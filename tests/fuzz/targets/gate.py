"""The gate in: what passes says one thing to every reader, can be written down, and is what goes upstream.

A case is a head, line by line (method, then fields), an empty line, and the body.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from mcpgov.audit.field_modes import FieldModes, Mode
from mcpgov.audit.record import DeniedRecord, IntentRecord
from mcpgov.audit.redact import Digester
from mcpgov.audit.values import redacted
from mcpgov.audit.verify import read
from mcpgov.endpoint.inbound import GOVERNED, META_KEYS, NAMED_BY, PARAMS_KEYS, parse_request
from mcpgov.errors import ANSWERS, Refusal
from mcpgov.messages import ENVELOPE_KEYS
from mcpgov.models import Era, Headers, Kind, MCPRequest, RequestHead
from mcpgov.strict_json import JsonLimits
from tests.audit.calls import NOW, facts
from tests.fuzz.target import Target

DIGESTER, CLEAR = Digester(bytes(32)), FieldModes.of({"**": Mode.CLEAR})
LIMITS = JsonLimits(body=4096, depth=10, keys=48, values=96, string=512)
WORDS = (
    *("POST\n", "GET\n", "DELETE\n", "\n\n", "content-type: application/json\n", "content-encoding: gzip\n"),
    *("mcp-protocol-version: 2026-07-28\n", "mcp-protocol-version: 2025-11-25\n", "mcp-session-id: s\n"),
    *("mcp-method: tools/call\n", "mcp-name: echo\n", "mcp-name: =?base64?ZWNobw==?=\n", "; charset=utf-8"),
    *('"jsonrpc":"2.0"', '"id":1', '"id":"a"', '"method":"tools/call"', '"params":{', '"name":"echo"', '"_meta":{'),
    *('"io.modelcontextprotocol/protocolVersion":"2026-07-28"', '"io.modelcontextprotocol/clientCapabilities":{}'),
    *('"inputResponses":{"io.github.mcpgov/consent":{}}', '"arguments":{}', '"result":{}', '"error":{}'),
    *("\\u0061", "\u212a", "\u017f", "\\u0000", "\u200b", "notifications/cancelled", "resources/read", "uri"),
)


def judge(data: bytes) -> None:
    """One request."""
    top, _, body = data.partition(b"\n\n")
    method, *lines = top.decode("latin-1").split("\n")
    fields = tuple(
        (name.strip().lower(), value.strip(" ")) for name, _, value in (line.partition(":") for line in lines)
    )
    head = RequestHead(method, "city", Headers(fields), "192.0.2.1", "192.0.2.1", NOW, "correlation")
    try:
        request = parse_request(head, body, LIMITS)
    except Refusal as refusal:
        assert 400 <= ANSWERS[refusal.reason].status < 500, "a stranger's fault is ours"
        if refusal.detail:
            told = DeniedRecord(facts("1"), refusal.reason, detail=refusal.detail).row().record
            assert read(told) is not None, "a refusal that cannot be written down"
        return
    recorded(request)
    if method == "POST":
        judge_message(request, body)
    else:
        assert request.kind is not Kind.REQUEST
        assert not request.body


def judge_message(request: MCPRequest, body: bytes) -> None:
    """What passed, read by others."""
    message: Any = json.loads(request.body)
    assert repr(from_json(request.body)) == repr(message), "another reader reads another message"
    assert request.body == body or "consent" in str(json.loads(body)), "the bytes were changed"
    params: Any = message.get("params") or {}
    assert repr(dict(request.params)) == repr(params), "policy sees other parameters"
    meta: Any = params.get("_meta") or {}
    for members, reserved in ((message, ENVELOPE_KEYS), (params, PARAMS_KEYS), (meta, META_KEYS)):
        no_key_folds(members, reserved)
    assert request.id == message.get("id")
    assert request.method == message.get("method", "")
    assert request.method.lower() not in GOVERNED or request.method in GOVERNED
    if request.method == "tools/call":
        assert request.kind is Kind.REQUEST, "a call that nobody waits for"
        assert request.id is not None
        assert not isinstance(request.id, bool)
        assert request.name == params["name"] != ""
    if request.era is Era.STATELESS and request.kind is Kind.REQUEST:
        assert request.head.headers.get("mcp-method").strip(" \t") == request.method
        assert request.method not in NAMED_BY or len(request.head.headers.all("mcp-name")) == bool(request.name)


def no_key_folds(members: Mapping[str, object], reserved: Iterable[str]) -> None:
    """No two keys are one to a reader that folds case, compatibility forms, or drops what cannot be seen."""
    known = {plain(key): key for key in reserved}
    for key in members:
        assert known.get(plain(key), key) == key, "a key that looks like one of the protocol's own"


def plain(key: str) -> str:
    """A key as the most lenient reader sees it."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
    return "".join(letter for letter in folded if letter.isascii() and letter.isprintable())


def recorded(request: MCPRequest) -> None:
    """Its record can be written, with every argument in clear, and is read back as canonical."""
    value = redacted(dict(request.params), CLEAR, DIGESTER)
    of = facts("1")._replace(head=request.head, request=request, value=value)
    assert read(IntentRecord(of).row().record) is not None, "a record that is not canonical"


TARGET = Target(judge, WORDS)
