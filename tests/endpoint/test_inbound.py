"""The gate: what is read as which MCP request, and what is refused with which reason, code and id."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import era_of, parse_request
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.models import Era, Headers, Json, Kind
from mcpgov.strict_json import dumps
from tests.endpoint.messages import (
    LEVELS,
    LIMITS,
    META,
    STATELESS,
    VERSION_KEY,
    call,
    head,
    lookalikes,
    mirrors,
    post,
    refused,
    request,
    stateless,
    with_key,
)

HANDSHAKE = ["2025-03-26", "2025-06-18", "2025-11-25"]
TRACE, OTHER_TRACE = ("00-" + digit * 32 + "-" + digit * 16 + "-01" for digit in "ab")


@pytest.mark.parametrize("version", HANDSHAKE)
def test_a_call_of_the_handshake_era_is_read_whole(version: str) -> None:
    body = json.dumps(call()).encode()
    fields = {"mcp-protocol-version": version, "mcp-session-id": "sealed", "traceparent": TRACE}
    found = post(body, fields)
    assert (found.era, found.kind, found.protocol_version) == (Era.HANDSHAKE, Kind.REQUEST, version)
    assert (found.id, found.method, found.tool, found.arguments) == (7, "tools/call", "echo", {"a": 1})
    assert (found.session_id, found.traceparent, found.body) == ("sealed", TRACE, body)
    assert found.head.connection == "github"


def test_a_call_of_the_stateless_era_is_read_whole_and_needs_no_session_and_no_client_info() -> None:
    fields = mirrors("tools/call", "echo") | {"mcp-session-id": "ignored"}
    found = post(stateless("tools/call", name="echo", arguments={"a": 1}), fields)
    assert (found.era, found.kind, found.protocol_version) == (Era.STATELESS, Kind.REQUEST, STATELESS)
    assert (found.id, found.method, found.tool, found.arguments) == (7, "tools/call", "echo", {"a": 1})
    assert (found.session_id, found.traceparent) == ("", "")


@pytest.mark.parametrize(
    ("message", "kind", "identifier"),
    [
        ({"id": "a", "method": "ping"}, Kind.REQUEST, "a"),
        ({"method": "notifications/initialized"}, Kind.NOTIFICATION, None),
        ({"id": 3, "result": {}}, Kind.RESPONSE, 3),
        ({"id": "3", "error": {"code": 1, "message": "no"}}, Kind.RESPONSE, "3"),
        ({"id": None, "error": {"code": -32700, "message": "unreadable"}}, Kind.RESPONSE, None),
        ({"error": {"code": -32700, "message": "unreadable"}}, Kind.RESPONSE, None),
    ],
)
def test_requests_notifications_and_responses_are_told_apart(
    message: dict[str, object], kind: Kind, identifier: str | int | None
) -> None:
    found = post({"jsonrpc": "2.0", **message}, {"mcp-protocol-version": "2025-11-25"})
    assert (found.kind, found.id, found.method) == (kind, identifier, message.get("method", ""))


def test_without_a_version_header_a_message_is_of_2025_03_26_and_initialize_of_none() -> None:
    assert post(call()).protocol_version == "2025-03-26"
    assert post(request("initialize")).protocol_version == ""
    assert post(request("initialize"), {"mcp-protocol-version": "2025-11-25"}).protocol_version == "2025-11-25"


def test_unknown_methods_fields_and_headers_are_let_through() -> None:
    message = request("vendor/do", y=2, _meta={"z/q": 3}) | {"x": 1}
    found = post(message, (("x-any", "1"), ("x-any", "2"), ("accept", "a"), ("accept", "b")))
    assert (found.method, found.name, found.params) == ("vendor/do", "", message["params"])


def test_null_counts_as_absent_where_an_object_may_stand() -> None:
    assert post(request("ping") | {"params": None}).params == {}
    assert post(request("ping", _meta=None)).params == {"_meta": None}
    assert post(request("tools/call", name="echo", arguments=None)).arguments == {}


@pytest.mark.parametrize(("http_method", "kind"), [("GET", Kind.STREAM), ("DELETE", Kind.END)])
def test_get_listens_and_delete_ends_the_session(http_method: str, kind: Kind) -> None:
    fields = {"mcp-session-id": "sealed", "mcp-protocol-version": "2025-11-25", "traceparent": TRACE}
    found = parse_request(head(fields, http_method), b"", LIMITS)
    assert (found.kind, found.era, found.protocol_version) == (kind, Era.HANDSHAKE, "2025-11-25")
    assert (found.session_id, found.traceparent, found.body, found.id) == ("sealed", TRACE, b"", None)


@pytest.mark.parametrize(
    ("version", "http_methods", "allowed"),
    [("2025-11-25", "PUT PATCH HEAD get", "GET, POST, DELETE"), (STATELESS, "GET DELETE PUT", "POST")],
)
def test_other_http_methods_are_told_which_are_allowed(version: str, http_methods: str, allowed: str) -> None:
    for http_method in http_methods.split():
        with pytest.raises(Refusal) as caught:
            parse_request(head({"mcp-protocol-version": version}, http_method), b"", LIMITS)
        assert caught.value.reason is Reason.METHOD_NOT_ALLOWED
        assert caught.value.headers == (("Allow", allowed),)


ALL_VERSIONS = [STATELESS, *reversed(HANDSHAKE)]


@pytest.mark.parametrize("version", ["2024-11-05", "2000-01-01", "2099-01-01", "v999", "", "2025-11-25, 2025-11-25"])
def test_a_version_we_do_not_speak_is_answered_with_those_we_do(version: str) -> None:
    found = refused(call(), {"mcp-protocol-version": version})
    assert (found.reason, found.request_id) == (Reason.UNSUPPORTED_PROTOCOL_VERSION, 7)
    assert found.data == {"supported": ALL_VERSIONS, "requested": version}
    with pytest.raises(Refusal) as caught:
        parse_request(head({"mcp-protocol-version": version}, "GET"), b"", LIMITS)
    assert caught.value.data == found.data


def test_a_client_that_states_its_version_in_meta_is_not_invited_to_downgrade() -> None:
    message = request("server/discover", _meta=META | {VERSION_KEY: "2027-01-01"})
    found = refused(message, {"mcp-protocol-version": "2027-01-01", "mcp-method": "server/discover"})
    assert found.reason is Reason.UNSUPPORTED_PROTOCOL_VERSION
    assert found.data == {"supported": [STATELESS], "requested": "2027-01-01"}


@pytest.mark.parametrize(
    ("version", "stated"),
    [(None, STATELESS), (None, ""), ("2025-11-25", STATELESS), (STATELESS, "v9"), (STATELESS, None), ("v9", STATELESS)],
)
def test_header_and_meta_must_state_the_same_version(version: str | None, stated: str | None) -> None:
    fields = mirrors("tools/list") | {"mcp-protocol-version": version or ""}
    if version is None:
        del fields["mcp-protocol-version"]
    found = refused(request("tools/list", _meta=META | {VERSION_KEY: stated}), fields)
    assert (found.reason, found.request_id) == (Reason.HEADER_MISMATCH, 7)


def test_the_era_of_an_answer_follows_the_header() -> None:
    assert era_of(Headers()) is Era.HANDSHAKE
    for version in ("2025-06-18", " 2025-06-18\t"):
        assert era_of(Headers((("mcp-protocol-version", version),))) is Era.HANDSHAKE
    for version in (STATELESS, "2027-01-01", "v9", ""):
        assert era_of(Headers((("mcp-protocol-version", version),))) is Era.STATELESS


@pytest.mark.parametrize("missing", [*META, None])
def test_a_stateless_request_carries_version_and_capabilities(missing: str | None) -> None:
    meta = {key: value for key, value in META.items() if missing not in (key, None)}
    found = refused(request("tools/list", **({"_meta": meta} if missing else {})), mirrors("tools/list"))
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, INVALID_PARAMS, 7)
    assert (missing or VERSION_KEY) in found.message


@pytest.mark.parametrize(
    ("methods", "key"),
    [("tools/call prompts/get", "name"), ("resources/read", "uri"), ("tasks/get tasks/update tasks/cancel", "taskId")],
)
def test_mcp_name_mirrors_what_the_method_names(methods: str, key: str) -> None:
    for method in methods.split():
        message = stateless(method, **{key: "echo"})
        assert post(message, mirrors(method, " echo\t")).name == "echo"
        for name in (None, "", "Echo", "echo2", "=?base64?ZWNobzI=?="):
            found = refused(message, mirrors(method, name))
            assert (found.reason, found.request_id) == (Reason.HEADER_MISMATCH, 7)


@pytest.mark.parametrize("claimed", [None, "", "tools/call", "TOOLS/LIST", "tools/list2"])
def test_mcp_method_mirrors_the_method(claimed: str | None) -> None:
    fields = {"mcp-protocol-version": STATELESS} | ({} if claimed is None else {"mcp-method": claimed})
    assert refused(stateless("tools/list"), fields).reason is Reason.HEADER_MISMATCH


def test_a_name_that_the_body_does_not_give_may_not_stand_in_the_header() -> None:
    assert post(stateless("prompts/get"), mirrors("prompts/get")).name == ""
    assert refused(stateless("prompts/get"), mirrors("prompts/get", "echo")).reason is Reason.HEADER_MISMATCH


def test_a_method_of_an_extension_may_have_a_name_that_we_know_nothing_of() -> None:
    assert post(stateless("vendor/do", thing="x"), mirrors("vendor/do", "x")).name == ""


def sentinel(text: str) -> str:
    """The encoded form of a header value."""
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@given(st.text(st.characters().filter(str.isprintable), min_size=1, max_size=128))
def test_any_name_can_be_mirrored_in_base64(name: str) -> None:
    found = post(stateless("tools/call", name=name), mirrors("tools/call", sentinel(name)))
    assert found.tool == name


def test_base64_is_decoded_once_and_only_in_its_full_form() -> None:
    twice = sentinel(sentinel("echo"))
    assert post(stateless("tools/call", name=sentinel("echo")), mirrors("tools/call", twice)).tool == sentinel("echo")
    for name in ("=?base64?ZWNobw==", "ZWNobw==?=", "=?BASE64?ZWNobw==?="):
        assert post(stateless("tools/call", name=name), mirrors("tools/call", name)).tool == name


@pytest.mark.parametrize("payload", ["ZWNobw", "ZWNobx==", "ZW Nobw==", "ZWNo!!!bw==", "ZWNobw==\u00e9", "/w=="])
def test_base64_that_is_not_canonical_matches_nothing(payload: str) -> None:
    header = f"=?base64?{payload}?="
    for name in ("echo", header):
        found = refused(stateless("tools/call", name=name), mirrors("tools/call", header))
        assert found.reason is Reason.HEADER_MISMATCH


def test_a_stateless_notification_needs_the_version_header_only() -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}
    found = post(message, {"mcp-protocol-version": STATELESS})
    assert (found.kind, found.era) == (Kind.NOTIFICATION, Era.STATELESS)


def test_a_stateless_client_posts_no_responses() -> None:
    found = refused({"jsonrpc": "2.0", "id": 3, "result": {}}, {"mcp-protocol-version": STATELESS})
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, None, None)


@pytest.mark.parametrize("body", [b"[]", b" \t\r\n [1]", b"[" * 3000, b"[[1,[2]]]", b"[no", dumps([call()] * 9999)])
def test_an_array_is_refused_in_every_version(body: bytes) -> None:
    for version in (*HANDSHAKE, STATELESS):
        found = refused(body, {"mcp-protocol-version": version})
        assert (found.reason, found.request_id) == (Reason.BATCH_REFUSED, None)


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"[]"'])
def test_a_scalar_is_no_message(body: bytes) -> None:
    assert refused(body).reason is Reason.INVALID_MESSAGE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"\xef\xbb\xbf[]", Reason.INVALID_ENCODING),
        (json.dumps(call()).encode("utf-16-le"), Reason.INVALID_ENCODING),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","n\\u0061me":1,"name":2}', Reason.DUPLICATE_KEY),
        (b'{"id":1,"params":' + b"[" * 64 + b"]" * 64 + b"}", Reason.TOO_DEEP),
    ],
)
def test_json_that_two_parsers_could_read_differently_is_refused_without_an_id(body: bytes, reason: Reason) -> None:
    found = refused(body)
    assert (found.reason, found.request_id) == (reason, None)


def test_only_json_in_utf_8_is_read() -> None:
    for read in ("", ";", " ; Charset=UTF-8", ';charset="utf-8"'):
        assert post(call(), content_type="Application/json" + read).tool == "echo"
    for wrong in ("x", ", text/plain", ";charset=utf-16", "; profile=x", ";charset"):
        found = refused(call(), content_type="application/json" + wrong)
        assert found.reason is Reason.UNSUPPORTED_MEDIA_TYPE
    for other in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert refused(call(), content_type=other).reason is Reason.UNSUPPORTED_MEDIA_TYPE


def test_an_encoded_body_is_refused() -> None:
    assert post(call(), {"content-encoding": "Identity"}).tool == "echo"
    for encodings in (["gzip"], ["identity", "br"], ["identity, gzip"]):
        found = refused(call(), tuple(("content-encoding", encoding) for encoding in encodings))
        assert found.reason is Reason.UNSUPPORTED_MEDIA_TYPE


RESERVED = [(level, key) for level, keys in LEVELS.items() for key in sorted(keys)]


@given(st.sampled_from(RESERVED), st.data())
def test_a_key_that_only_looks_reserved_is_refused(place: tuple[str, str], data: st.DataObject) -> None:
    level, key = place
    alike = data.draw(lookalikes(key).filter(lambda text: text not in LEVELS[level]))
    found = refused(with_key(level, alike))
    assert (found.reason, found.request_id) == (Reason.AMBIGUOUS_KEY, 7)
    assert alike not in found.message


def test_a_key_of_the_envelope_is_an_ordinary_one_in_params_and_in_arguments() -> None:
    arguments: dict[str, Json] = {"Name": 1, "name\0": 2, "\U0001f600": 3}
    assert post(request("tools/call", name="echo", ID=1, arguments=arguments)).arguments == arguments


def test_a_very_long_key_is_refused_where_keys_are_the_protocols() -> None:
    assert post(with_key("meta", "k" * 256)).tool == "echo"
    assert refused(with_key("meta", "k" * 257)).reason is Reason.AMBIGUOUS_KEY


NO_MESSAGE = """
    {}
    {"id":7,"method":"ping"}
    {"jsonrpc":"1.0","id":7,"method":"ping"}
    {"jsonrpc":2.0,"id":7,"method":"ping"}
    {"jsonrpc":"2.0","id":7}
    {"jsonrpc":"2.0","id":7,"method":"ping","result":{}}
    {"jsonrpc":"2.0","id":7,"method":"ping","error":{}}
    {"jsonrpc":"2.0","id":7,"result":{},"error":{}}
    {"jsonrpc":"2.0","result":{}}
    {"jsonrpc":"2.0","id":1.5,"error":{}}
