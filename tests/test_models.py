"""The values that travel: they do not print what they must not, and they say plainly what they hold."""

from datetime import UTC, datetime

from mcpgov.models import Era, Headers, Json, Kind, MCPRequest, RequestHead, Secret

HEAD = RequestHead("POST", "city", Headers(), "127.0.0.1", "127.0.0.1", datetime(2026, 11, 21, tzinfo=UTC), "c1")


def test_a_secret_shows_itself_to_nobody_who_prints_it() -> None:
    secret = Secret("s3cr3t")
    assert "s3cr3t" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "s3cr3t"
    assert secret == Secret("s3cr3t")
    assert secret != Secret("other")
    assert secret != "s3cr3t"
    assert len({secret, Secret("s3cr3t")}) == 1


def test_headers_keep_every_field_and_print_only_names() -> None:
    headers = Headers((("accept", "a"), ("x-key", "k3y"), ("accept", "b")))
    assert headers.get("accept") == "a"
    assert headers.all("accept") == ("a", "b")
    assert headers.get("gone", "none") == "none"
    assert "x-key" in headers
    assert "k3y" not in repr(headers)
    assert headers == Headers(headers.fields)
    assert hash(headers) == hash(Headers(headers.fields))
    assert headers != headers.fields


def test_only_a_tools_call_has_a_tool_and_arguments() -> None:
    params: dict[str, Json] = {"name": "get_city", "arguments": {"n": 1}}
    call = MCPRequest(HEAD, Era.STATELESS, Kind.REQUEST, "2026-07-28", b"{}", 1, "tools/call", "get_city", params)
    prompt = MCPRequest(HEAD, Era.STATELESS, Kind.REQUEST, "2026-07-28", b"{}", 1, "prompts/get", "get_city", params)
    assert (call.tool, call.arguments) == ("get_city", {"n": 1})
    assert (prompt.tool, prompt.arguments) == ("", {})
