"""What may be relayed of an answer, by its status, its media type and its body."""

import json

import pytest

from mcpgov.decision import Changes, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Headers, Kind, MCPRequest
from mcpgov.upstream.answers import (
    Answered,
    media_type,
    require_success,
    require_tellable,
    told_body,
    told_headers,
)
from tests.upstream.calls import ALLOWED, bodiless, call

JSON = Headers((("content-type", "Application/JSON; charset=utf-8"),))
HTML = Headers((("content-type", "text/html"),))
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
ERROR = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}'
NOTE = call("notifications/x", request_id=None)


def refusal_of(status: int, *headers: tuple[str, str]) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        require_tellable(status, Headers(headers))
    return refusal.value


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (100, Reason.UPSTREAM_INVALID),
        (199, Reason.UPSTREAM_INVALID),
        (300, Reason.UPSTREAM_REDIRECTED),
        (399, Reason.UPSTREAM_REDIRECTED),
        (401, Reason.UPSTREAM_UNAUTHORIZED),
        (403, Reason.UPSTREAM_UNAUTHORIZED),
        (407, Reason.UPSTREAM_UNAUTHORIZED),
        (429, Reason.UPSTREAM_RATE_LIMITED),
        (600, Reason.UPSTREAM_INVALID),
    ],
)
def test_a_status_that_is_never_relayed_has_its_reason(status: int, reason: Reason) -> None:
    assert refusal_of(status, ("www-authenticate", "Bearer"), ("location", "https://inside/")).reason is reason


@pytest.mark.parametrize("status", [200, 202, 204, 299, 400, 404, 405, 409, 500, 599])
def test_other_statuses_are_told(status: int) -> None:
    require_tellable(status, Headers((("content-encoding", "Identity"),)))


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", ""])
def test_an_encoded_answer_is_refused(encoding: str) -> None:
    assert refusal_of(200, ("content-encoding", encoding)).reason is Reason.UPSTREAM_INVALID


@pytest.mark.parametrize("told", ["7", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_the_wait_is_told_if_it_is_one(told: str) -> None:
    assert refusal_of(429, ("retry-after", told)).headers == (("Retry-After", told),)


@pytest.mark.parametrize("told", ["", "soon", "7\r\nx: y", "9999999", "<b>"])
def test_anything_else_is_no_wait(told: str) -> None:
    assert refusal_of(429, ("retry-after", told)).headers == ()


@pytest.mark.parametrize(
    ("request_", "status", "headers", "body", "told"),
    [
        (call(), 200, JSON, RESULT, RESULT),
        (call(), 200, JSON, ERROR, ERROR),
        (call(), 400, JSON, ERROR, ERROR),
        (call(), 500, JSON, ERROR, ERROR),
        (call(), 404, HTML, b"<h1>inside</h1>", b""),
        (call(), 400, JSON, b'{"detail":"inside"}', b""),
        (call(), 400, Headers(), b"", b""),
        (NOTE, 202, JSON, b"", b""),
        (NOTE, 202, JSON, b'{"accepted":true}', b""),
        (NOTE, 200, JSON, ERROR, ERROR),
        (NOTE, 200, JSON, RESULT, b""),
        (NOTE, 202, JSON, b'{"jsonrpc":"2.0","method":"notifications/x"}', b""),
        (bodiless(Kind.END), 200, JSON, RESULT, b""),
        (call(), 400, JSON, RESULT, RESULT),
        (call(request_id=2), 400, JSON, RESULT, b""),
        (
            call(request_id=2),
            400,
            JSON,
            ERROR.replace(b"null", b'"server-error"'),
            ERROR.replace(b"null", b'"server-error"'),
        ),
        (call(request_id=2), 400, JSON, ERROR.replace(b"{", b'{"result":{"tools":[]},', 1), b""),
        (bodiless(Kind.END), 204, Headers(), b"", b""),
        (bodiless(Kind.STREAM), 405, HTML, b"no", b""),
    ],
)
def test_a_body_is_told_whole_or_not_at_all(
    request_: MCPRequest, status: int, headers: Headers, body: bytes, told: bytes
) -> None:
    event = told_body(request_, status, headers, body)
    assert (event.raw if event else b"") == told
    assert event is None or (event.data == told and event.message == json.loads(told))


@pytest.mark.parametrize(
    ("request_", "status", "headers", "body", "reason"),
    [
        (call(), 500, HTML, b"<h1>inside</h1>", Reason.UPSTREAM_ERROR),
        (call(), 503, JSON, b'{"detail":"inside"}', Reason.UPSTREAM_ERROR),
        (call(request_id=2), 503, JSON, RESULT, Reason.UPSTREAM_ERROR),
        (call(), 200, HTML, RESULT, Reason.UPSTREAM_INVALID),
        (call(), 200, JSON, b"", Reason.UPSTREAM_INVALID),
        (call(), 202, Headers(), b"", Reason.UPSTREAM_INVALID),
        (call(request_id=2), 200, JSON, RESULT, Reason.UPSTREAM_INVALID),
        (call(), 200, JSON, b'{"jsonrpc":"2.0","id":1,"method":"x"}', Reason.UPSTREAM_INVALID),
        (bodiless(Kind.STREAM), 200, JSON, RESULT, Reason.UPSTREAM_INVALID),
        (bodiless(Kind.STREAM), 204, Headers(), b"", Reason.UPSTREAM_INVALID),
        (NOTE, 200, HTML, b"<h1>inside</h1>", Reason.UPSTREAM_INVALID),
    ],
)
def test_what_must_be_an_answer_and_is_none_is_refused(
    request_: MCPRequest, status: int, headers: Headers, body: bytes, reason: Reason
) -> None:
    with pytest.raises(Refusal) as refusal:
        told_body(request_, status, headers, body)
    assert refusal.value.reason is reason
    assert "inside" not in refusal.value.message + refusal.value.detail


def test_headers_go_with_the_body_and_without_one_only_what_the_status_needs() -> None:
    headers = Headers((("allow", "POST"), ("mcp-session-id", "s"), ("content-type", "text/html"), ("server", "x")))
    assert told_headers(headers, body=True) is headers
    assert told_headers(headers, body=False).fields == (("allow", "POST"), ("mcp-session-id", "s"))


def test_a_media_type_has_no_parameters_and_no_case() -> None:
    assert media_type(JSON) == "application/json"
    assert media_type(Headers()) == ""


@pytest.mark.parametrize("status", [100, 302, 401, 429, 600])
def test_a_refusal_knows_the_status_that_it_stands_for(status: int) -> None:
    refusal = refusal_of(status)
    assert isinstance(refusal, Answered)
    assert (refusal.status, refusal.detail) == (status, f"status {status}")


@pytest.mark.parametrize(
    ("status", "request_"),
    [(399, call()), (404, call(session_id="s")), (405, bodiless(Kind.STREAM)), (500, NOTE)],
)
def test_no_error_where_there_is_none_or_where_clients_need_it(status: int, request_: MCPRequest) -> None:
    require_success(request_, status, Changes(fail_on_error=True))


@pytest.mark.parametrize(("status", "request_"), [(400, call()), (404, call()), (500, call(session_id="s"))])
def test_an_http_error_is_a_refusal_where_a_policy_says_so(status: int, request_: MCPRequest) -> None:
    require_success(request_, status, ALLOWED.changes)
    with pytest.raises(Answered) as raised:
        require_success(request_, status, Changes(fail_on_error=True))
    assert (raised.value.reason, raised.value.status) == (Reason.UPSTREAM_ERROR, status)
