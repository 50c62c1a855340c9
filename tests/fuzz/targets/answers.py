"""The gate out: of what an upstream answers only an answer to the request is told, the same to every client.

A case is a letter for the status, one for the id, and the body.
"""

from __future__ import annotations

import json
from typing import Any

from mcpgov.errors import Refusal
from mcpgov.messages import answers, may_answer, outline, parse_message
from mcpgov.models import Era, Headers, Kind
from mcpgov.upstream.answers import require_tellable, told_body, told_headers
from tests.fuzz.target import Target
from tests.upstream.calls import bodiless, call

STATUSES = (200, 202, 204, 301, 400, 401, 404, 429, 500, 503, 100, 700)
REQUESTS = (
    call(),
    call(request_id="1"),
    call(era=Era.STATELESS),
    call("notifications/x", request_id=None),
    bodiless(Kind.STREAM),
)
JSON = Headers((("content-type", "application/json; charset=utf-8"), ("www-authenticate", "Basic"), ("x-inside", "1")))
WORDS = (
    *('{"jsonrpc":"2.0"', ',"id":1', ',"id":"1"', ',"id":1.0', ',"id":null', ',"id":true', ',"result":{}', "}"),
    *(',"error":{"code":1,"message":"x"}', ',"method":"x"', ',"ID":1', "[[[[", "NaN", "1e999", "\\ud800", "]]]]"),
)


def judge(data: bytes) -> None:
    """One answer."""
    status, request = STATUSES[sum(data[:1]) % len(STATUSES)], REQUESTS[sum(data[1:2]) % len(REQUESTS)]
    body = data[2:]
    outline(body)
    may_answer(parse_message(body))
    try:
        require_tellable(status, JSON)
        told = told_body(request, status, JSON, body)
    except Refusal as refusal:
        assert "inside" not in refusal.message
        return
    assert told is None or told.raw == told.data == body, "a part of a body was told"
    assert not {"www-authenticate", "x-inside"} & {name for name, _ in told_headers(JSON, body=False).fields}
    if told is not None:
        message: Any = json.loads(told.raw)
        assert message == told.message, "another reader reads another message"
        assert message["jsonrpc"] == "2.0"
        assert "error" in message or (request.kind is Kind.REQUEST and answers(message, request.id)), "nobody asked"
        assert "error" in message or type(message["id"]) in {type(request.id), float}, "an id of another type"


TARGET = Target(judge, WORDS)
