"""What crosses and what does not: the exact bytes of a message, the connection's own credential, and little else."""

import pytest

from tests.flows.house import STATELESS, House
from tests.flows.upstream import CityUpstream

BODY = (
    b'{"params":  {"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    b'"io.modelcontextprotocol/clientCapabilities":{}},"arguments":{"n":12345678901234567890,"f":1.0,"u":"\\u00e9"},'
    b'"name":"get_city","x-unknown":[]},"method":"tools/call","jsonrpc":"2.0","id":"a-1"}'
)
MIRRORS = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "get_city"}


async def test_the_upstream_gets_exactly_the_bytes_that_were_evaluated(gateway: House, upstream: CityUpstream) -> None:
    reply = await (await gateway.client()).post(BODY, MIRRORS)
    assert reply.message["id"] == "a-1"
    sent, correlation_id = upstream.calls[0], reply.headers["x-correlation-id"]
    ours = f"00-{correlation_id}-{correlation_id[:16]}-01"  # the one thing that is written in between
    assert sent.body == BODY.replace(b'"_meta":{', b'"_meta":{"traceparent":"%s",' % ours.encode(), 1)
    assert sent.headers["traceparent"] == ours


async def test_a_notification_reaches_the_upstream_byte_for_byte(gateway: House, upstream: CityUpstream) -> None:
    body = b'{"jsonrpc":"2.0", "method":"notifications/progress","params":{"progressToken":1.0}}'
    await (await gateway.client()).post(body, {"MCP-Protocol-Version": "2025-11-25"})
    assert upstream.ledger[0].body == body


async def test_the_query_of_the_upstream_url_is_kept_as_written(gateway: House, upstream: CityUpstream) -> None:
    await (await gateway.client()).call("get_city")
    assert upstream.calls[0].target == "/mcp?tenant=a%20b&x=1"


async def test_the_connection_presents_its_own_credential_and_the_callers_stays_here(
    gateway: House, upstream: CityUpstream
) -> None:
    client = await gateway.client()
    await client.post(
        BODY,
        {
            **MIRRORS,
            "Authorization": f"Bearer {client.headers['X-API-Key']}",
            "X-City-Key": "mine",
            "Cookie": "a=b",
            "Referer": "https://x.example/",
            "X-Forwarded-For": "1.2.3.4",
            "Connection": "keep-alive, mcp-param-kept",
            "Mcp-Param-Kept": "no",
            "Mcp-Param-City": "Kyoto",
            "X-Other": "x",
        },
    )
    headers = upstream.calls[0].headers
    assert headers["x-city-key"] == "city-secret"
    assert headers["authorization"] == "Bearer upstream-secret"
    assert headers["mcp-param-city"] == "Kyoto"
    assert client.headers["X-API-Key"] not in str(headers)
    for name in ("cookie", "referer", "x-forwarded-for", "x-api-key", "x-other", "mcp-param-kept", "connection"):
        assert headers.get(name, "") in {"", "keep-alive"}


async def test_each_connection_shows_its_own_key_to_the_same_server(gateway: House, upstream: CityUpstream) -> None:
    await (await gateway.client("town")).call("get_city")
    headers = upstream.calls[0].headers
    assert headers["x-city-key"] == "town-secret"
    assert "authorization" not in headers


async def test_one_correlation_id_joins_the_answer_the_upstream_and_the_record(
    gateway: House, upstream: CityUpstream
) -> None:
    reply = await (await gateway.client()).call("get_city", x_correlation_id="claimed-1")
    ours = reply.headers["x-correlation-id"]
    assert ours != "claimed-1"
    assert upstream.calls[0].headers["x-correlation-id"] == ours
    intent, outcome = await gateway.records(correlation_id=ours)
    assert (intent["event"], outcome["event"]) == ("intent", "outcome")
    assert intent["mcpgov.correlation_id.claimed"] == "claimed-1"


async def test_no_secret_and_no_argument_stands_in_the_ledger(gateway: House) -> None:
    client = await gateway.client()
    await client.call("get_city", {"pin": "argument-in-clear"})
    ledger = b"".join(path.read_bytes() for path in gateway.folder.glob("audit.db*") if "key" not in path.name)
    for secret in ("argument-in-clear", "city-secret", "upstream-secret", client.headers["X-API-Key"]):
        assert secret.encode() not in ledger


@pytest.mark.parametrize("answers_with", ["json", "sse"])
async def test_a_filtered_list_keeps_what_it_does_not_hide_and_turns_private(
    gateway: House, upstream: CityUpstream, answers_with: str
) -> None:
    upstream.answers_with = answers_with
    await gateway.govern_by('inbound: [ { tool-rules: { allow: ["get_*"] } } ]')
    reply = await (await gateway.client()).request("tools/list")
    assert reply.message["result"] == {
        "tools": [{"name": "get_city", "inputSchema": {"type": "object"}, "x-unknown": "get_city"}],
        "ttlMs": 1000,
        "cacheScope": "private",
        "resultType": "complete",
        "kept": 1,
    }
    if answers_with == "sse":
        assert reply.body.startswith(b": hello\n\nevent: message\n")
        assert b"\nid: 7\n" in reply.body


async def test_an_unfiltered_stream_passes_byte_for_byte(gateway: House, upstream: CityUpstream) -> None:
    upstream.answers_with = "sse"
    reply = await (await gateway.client()).call("get_city")
    assert reply.body.startswith(b": hello\n\nevent: message\ndata: {")
    assert b"Kyoto\\u2028" in reply.body
    assert reply.headers["x-accel-buffering"] == "no"


async def test_routing_by_header_sends_the_call_and_its_credential_to_a_named_backend_only(
    gateway: House, upstream: CityUpstream
) -> None:
    base = gateway.upstream.partition("/mcp")[0].replace("127.0.0.1", "localhost")
    catalog = gateway.folder / "catalog" / "city.yaml"
    named = f"    authType: CustomKeys\n    backends: [{base}]\n"
    gateway.write(
        "policies/rules.yaml",
        "inbound:\n"
        "  - choose:\n"
        "      when:\n"
        '        - condition: \'request.headers["x-region"] == "eu"\'\n'
        f"          do: [ {{ set-backend-service: {{ base-url: {base} }} }} ]\n",
    )
    gateway.catalog(gateway.upstream, policies="[rules]")
    catalog.write_text(catalog.read_text().replace("    authType: CustomKeys\n", named))
    gateway.reload()
    client = await gateway.client()
    await client.call("get_city", x_region="eu")
    await client.call("get_city")
    hosts = [seen.headers["host"].partition(":")[0] for seen in upstream.calls]
    assert hosts == ["localhost", "127.0.0.1"]