"""


@pytest.mark.parametrize("body", NO_MESSAGE.split())
def test_a_message_that_is_none_is_refused(body: str) -> None:
    found = refused(body.encode())
    assert found.reason is Reason.INVALID_MESSAGE
    assert found.request_id == (7 if "method" in body else None)


@pytest.mark.parametrize("identifier", [None, True, False, 1.0, 1e3, [], {}, "x" * 1025, 2**63, -(2**63), 10**300])
def test_an_id_that_some_peer_would_change_is_refused(identifier: object) -> None:
    found = refused(call() | {"id": identifier})
    assert (found.reason, found.request_id) == (Reason.INVALID_MESSAGE, None)


@pytest.mark.parametrize("identifier", [0, -1, 2**63 - 1, "x" * 1024, "\u00e9\0", "1"])
def test_every_other_id_is_kept_and_told(identifier: str | int) -> None:
    assert post(call() | {"id": identifier}).id == identifier
    assert refused(call("") | {"id": identifier}).request_id == identifier


@pytest.mark.parametrize(
    "method", ["", " ping", "p ing", "ping\n", "pi\0ng", "p\u0456ng", "m" * 257, None, 1, ["ping"]]
)
def test_a_method_is_visible_ascii(method: object) -> None:
    assert refused(call() | {"method": method}).reason is Reason.INVALID_MESSAGE


@pytest.mark.parametrize("method", ["Tools/Call", "TOOLS/CALL", "tools/List", "Resources/read", "tasks/GET"])
def test_a_governed_method_has_one_spelling(method: str) -> None:
    found = refused(call() | {"method": method})
    assert (found.reason, found.request_id) == (Reason.INVALID_MESSAGE, 7)


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/vendor", "Notifications/Cancelled"])
def test_a_notification_is_never_a_request(method: str) -> None:
    assert refused(request(method, requestId=3), {}).reason is Reason.INVALID_MESSAGE
    assert refused(stateless(method, requestId=3), mirrors(method)).reason is Reason.INVALID_MESSAGE


@pytest.mark.parametrize("method", ["tools/call", "tasks/cancel", "tasks/list", "resources/read"])
def test_a_call_without_an_id_is_never_a_notification(method: str) -> None:
    found = refused({"jsonrpc": "2.0", "method": method, "params": {"name": "echo"}})
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, None, None)


@pytest.mark.parametrize("value", [[], "echo", 1, True])
@pytest.mark.parametrize("place", ["params", "arguments", "_meta"])
def test_what_must_be_an_object_is_one(place: str, value: object) -> None:
    message = request("tools/call", **{"name": "echo", place: value})
    found = refused(message if place != "params" else call(params=value))
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, INVALID_PARAMS, 7)


@pytest.mark.parametrize("name", [None, "", 1, ["echo"]])
def test_a_call_names_its_tool(name: object) -> None:
    for message in (call(name), call(params={}), call(params=None)):
        found = refused(message)
        assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, INVALID_PARAMS, 7)


@pytest.mark.parametrize("named_by", ["prompts/get name", "resources/read uri", "tasks/get taskId"])
def test_what_else_is_named_is_named_by_a_string(named_by: str) -> None:
    method, key = named_by.split()
    found = refused(request(method, **{key: {"a": 1}}))
    assert (found.reason, found.code, found.request_id) == (Reason.INVALID_MESSAGE, INVALID_PARAMS, 7)


@pytest.mark.parametrize("name", ["host", "content-type", "content-length", "authorization", "mcp-session-id"])
@pytest.mark.parametrize("http_method", ["POST", "GET"])
def test_a_header_that_stands_twice_is_refused(name: str, http_method: str) -> None:
    fields = (("content-type", "application/json"), ("x-any", "1"), ("x-any", "1"), (name, "a"), (name, "a"))
    with pytest.raises(Refusal) as caught:
        parse_request(head(fields, http_method), dumps(call()), LIMITS)
    assert caught.value.reason is Reason.HEADER_INVALID
    assert caught.value.request_id == (7 if http_method == "POST" else None)


@pytest.mark.parametrize("name", ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-region"])
def test_a_mirrored_header_that_stands_twice_is_a_mismatch(name: str) -> None:
    fields = mirrors("tools/call", "echo") | {"mcp-param-region": "eu"}
    twice = (*fields.items(), (name, fields[name]))
    found = refused(stateless("tools/call", name="echo"), twice)
    assert (found.reason, found.request_id) == (Reason.HEADER_MISMATCH, 7)


@pytest.mark.parametrize("in_body", [None, 3, "", "00-junk"])
def test_trace_context_is_taken_from_the_message_before_the_header(in_body: Json) -> None:
    message = request("tools/call", name="echo", _meta={"traceparent": TRACE})
    assert post(message, {"traceparent": OTHER_TRACE}).traceparent == TRACE
    message = request("tools/call", name="echo", _meta={"traceparent": in_body})
    assert post(message, {"traceparent": OTHER_TRACE}).traceparent == OTHER_TRACE


def test_trace_context_that_is_not_well_formed_is_none() -> None:
    no_trace, no_span = "00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01"
    for claim in ("", TRACE.upper(), TRACE.replace("00-", "ff-", 1), no_trace, no_span, TRACE + "-x"):
        assert post(call(), {"traceparent": claim}).traceparent == ""
