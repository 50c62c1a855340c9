"""What policies make of replies, seen from a real client: answers of their own, statuses and headers, web pages."""

import json
from collections.abc import Mapping

import pytest

from tests.flows.house import STATELESS, House, Reply
from tests.flows.upstream import CityUpstream

PAGE = "https://app.contoso.com"
CORS = f"""\
inbound:
  - cors:
      allowed-origins: ["{PAGE}"]
      allowed-methods: [GET, POST]
      allowed-headers: [content-type, x-api-key, mcp-protocol-version]
      expose-headers: [x-correlation-id]
"""
ASKING = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


async def test_a_request_is_answered_by_a_policy_and_the_server_hears_nothing(
    gateway: House, upstream: CityUpstream
) -> None:
    await gateway.govern_by("""\
inbound:
  - rate-limit-by-key: { calls: 5, renewal-period: 60 }
  - return-response:
      do:
        - set-status: { code: 503 }
        - set-header: { name: Retry-After, value: "600" }
""")
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.headers["retry-after"], reply.headers["x-ratelimit-remaining"]) == (503, "600", "4")
    error = reply.message["error"]
    assert (reply.message["id"], error["code"], error["data"]["reason"]) == (5, -31503, "policy-response")
    assert upstream.ledger == []
    (record,) = await gateway.records(event="denied")
    assert record["mcpgov.decision.reason"] == "policy-response"
    assert record["mcpgov.decision.rule"] == "rules#2 return-response"


async def test_a_response_is_what_the_policy_says_to_the_byte(gateway: House) -> None:
    body = '{"jsonrpc":"2.0","id":5,"result":{"resultType":"complete","content":[]}}'
    await gateway.govern_by(f"inbound: [return-response: {{ do: [set-body: {{ value: '{body}' }}] }}]")
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, body.encode(), "application/json")
    assert reply.headers["x-correlation-id"]


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_an_empty_response_leaves_the_connection_whole(gateway: House, status: int) -> None:
    await gateway.govern_by(f"inbound: [return-response: {{ do: [set-status: {{ code: {status} }}] }}]")
    client = await gateway.client()
    replies = [await client.call("get_city") for _ in range(3)]
    assert [(reply.status, reply.body) for reply in replies] == [(status, b"")] * 3


@pytest.mark.parametrize("answers_with", ["json", "sse"])
async def test_an_answer_of_the_server_is_replaced(gateway: House, upstream: CityUpstream, answers_with: str) -> None:
    upstream.answers_with = answers_with
    await gateway.govern_by("""\
outbound:
  - choose:
      when:
        - condition: response.status == 200
          do: [return-response: { do: [set-status: { code: 418 }, set-body: { value: replaced }] }]
""")
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.body) == (418, b"replaced")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(upstream.calls) == 1
    (outcome,) = await gateway.records(event="outcome")
    assert outcome["mcpgov.reason"] == "policy-response"


@pytest.mark.parametrize("answers_with", ["json", "sse"])
async def test_outbound_sets_the_status_and_headers_of_an_answer(
    gateway: House, upstream: CityUpstream, answers_with: str
) -> None:
    upstream.answers_with = answers_with
    await gateway.govern_by("""\
outbound:
  - set-status: { code: 203 }
  - set-header: { name: X-Served-By, value: mcpgov }
  - set-header: { name: X-Correlation-Id, value: forged }
  - find-and-replace: { from: Kyoto, to: Nara }
""")
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.headers["x-served-by"]) == (203, "mcpgov")
    assert reply.headers["x-correlation-id"] != "forged"
    assert reply.message["result"]["content"] == [{"type": "text", "text": "Nara\u2028"}]


async def test_on_error_answers_by_the_reason_of_the_refusal(gateway: House) -> None:
    await gateway.govern_by("""\
inbound:
  - rate-limit-by-key: { calls: 1, renewal-period: 60 }
on-error:
  - set-header: { name: X-Help, value: https://help.contoso.com }
  - choose:
      when:
        - condition: error.reason == "rate-limited"
          do:
            - set-status: { code: 503 }
            - set-header: { name: X-Source, value: "${{ error.reason }}" }
""")
    client = await gateway.client()
    first, second = await client.call("get_city"), await client.call("get_city")
    assert (first.status, "x-help" in first.headers) == (200, False)
    assert (second.status, second.headers["x-source"]) == (503, "rate-limited")
    assert second.headers["x-help"] == "https://help.contoso.com"
    error = second.message["error"]
    assert (second.message["id"], error["code"], error["data"]["reason"]) == (5, -31503, "rate-limited")
    (record,) = await gateway.records(event="denied")
    assert record["mcpgov.decision.reason"] == "rate-limited"


