"""Which header fields go upstream, and where they may go: the allow-list, the policy's edits, the credential."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov import __version__
from mcpgov.decision import Changes, Decision, HeaderEdit, QueryEdit, Reason
from mcpgov.destinations import origin
from mcpgov.errors import Refusal
from mcpgov.models import Credential, Era, Kind, MCPRequest, RemoteUpstream, Secret
from mcpgov.upstream.headers import destination, encoded, outgoing
from tests.upstream.calls import ALLOWED, KEYED, NOBODY, bodiless, call

URL = "https://mcp.example.com:8443/mcp?key=1"
FORBIDDEN = (
    *("authorization", "x-api-key", "api-key", "cookie", "referer", "origin", "x-forwarded-for", "forwarded"),
    *("x-real-ip", "via", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
    *("proxy-authorization", "content-encoding", "content-length", "x-custom", "mcp-session-id", "mcp-method"),
    *("mcp-name", "x-correlation-id", "accept-encoding", "host", "user-agent"),
)


def fields(
    request: MCPRequest, *edits: HeaderEdit, credential: Credential = NOBODY, url: str = URL
) -> list[tuple[str, str]]:
    return list(outgoing(request, Decision(Reason.ALLOWED, changes=Changes(headers=edits)), credential, url))


def key(*headers: tuple[str, str]) -> Credential:
    return Credential("CustomKeys", "test", tuple((name, Secret(value)) for name, value in headers))


def test_a_handshake_call_has_exactly_these_fields() -> None:
    request = call(session_id="upstream-session", headers=(("mcp-protocol-version", "2025-11-25"),))
    assert fields(request) == [
        ("host", "mcp.example.com:8443"),
        ("user-agent", f"mcpgov/{__version__}"),
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "identity"),
        ("x-correlation-id", "c0ffee"),
        ("traceparent", "00-c0ffee-c0ffee-01"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-session-id", "upstream-session"),
    ]


def test_a_stateless_call_mirrors_the_body_and_not_the_callers_headers() -> None:
    lies = (("mcp-method", "tools/list"), ("mcp-name", "other"), ("mcp-session-id", "s"), ("last-event-id", "1"))
    sent = dict(fields(call(era=Era.STATELESS, session_id="s", headers=lies)))
    assert (sent["mcp-protocol-version"], sent["mcp-method"], sent["mcp-name"]) == ("2026-07-28", "tools/call", "echo")
    assert not {"mcp-session-id", "last-event-id"} & set(sent)
    assert "mcp-name" not in dict(fields(call("tools/list", era=Era.STATELESS)))


def test_no_version_is_said_where_the_caller_said_none() -> None:
    assert "mcp-protocol-version" not in dict(fields(call("initialize")))


def test_a_get_asks_for_events_from_where_it_left_off() -> None:
    sent = dict(fields(bodiless(Kind.STREAM, headers=(("last-event-id", "e-7"),))))
    assert (sent["accept"], sent["last-event-id"], sent["mcp-session-id"]) == ("text/event-stream", "e-7", "s-1")
    assert "content-type" not in sent
    assert dict(fields(bodiless(Kind.END)))["accept"] == "*/*"


def test_what_the_caller_accepts_is_what_the_upstream_is_asked_for() -> None:
    assert dict(fields(call(headers=(("accept", "application/json"),))))["accept"] == "application/json"


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_callers_field_never_crosses(name: str) -> None:
    assert "caller-value" not in str(fields(call(headers=((name, "caller-value"),))))


def test_trace_context_and_language_cross() -> None:
    theirs = (("baggage", "a=1"), ("tracestate", "v=1"), ("accept-language", "de"), ("traceparent", "not-validated"))
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = dict(fields(replace(call(headers=theirs), traceparent=f"00-{trace}-b7ad6b7169203331-00")))
    assert (sent["tracestate"], sent["baggage"], sent["accept-language"]) == ("v=1", "a=1", "de")
    assert sent["traceparent"] == f"00-{trace}-c0ffee-00"  # our span in between
    assert dict(fields(call(headers=theirs)))["traceparent"] == "00-c0ffee-c0ffee-01"


def test_parameter_headers_cross_in_the_era_that_verifies_them() -> None:
    theirs = (("mcp-param-region", "eu"), ("mcp-param-empty", ""))
    assert dict(fields(call(era=Era.STATELESS, headers=theirs)))["mcp-param-region"] == "eu"
    assert "mcp-param-empty" not in dict(fields(call(era=Era.STATELESS, headers=theirs)))
    assert "mcp-param-region" not in dict(fields(call(headers=theirs)))


def test_what_the_connection_field_names_stays_behind_but_nothing_of_ours_does() -> None:
    hostile = ("connection", "close, Baggage, authorization, mcp-method,x-agent-identity")
    request = call(era=Era.STATELESS, headers=(hostile, ("baggage", "a=1")))
    sent = dict(fields(request, credential=key(("X-Agent-Identity", "agent"), ("Authorization", "Bearer k"))))
    assert "baggage" not in sent
    assert (sent["x-agent-identity"], sent["authorization"], sent["mcp-method"]) == ("agent", "Bearer k", "tools/call")


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\x00", "naïve", " a", "a ", "\u2028"])
def test_a_callers_value_that_no_field_can_hold_is_refused(value: str) -> None:
    with pytest.raises(Refusal, match="header-invalid"):
        fields(call(headers=(("baggage", value),)))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (HeaderEdit("Accept-Language", "override", ("fr",)), "fr"),
        (HeaderEdit("Accept_Language", "override", ("fr",)), None),
        (HeaderEdit("accept-language", "skip", ("fr",)), "de"),
        (HeaderEdit("accept-language", "append", ("fr", "es")), "de, fr, es"),
        (HeaderEdit("ACCEPT-LANGUAGE", "delete"), None),
        (HeaderEdit("x-other", "delete"), "de"),
    ],
)
def test_a_policy_edits_a_field_that_is_there(edit: HeaderEdit, expected: str | None) -> None:
    assert dict(fields(call(headers=(("accept-language", "de"),)), edit)).get("accept-language") == expected


def test_a_policy_may_set_an_empty_field() -> None:
    assert dict(fields(call(), HeaderEdit("X-Team", "override", ("",))))["x-team"] == ""


@pytest.mark.parametrize("action", ["override", "skip", "append"])
def test_a_policy_sets_a_field_that_is_not_there(action: str) -> None:
    assert dict(fields(call(), HeaderEdit("X-Team", action, ("a",))))["x-team"] == "a"


@pytest.mark.parametrize(
    "edit",
    [
        HeaderEdit("X-Team", "override", ("a\r\nb",)),
        HeaderEdit("Accept", "override", ("text/html",)),
        HeaderEdit("X Team", "override", ("a",)),
        HeaderEdit("Host", "override", ("evil",)),
        HeaderEdit("MCP_Method", "override", ("tools/list",)),
        HeaderEdit("Content_Length", "delete"),
    ],
)
def test_an_edit_that_would_forge_the_message_is_refused(edit: HeaderEdit) -> None:
    with pytest.raises(Refusal, match="policy-error"):
        fields(call(), edit)


def test_a_policy_may_give_the_upstream_another_correlation_id() -> None:
    assert dict(fields(call(), HeaderEdit("X-Correlation-Id", "override", ("theirs",))))["x-correlation-id"] == "theirs"


def test_the_mirror_of_what_only_an_extension_names_crosses_as_it_came() -> None:
    named = call("acme/run", era=Era.STATELESS, headers=(("mcp-name", "job-1"),))
    assert dict(fields(named))["mcp-name"] == "job-1"


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_credential_wins_over_every_edit(name: str) -> None:
    sent = fields(call(), HeaderEdit(name, "override", ("Bearer policy",)), credential=KEYED)
    assert [value for field, value in sent if field == "authorization"] == ["Bearer upstream-key"]


def test_the_credential_wins_over_a_name_that_a_server_would_read_as_its_own() -> None:
    sent = fields(call(), HeaderEdit("X_API_Key", "override", ("policy",)), credential=key(("X-API-Key", "upstream")))
    assert [value for _, value in sent if value in {"policy", "upstream"}] == ["upstream"]


@pytest.mark.parametrize(
    "bad", [("X-Key", "a\r\nb"), ("X-Key", "a\x00"), ("X-Key", ""), ("X Key", "a"), ("Host", "a"), ("Mcp-Name", "a")]
)
def test_a_credential_that_no_field_can_hold_is_unavailable_and_is_not_told(bad: tuple[str, str]) -> None:
    with pytest.raises(Refusal) as refusal:
        fields(call(), credential=key(bad))
    assert refusal.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert repr(bad[1]) not in refusal.value.message + refusal.value.detail


def test_userinfo_is_no_part_of_the_host() -> None:
    assert fields(call(), url="https://user:pass@mcp.example.com/")[0] == ("host", "mcp.example.com")


@given(st.text(min_size=1))
def test_a_mirrored_name_is_always_a_field_and_never_ambiguous(name: str) -> None:
    try:
        text = encoded(name)
    except UnicodeEncodeError:
        return  # a lone surrogate was refused when the body was parsed
    assert all(" " <= character <= "~" for character in text)
    assert text == text.strip()
    assert text == name or text.startswith("=?base64?")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("get_weather", "get_weather"),
        ("two words", "two words"),
        ("日本", "=?base64?5pel5pys?="),
        (" padded", "=?base64?IHBhZGRlZA==?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
    ],
)
def test_a_mirrored_name_is_encoded_as_the_specification_says(name: str, text: str) -> None:
    assert encoded(name) == text


UPSTREAM = RemoteUpstream(URL, backends=("https://eu.example.com", "https://us.example.com:444/base/"))


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        (None, URL),
        ("https://eu.example.com", "https://eu.example.com/mcp?key=1"),
        ("https://eu.example.com:443/x/", "https://eu.example.com:443/x/mcp?key=1"),
        ("https://us.example.com:444/base", "https://us.example.com:444/base/mcp?key=1"),
        ("https://mcp.example.com:8443", URL),
    ],
)
def test_a_backend_gets_the_path_and_query_of_the_upstream(backend: str | None, url: str) -> None:
    assert destination(UPSTREAM, Changes(backend=backend)) == url


@pytest.mark.parametrize(
    "backend",
    ["https://evil.example.com", "http://eu.example.com", "https://eu.example.com:444", "https://eu.example.com.evil"],
)
def test_a_backend_that_is_not_named_never_gets_the_credential(backend: str) -> None:
    with pytest.raises(Refusal, match="policy-error"):
        destination(UPSTREAM, Changes(backend=backend))


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        (Changes(path="/v2"), "https://mcp.example.com:8443/v2?key=1"),
        (Changes(path="/v2", own_query=False), "https://mcp.example.com:8443/v2"),
        (Changes(path="/v2?a=1&b"), "https://mcp.example.com:8443/v2?key=1&a=1&b"),
        (Changes(path="/v2?a=1", own_query=False), "https://mcp.example.com:8443/v2?a=1"),
        (Changes(backend="https://us.example.com:444/base/", path="/v2"), "https://us.example.com:444/base/v2?key=1"),
        (Changes(backend="https://eu.example.com", path="/v2?x", own_query=False), "https://eu.example.com/v2?x"),
        (Changes(path="//evil.example.com/"), "https://mcp.example.com:8443//evil.example.com/?key=1"),
    ],
)
def test_a_policy_rewrites_path_and_query_below_the_host(changes: Changes, url: str) -> None:
    assert destination(UPSTREAM, changes) == url


@pytest.mark.parametrize("path", ["@evil.example.com/", ".evil.example.com/", ":1/", "\\evil.example.com"])
def test_a_path_never_becomes_part_of_the_host(path: str) -> None:
    assert origin(destination(UPSTREAM, Changes(path=path))) == origin(URL)


@pytest.mark.parametrize("path", ["/a b", "/\x00", "/a\r\nhost: evil", "/ü"])
def test_what_is_no_url_is_refused_without_being_quoted(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        destination(UPSTREAM, Changes(path=path))
    assert (refused.value.reason, refused.value.detail) == (Reason.POLICY_ERROR, "the rewritten URL")


@pytest.mark.parametrize(
    ("edits", "query"),
    [
        ([QueryEdit("key", "override", ("2",))], "x=%2f&y=a+b&key=2"),
        ([QueryEdit("key", "skip", ("2",))], "key=1&x=%2f&y=a+b&key=0"),
        ([QueryEdit("key", "append", ("2", "3"))], "key=1&x=%2f&y=a+b&key=0&key=2&key=3"),
        ([QueryEdit("key", "delete")], "x=%2f&y=a+b"),
        ([QueryEdit("z", "skip", ("1",))], "key=1&x=%2f&y=a+b&key=0&z=1"),
        ([QueryEdit("f[a]", "override", ("&=# /?ü",))], "key=1&x=%2f&y=a+b&key=0&f%5Ba%5D=%26%3D%23%20%2F%3F%C3%BC"),
        ([QueryEdit("z", "append", ("1",)), QueryEdit("z", "delete"), QueryEdit("key", "delete")], "x=%2f&y=a+b"),
    ],
)
def test_a_policy_edits_the_query_and_leaves_the_rest_as_it_is_written(edits: list[QueryEdit], query: str) -> None:
    upstream = RemoteUpstream("https://mcp.example.com/?key=1&x=%2f&y=a+b&key=0")
    assert destination(upstream, Changes(query=tuple(edits))) == f"https://mcp.example.com/?{query}"


def test_an_encoded_name_is_the_same_parameter() -> None:
    upstream = RemoteUpstream("https://mcp.example.com/?api%2Dkey=1")
    assert destination(upstream, Changes(query=(QueryEdit("api-key", "delete"),))) == "https://mcp.example.com/"


def forwarded(*names: str, headers: tuple[tuple[str, str], ...], edits: tuple[HeaderEdit, ...] = ()) -> dict[str, str]:
    decision = Decision(Reason.ALLOWED, changes=Changes(forwarded=names, headers=edits))
    return dict(outgoing(call(headers=headers), decision, NOBODY, URL))


def test_what_a_policy_names_crosses_besides() -> None:
    sent = forwarded("x-tenant", "referer", headers=(("x-tenant", "blue"), ("referer", "r"), ("x-other", "o")))
    assert (sent["x-tenant"], sent["referer"]) == ("blue", "r")
    assert "x-other" not in sent


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "proxy-authorization", "x-api-key", "x_api_key", "cookie", "host", "mcp-name", "te"),
        *("user-agent", "x-correlation-id", "content-length"),
    ],
)
def test_what_no_policy_can_name_stays_behind(name: str) -> None:
    sent = outgoing(
        call(headers=((name, "12345"),)), Decision(Reason.ALLOWED, changes=Changes(forwarded=(name,))), NOBODY, URL
    )
    assert "12345" not in [value for _, value in sent]


def test_what_the_connection_field_names_stays_behind_though_a_policy_names_it() -> None:
    assert "x-tenant" not in forwarded("x-tenant", headers=(("connection", "X-Tenant"), ("x-tenant", "blue")))


def test_a_later_edit_removes_what_crossed() -> None:
    delete = HeaderEdit("referer", "delete")
    assert "referer" not in forwarded("referer", headers=(("referer", "r"),), edits=(delete,))


def test_a_plain_decision_changes_nothing() -> None:
    assert outgoing(call(), ALLOWED, NOBODY, URL) == tuple(fields(call()))


@pytest.mark.parametrize("name", ["baggage", "mcp-param-token", "x-second", "x_second"])
def test_no_field_crosses_in_which_a_credential_of_the_caller_may_stand(name: str) -> None:
    withheld = frozenset({"baggage", "mcp-param-token", "x-second"})
    changes = Changes(forwarded=("x-second", "x_second"), withheld=withheld)
    request = call(era=Era.STATELESS, headers=((name, "caller-value"),))
    assert "caller-value" in str(
        outgoing(request, Decision(Reason.ALLOWED, changes=replace(changes, withheld=frozenset())), NOBODY, URL)
    )
    assert "caller-value" not in str(outgoing(request, Decision(Reason.ALLOWED, changes=changes), NOBODY, URL))
