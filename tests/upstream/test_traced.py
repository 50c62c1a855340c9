"""Our span is written into a request that goes upstream, and nothing else of it changes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.models import Era, Json, Kind, MCPRequest
from mcpgov.upstream.traced import traced
from tests.audit.calls import head

CORRELATION = "3fa9c1d27b60f1e2aa07c1d5e8f90b34"
OURS = f"00-{CORRELATION}-{CORRELATION[:16]}-01"
CLAIM = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
FOLLOWED = f"00-0af7651916cd43dd8448eb211c80319c-{CORRELATION[:16]}-00"


def parsed(body: bytes, *, kind: Kind = Kind.REQUEST, claim: str = "") -> MCPRequest:
    """The request that these bytes are."""
    message: dict[str, Any] = json.loads(body)
    params: dict[str, Json] = message.get("params") or {}
    method = str(message.get("method"))
    return MCPRequest(
        head(CORRELATION), Era.HANDSHAKE, kind, "2025-11-25", body, 1, method, params=params, traceparent=claim
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (b'{"params" : {"_meta":{"a": 1.0}, "x":1}}', b'{"params" : {"_meta":{"traceparent":"%s","a": 1.0}, "x":1}}'),
        (b'{"params":{"x":1, "_meta":{ }}}', b'{"params":{"x":1, "_meta":{"traceparent":"%s" }}}'),
        (b'{"params":{"x":1}}', b'{"params":{"_meta":{"traceparent":"%s"},"x":1}}'),
        (b'{"params": { }}', b'{"params": {"_meta":{"traceparent":"%s"} }}'),
        (b'{"params":{"_meta":{"traceparent" : "junk"}}}', b'{"params":{"_meta":{"traceparent" : "%s"}}}'),
        (b'{"params":{"_meta":{"traceparent":{"a":[1]},"b":2}}}', b'{"params":{"_meta":{"traceparent":"%s","b":2}}}'),
    ],
)
def test_the_span_is_put_in_where_it_belongs(written: bytes, sent: bytes) -> None:
    assert traced(parsed(written)).body == sent % OURS.encode()


def test_the_callers_claim_is_replaced_by_our_span_in_its_trace() -> None:
    body = b'{"params":{"_meta":{"traceparent":"%s"}}}' % CLAIM.encode()
    assert json.loads(traced(parsed(body, claim=CLAIM)).body)["params"]["_meta"]["traceparent"] == FOLLOWED


@pytest.mark.parametrize("body", [b'{"id":1}', b'{"params":null}', b'{"params":{"_meta":null}}'])
def test_what_has_no_place_for_it_stays_as_it_is(body: bytes) -> None:
    assert traced(parsed(body)).body == body


@pytest.mark.parametrize("kind", [Kind.NOTIFICATION, Kind.RESPONSE, Kind.STREAM, Kind.END])
def test_only_requests_are_written_into(kind: Kind) -> None:
    request = parsed(b'{"params":{"x":1}}', kind=kind)
    assert traced(request) is request


def test_initialize_is_left_alone() -> None:
    request = parsed(b'{"method":"initialize","params":{}}')
    assert traced(request) is request
    assert traced(replace(request, method="tools/list")).body != request.body


@given(
    arguments=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.floats(allow_nan=False))),
    meta=st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
    ascii_only=st.booleans(),
)
def test_nothing_else_of_a_message_changes(
    *, arguments: dict[str, Any], meta: dict[str, Any] | None, ascii_only: bool
) -> None:
    params = {"arguments": arguments, **({} if meta is None else {"_meta": meta}), "name": "x"}
    body = json.dumps({"id": 1, "params": params}, ensure_ascii=ascii_only, indent=1).encode()
    sent = traced(parsed(body)).body
    assert json.dumps(arguments, ensure_ascii=ascii_only, indent=1).replace("\n", "\n  ").encode() in sent
    told = json.loads(sent)
    assert told["params"]["_meta"].pop("traceparent") == OURS
    expected = {**params, "_meta": {name: value for name, value in (meta or {}).items() if name != "traceparent"}}
    assert told == {"id": 1, "params": expected}