async def test_in_xml_on_error_reads_the_platforms_own_word(gateway: House) -> None:
    gateway.write(
        "policies/rules.xml",
        """\
<policies>
  <inbound>
    <base />
    <rate-limit-by-key calls="1" renewal-period="60" counter-key="@(context.Subscription.Id)" />
  </inbound>
  <on-error>
    <base />
    <choose>
      <when condition="@(context.LastError.Reason == "RateLimitExceeded")">
        <return-response>
          <set-status code="429" reason="Too Many Requests" />
          <set-header name="X-Section"><value>@(context.LastError.Section)</value></set-header>
          <set-body>@(context.LastError.Source + " said no")</set-body>
        </return-response>
      </when>
    </choose>
  </on-error>
</policies>
""",
    )
    gateway.catalog(gateway.upstream, policies="[rules]")
    gateway.reload()
    client = await gateway.client()
    await client.call("get_city")
    reply = await client.call("get_city")
    assert (reply.status, reply.headers["x-section"]) == (429, "inbound")
    assert reply.body == b"rate-limit-by-key said no"


async def test_a_call_is_mocked(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by("inbound: [mock-response: {}]")
    client = await gateway.client()
    called, listed = await client.call("get_city"), await client.request("tools/list")
    assert called.message["result"]["content"] == [{"type": "text", "text": "mock"}]
    assert listed.message["result"]["tools"] == []
    noted = await client.post(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode(), {})
    assert (noted.status, noted.body) == (202, b"")
    assert upstream.ledger == []


async def options(gateway: House, headers: Mapping[str, str], connection: str = "city") -> Reply:
    """The reply to OPTIONS."""
    assert gateway.http is not None
    async with gateway.http.options(f"{gateway.url}/mcp/{connection}", headers=dict(headers)) as response:
        return Reply(response.status, response.headers, await response.read())


async def test_a_preflight_is_answered_without_a_key_and_recorded(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by(CORS)
    reply = await options(gateway, ASKING)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["access-control-allow-methods"] == "POST"
    assert reply.headers["access-control-allow-headers"] == "content-type"
    assert upstream.ledger == []
    (record,) = await gateway.records(event="denied")
    assert (record["mcpgov.decision.reason"], record["http.request.method"]) == ("preflight", "OPTIONS")


async def test_a_preflight_that_does_not_match_is_answered_without_leave(gateway: House) -> None:
    await gateway.govern_by(CORS)
    reply = await options(gateway, {**ASKING, "Origin": "https://evil.example.com"})
    assert (reply.status, reply.body) == (200, b"")
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


async def test_without_cors_options_is_a_request_like_all_others(gateway: House) -> None:
    replies = [await options(gateway, ASKING, connection) for connection in ("city", "nowhere")]
    assert [reply.status for reply in replies] == [401, 401]
    said = [(reply.message["error"]["message"], sorted(reply.headers)) for reply in replies]
    assert said[0] == said[1]
    authenticated = await options(gateway, {"X-API-Key": await gateway.key()})
    assert (authenticated.status, authenticated.headers["allow"]) == (405, "GET, POST, DELETE")


async def test_a_page_that_may_call_reads_its_answers_and_its_refusals(gateway: House) -> None:
    await gateway.govern_by(CORS + "  - rate-limit-by-key: { calls: 1, renewal-period: 60 }\n")
    client = await gateway.client()
    replies = [await client.call("get_city", Origin=PAGE) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert reply.headers["access-control-expose-headers"] == "x-correlation-id"
        assert reply.headers["vary"] == "Origin"


async def test_a_page_of_another_origin_stays_out(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by(CORS)
    client = await gateway.client()
    reply = await client.call("get_city", Origin="https://evil.example.com")
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (403, "origin-denied")
    elsewhere = await (await gateway.client("town")).call("get_city", Origin=PAGE)
    assert (elsewhere.status, elsewhere.message["error"]["data"]["reason"]) == (403, "origin-denied")
    assert upstream.ledger == []


async def test_a_page_needs_a_key_like_everybody(gateway: House) -> None:
    await gateway.govern_by(CORS)
    reply = await (await gateway.client(key="")).call("get_city", Origin=PAGE)
    assert reply.status == 401


async def test_a_get_of_a_page_is_let_in_by_the_same_rule(gateway: House) -> None:
    await gateway.govern_by(CORS)
    client = await gateway.client()
    headers = {**client.headers, "Origin": PAGE, "MCP-Protocol-Version": STATELESS}
    async with client.http.get(client.url, headers=headers) as response:
        assert response.status == 405
