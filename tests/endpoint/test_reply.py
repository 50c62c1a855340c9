"""How no is said in each era, and which headers of an answer cross."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from mcp_types import ElicitationRequiredErrorData, InputRequiredResult

from mcpgov.decision import Decision, HeaderEdit, Reason, Reply
from mcpgov.endpoint.reply import ASKING, RefusalReply, refusal_event, refusal_reply, reply_headers
from mcpgov.errors import ANSWERS, HIDING, Refusal
from mcpgov.models import Answer, Era, Event, Headers, Kind, MCPRequest
from tests.endpoint.messages import META, STATELESS, call, head, mirrors, post, request, stateless

CALL = post(call())
STATELESS_CALL = post(stateless("tools/call", name="echo"), mirrors("tools/call", "echo"))
CODES = {Era.HANDSHAKE: "code", Era.STATELESS: "stateless_code"}


def body(reply: RefusalReply) -> dict[str, Any]:
    """The JSON-RPC message of a reply."""
    return json.loads(reply.body)


def answered(refusal: Refusal, to: MCPRequest | None = CALL) -> RefusalReply:
    """The reply to a request, or to what came without one."""
    return refusal_reply(refusal, to, head() if to is None else to.head)


@pytest.mark.parametrize("to", [CALL, STATELESS_CALL], ids=["handshake", "stateless"])
@pytest.mark.parametrize("reason", sorted(set(ANSWERS) - ASKING - HIDING - {Reason.CONNECTION_DENIED}))
def test_every_reason_is_answered_with_its_status_code_and_name(reason: Reason, to: MCPRequest) -> None:
    reply = answered(Refusal(reason, "No."), to)
    code = getattr(ANSWERS[reason], CODES[to.era])
    data = {"reason": reason.value, "correlationId": "correlation"}
    assert reply.status == ANSWERS[reason].status
    assert body(reply) == {"jsonrpc": "2.0", "id": 7, "error": {"code": code, "message": "No.", "data": data}}
    headers = dict(reply.headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-correlation-id"] == b"correlation"
    assert (headers.get(b"www-authenticate") == b"Bearer") is (reply.status == 401)


@pytest.mark.parametrize("to", [CALL, STATELESS_CALL, None], ids=["handshake", "stateless", "unread"])
def test_a_connection_that_is_denied_is_answered_as_one_that_there_is_not(to: MCPRequest | None) -> None:
    denied = Refusal(Reason.CONNECTION_DENIED, "There is no such connection.", detail="the scope of the key")
    assert answered(denied, to) == answered(Refusal(Reason.UNKNOWN_CONNECTION, "There is no such connection."), to)


def test_on_the_stateless_era_every_400_is_an_error_that_a_client_knows() -> None:
    known = {-32700, -32600, -32602, -32020, -32021, -32022}
    assert {shape.stateless_code for shape in ANSWERS.values() if shape.status == 400} <= known


def test_codes_of_our_own_lie_outside_the_reserved_range() -> None:
    specified = {-32700, -32600, -32602, -32020, -32022, -32042}
    for shape in ANSWERS.values():
        for code in {shape.code, shape.stateless_code} - specified:
            assert not -32768 <= code <= -32000


def test_a_closer_code_and_more_data_are_told_but_never_the_detail() -> None:
    refusal = Refusal(Reason.INVALID_MESSAGE, "No.", detail="s3cret")
    refusal.data = {"supported": ["x"], "reason": "mine"}
    refusal.code = -32602
    error = body(answered(refusal))["error"]
    assert error["code"] == -32602
    assert error["data"] == {"supported": ["x"], "reason": "invalid-message", "correlationId": "correlation"}
    assert b"s3cret" not in answered(refusal).body


def test_before_a_request_is_read_the_header_gives_the_era_and_the_refusal_the_id() -> None:
    refusal = Refusal(Reason.HEADER_INVALID, "No.")
    refusal.request_id = "abc"
    handshake = refusal_reply(refusal, None, head())
    stateless_one = refusal_reply(refusal, None, head({"mcp-protocol-version": STATELESS}))
    assert (body(handshake)["id"], body(handshake)["error"]["code"]) == ("abc", -32600)
    assert (body(stateless_one)["id"], body(stateless_one)["error"]["code"]) == ("abc", -32020)
    assert body(answered(Refusal(Reason.INVALID_JSON, "No."), None))["id"] is None


@pytest.mark.parametrize("kind", [Kind.NOTIFICATION, Kind.RESPONSE, Kind.STREAM, Kind.END])
def test_what_is_no_request_is_answered_without_an_id(kind: Kind) -> None:
    reply = answered(Refusal(Reason.RATE_LIMITED, "No.", as_tool_result=True), replace(CALL, kind=kind))
    assert (reply.status, body(reply)["id"]) == (429, None)


def test_headers_of_the_refusal_are_sent_in_lower_case() -> None:
    reply = answered(Refusal(Reason.RATE_LIMITED, "No.", headers=(("Retry-After", "7"), ("X-RateLimit-Limit", "60"))))
    assert (b"retry-after", b"7") in reply.headers
    assert (b"x-ratelimit-limit", b"60") in reply.headers
    challenge = 'Bearer resource_metadata="x"'
    reply = answered(Refusal(Reason.CREDENTIAL_MISSING, "No.", headers=(("WWW-Authenticate", challenge),)))
    assert [value for name, value in reply.headers if name == b"www-authenticate"] == [challenge.encode()]


@pytest.mark.parametrize(("to", "marked"), [(CALL, False), (STATELESS_CALL, True)], ids=["handshake", "stateless"])
def test_a_denial_that_the_model_is_to_read_is_a_result(to: MCPRequest, *, marked: bool) -> None:
    reply = answered(Refusal(Reason.TOOL_DENIED, "Not in production.", as_tool_result=True), to)
    decision = {"io.github.mcpgov/decision": {"reason": "tool-denied", "correlationId": "correlation"}}
    told = {"content": [{"type": "text", "text": "Not in production."}], "isError": True, "_meta": decision}
    result = told | ({"resultType": "complete"} if marked else {})
    assert (reply.status, body(reply)) == (200, {"jsonrpc": "2.0", "id": 7, "result": result})


def test_only_a_call_is_answered_with_a_result() -> None:
    refusal = Refusal(Reason.TOOL_DENIED, "No.", as_tool_result=True)
    for to in (post(request("tools/list")), None):
        assert (answered(refusal, to).status, "error" in body(answered(refusal, to))) == (403, True)


@pytest.mark.parametrize("to", [CALL, STATELESS_CALL], ids=["handshake", "stateless"])
@pytest.mark.parametrize("reason", sorted(HIDING))
def test_a_hidden_tool_is_answered_like_one_that_does_not_exist(reason: Reason, to: MCPRequest) -> None:
    refusal = Refusal(reason, "Hidden by rule 3.", as_tool_result=True)
    refusal.data = {"rule": 3}
    reply = answered(refusal, to)
    unknown = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": "Unknown tool: echo"}}
    assert (reply.status, body(reply)) == (200, unknown)
    from_upstream = reply_headers(answer({"content-type": "application/json"}), ALLOWED, "correlation")
    assert sorted(reply.headers) == sorted(from_upstream)


def test_hidden_before_the_request_is_read_names_no_tool() -> None:
    assert body(answered(Refusal(Reason.TOOL_HIDDEN, "No."), None))["error"]["message"] == "Unknown tool: "


def test_a_stream_that_has_begun_ends_with_the_same_message() -> None:
    refusal = Refusal(Reason.UPSTREAM_RESET, "The server\u2028closed.\nthe connection")
    event = refusal_event(refusal, CALL, CALL.head)
    name, data, *rest = event.decode("ascii").split("\n")
    assert (name, rest) == ("event: message", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == body(answered(refusal))


ALLOWED = Decision(Reason.ALLOWED)


def answer(headers: dict[str, str], reply: Reply | None = None) -> Answer:
    """An answer with these headers, and nothing in it."""

    async def events() -> AsyncIterator[tuple[Event, ...]]:
        for nothing in ():
            yield nothing

    return Answer(200, Headers(tuple(headers.items())), streaming=False, events=events(), reply=reply)


def crossed(headers: dict[str, str], decision: Decision = ALLOWED, *edits: HeaderEdit) -> dict[str, str]:
    """The headers of the reply to an answer with these; none of them twice."""
    crossing = reply_headers(answer(headers, Reply(edits=edits) if edits else None), decision, "ours")
    assert len(dict(crossing)) == len(crossing)
    return {name.decode(): value.decode() for name, value in crossing}


def test_few_headers_of_an_answer_cross() -> None:
    kept = {"content-type": "application/json", "cache-control": "no-store", "allow": "POST", "retry-after": "3"}
    dropped = ["set-cookie", "www-authenticate", "server", "date", "connection", "transfer-encoding", "content-length"]
    dropped += ["keep-alive", "mcp-session-id", "content-encoding", "location", "x-powered-by", "x-correlation-id"]
    assert crossed(kept | dict.fromkeys(dropped, "theirs")) == kept | {"x-correlation-id": "ours"}


def test_an_event_stream_is_neither_buffered_nor_stored() -> None:
    stream = {"content-type": "Text/event-stream; charset=utf-8"}
    ours = {"x-accel-buffering": "no", "cache-control": "no-store, no-transform", "x-correlation-id": "ours"}
    assert crossed(stream) == {"content-type": "text/event-stream"} | ours


def test_a_field_that_no_header_can_hold_stays_here_and_a_charset_too() -> None:
    broken = {"content-type": "application/json; charset=utf-16", "cache-control": "\x01", "retry-after": "1\x00"}
    assert crossed(broken) == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-correlation-id": "ours",
    }


def test_an_answer_is_for_one_caller_and_not_stored() -> None:
    assert crossed({}) == {"cache-control": "no-store", "x-correlation-id": "ours"}
    for theirs in ("public, max-age=31536000", "s-maxage=60", "no-cache"):
        assert crossed({"cache-control": theirs})["cache-control"] == "no-store"


def test_a_decision_adds_headers_but_not_another_correlation_id() -> None:
    decision = replace(ALLOWED, reply_headers=(("X-RateLimit-Remaining", "3"), ("X-Correlation-Id", "forged")))
    found = crossed({}, decision)
    assert (found["x-ratelimit-remaining"], found["x-correlation-id"]) == ("3", "ours")


def edit(name: str, value: str, action: str = "override") -> HeaderEdit:
    return HeaderEdit(name, action, (value,) if action != "delete" else ())


FRAMING = ["content-length", "transfer-encoding", "connection", "content-encoding", "mcp-session-id", "keep-alive"]


def test_outbound_edits_the_headers_of_an_answer_after_all_others() -> None:
    decision = replace(ALLOWED, reply_headers=(("X-RateLimit-Limit", "3"), ("X-Kept", "a")))
    edits = (edit("x-ratelimit-limit", "", "delete"), edit("x-kept", "b", "append"), edit("cache-control", "private"))
    assert crossed({}, decision, *edits) == {
        "cache-control": "private",
        "x-kept": "a, b",
        "x-correlation-id": "ours",
    }


@pytest.mark.parametrize("name", [*FRAMING, "content-type", "x-correlation-id"])
@pytest.mark.parametrize("action", ["override", "append", "delete", "skip"])
def test_no_policy_touches_how_a_message_is_carried(name: str, action: str) -> None:
    plain = {"content-type": "application/json"}
    assert crossed(plain, ALLOWED, edit(name, "forged", action)) == crossed(plain)
    refusal = Refusal(Reason.RATE_LIMITED, "no", reply=Reply(edits=(edit(name, "forged", action),)))
    assert answered(refusal).headers == answered(Refusal(Reason.RATE_LIMITED, "no")).headers


def test_on_error_edits_the_headers_of_a_refusal() -> None:
    reply = Reply(edits=(edit("www-authenticate", 'Bearer resource_metadata="x"'), edit("cache-control", "", "delete")))
    headers = dict(answered(Refusal(Reason.CREDENTIAL_INVALID, "no", reply=reply)).headers)
    assert headers[b"www-authenticate"] == b'Bearer resource_metadata="x"'
    assert b"cache-control" not in headers


@pytest.mark.parametrize(
    ("status", "to", "code"),
    [
        (429, CALL, -31429),
        (503, CALL, -31503),
        (400, CALL, -32600),
        (400, STATELESS_CALL, -32600),
        (403, CALL, -31403),
        (200, CALL, -31403),
    ],
)
def test_a_status_of_a_policy_has_its_own_code(status: int, to: MCPRequest, code: int) -> None:
    reply = answered(Refusal(Reason.QUOTA_EXCEEDED, "no", reply=Reply(status)), to)
    assert (reply.status, body(reply)["error"]["code"]) == (status, code)
    assert body(reply)["error"]["data"]["reason"] == "quota-exceeded"


def test_a_closer_code_stays_whatever_the_status() -> None:
    refusal = Refusal(Reason.INVALID_MESSAGE, "no", reply=Reply(422))
    refusal.code = -32602
    assert body(answered(refusal))["error"]["code"] == -32602


def test_a_401_of_a_policy_says_how_to_sign_in() -> None:
    reply = answered(Refusal(Reason.POLICY_RESPONSE, "no", reply=Reply(401)))
    assert (b"www-authenticate", b"Bearer") in reply.headers


@pytest.mark.parametrize(
    ("text", "media"),
    [
        (b"{}", b"application/json"),
        (b' [1, "a"] ', b"application/json"),
        (b"Gone.", b"text/plain; charset=utf-8"),
        (b"5", b"text/plain; charset=utf-8"),
        (b"\xff", b"text/plain; charset=utf-8"),
        (b"[" * 10_000, b"text/plain; charset=utf-8"),
    ],
)
def test_a_body_of_a_policy_goes_out_as_it_is_and_is_named_for_what_it_is(text: bytes, media: bytes) -> None:
    reply = answered(Refusal(Reason.POLICY_RESPONSE, "no", reply=Reply(200, (), text)))
    assert (reply.body, dict(reply.headers)[b"content-type"]) == (text, media)


def test_the_policy_may_say_what_its_body_is() -> None:
    html = Reply(200, (edit("content-type", "text/html"),), b"<p>")
    assert dict(answered(Refusal(Reason.POLICY_RESPONSE, "no", reply=html)).headers)[b"content-type"] == b"text/html"
    without = Reply(200, (edit("content-type", "", "delete"),), b"<p>")
    assert b"content-type" in dict(answered(Refusal(Reason.POLICY_RESPONSE, "no", reply=without)).headers)


@pytest.mark.parametrize("reply", [Reply(200, (), b""), Reply(204, (), b"x"), Reply(304), Reply(205)])
def test_an_empty_body_has_no_type_and_some_statuses_have_no_body(reply: Reply) -> None:
    shown = answered(Refusal(Reason.POLICY_RESPONSE, "no", reply=reply))
    assert shown.body == b""
    assert b"content-type" not in dict(shown.headers)
    assert (b"x-correlation-id", b"correlation") in shown.headers


# -- where a person has to act first -----------------------------------------------------------------------------------

LINK = "https://mcp.contoso.com/consent/ticket"
ELICITS: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
OURS = "io.github.mcpgov/consent"


def asking(reason: Reason = Reason.CONSENT_REQUIRED, link: str = LINK) -> Refusal:
    """A refusal with a link."""
    refusal = Refusal(reason, "Open it.")
    refusal.link = link
    return refusal


def asked(method: str, capabilities: object, **params: object) -> MCPRequest:
    """A request of the STATELESS era by a client with these capabilities."""
    message = stateless(method, **params)
    meta = {**META, "io.modelcontextprotocol/clientCapabilities": capabilities}
    message["params"] = {**params, "_meta": meta}
    return post(message, mirrors(method, str(params.get("name") or params.get("uri") or "") or None))


def handshake(message: object, version: str = "2025-11-25") -> MCPRequest:
    """A request of a version of the HANDSHAKE era."""
    return post(message, {"mcp-protocol-version": version})


@pytest.mark.parametrize("reason", sorted(ASKING))
@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", {"name": "echo"}), ("prompts/get", {"name": "p"}), ("resources/read", {"uri": "file:///x"})],
)
def test_a_stateless_client_that_can_open_links_is_asked_for_input(
    reason: Reason, method: str, params: dict[str, str]
) -> None:
    reply = answered(asking(reason), asked(method, ELICITS, **params))
    elicitation = {"method": "elicitation/create", "params": {"mode": "url", "url": LINK, "message": "Open it."}}
    result = {"resultType": "input_required", "inputRequests": {OURS: elicitation}}
    assert (reply.status, body(reply)) == (200, {"jsonrpc": "2.0", "id": 7, "result": result})
    assert InputRequiredResult.model_validate(result).input_requests


@pytest.mark.parametrize(
    "capabilities", [{}, {"elicitation": {}}, {"elicitation": {"form": {}}}, {"elicitation": {"url": None}}, []]
)
def test_a_stateless_client_that_cannot_is_told_in_words(capabilities: object) -> None:
    reply = answered(asking(), asked("tools/call", capabilities, name="echo"))
    result = body(reply)["result"]
    assert (reply.status, result["isError"], result["resultType"]) == (200, True, "complete")
    assert result["content"] == [{"type": "text", "text": f"Open it. {LINK}"}]


def test_what_requires_no_input_is_told_in_words_as_an_error() -> None:
    reply = answered(asking(), asked("tools/list", ELICITS))
    error = body(reply)["error"]
    assert (reply.status, error["code"], error["message"]) == (200, -31403, f"Open it. {LINK}")
    assert error["data"] == {"reason": "consent-required", "correlationId": "correlation"}


@pytest.mark.parametrize("message", [call(), request("tools/list"), request("prompts/get", name="p")])
def test_a_handshake_client_of_the_version_with_the_error_gets_the_error(message: object) -> None:
    reply = answered(asking(), handshake(message))
    error = body(reply)["error"]
    assert (reply.status, error["code"], error["message"]) == (200, -32042, f"Open it. {LINK}")
    told = ElicitationRequiredErrorData.model_validate(error["data"]).elicitations[0]
    assert (told.mode, told.url, told.message) == ("url", LINK, "Open it.")
    other = body(answered(asking(link=LINK + "2"), handshake(message)))["error"]["data"]["elicitations"][0]
    assert told.elicitation_id not in {None, other["elicitationId"]}


@pytest.mark.parametrize("version", ["2025-06-18", "2025-03-26"])
def test_older_clients_are_told_in_words(version: str) -> None:
    result = body(answered(asking(), handshake(call(), version)))["result"]
    assert (result["isError"], result["content"][0]["text"]) == (True, f"Open it. {LINK}")
    error = body(answered(asking(), handshake(request("tools/list"), version)))["error"]
    assert (error["code"], "elicitations" in error["data"]) == (-31403, False)


@pytest.mark.parametrize(("version", "code"), [("2025-11-25", -32042), ("2025-06-18", -31403)])
def test_an_initialize_says_itself_which_version_it_speaks(version: str, code: int) -> None:
    message = request("initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "c", "version": "1"})
    assert body(answered(asking(), post(message)))["error"]["code"] == code


@pytest.mark.parametrize("to", [handshake(call()), asked("tools/call", ELICITS, name="echo")])
def test_without_a_link_the_words_are_all_there_is(to: MCPRequest) -> None:
    result = body(answered(asking(link=""), to))["result"]
    assert (result["isError"], result["content"][0]["text"]) == (True, "Open it.")


def test_before_the_request_is_read_nobody_is_asked() -> None:
    assert body(answered(asking(), None))["error"]["code"] == -31403


@pytest.mark.parametrize("theirs", [{}, {"theirs": {"action": "accept"}}])
def test_what_the_client_answers_to_our_question_does_not_reach_the_upstream(theirs: dict[str, object]) -> None:
    rest: dict[str, object] = {"name": "echo", "requestState": "theirs", "arguments": {"n": 10**30}, "_meta": META}
    message = {**call(), "params": {**rest, "inputResponses": {OURS: {"action": "accept"}, **theirs}}}
    request = post(message, mirrors("tools/call", "echo"))
    expected = {**rest, **({"inputResponses": theirs} if theirs else {})}
    assert json.loads(request.body) == {**call(), "params": expected}
    assert request.params == expected


@pytest.mark.parametrize("responses", [{"theirs": {}}, {}, [OURS], OURS, None])
def test_a_message_without_such_an_answer_is_sent_on_byte_for_byte(responses: object) -> None:
    raw = json.dumps(stateless("tools/call", name="echo", inputResponses=responses), indent=1).encode()
    assert post(raw, mirrors("tools/call", "echo")).body == raw
    in_handshake = json.dumps(request("tools/list", inputResponses={OURS: {}}), indent=1).encode()
    assert post(in_handshake).body == in_handshake
