"""What MCP needs and HTTP policies lack, seen from a real client and a real upstream."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.house import House, house
from tests.flows.upstream import CityUpstream, listening


class HintingUpstream(CityUpstream):
    """The city server, which says of its tools what it likes, and answers with what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.hints: dict[str, dict[str, bool]] = {}
        self.schema: dict[str, Any] = {"type": "object"}
        self.content: dict[str, Any] | None = None

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        result = super()._result(message)
        for tool in result.get("tools", []):
            tool |= {"annotations": self.hints.get(tool["name"], {}), "inputSchema": self.schema}
        return result

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        own = self.content if message["method"] == "tools/call" else None
        await super()._answer(send, message, result if own is None else own)


@pytest.fixture
def hinting() -> HintingUpstream:
    """The upstream, not yet told what to say."""
    return HintingUpstream()


@pytest.fixture
async def hinted(tmp_path: Path, hinting: HintingUpstream) -> AsyncGenerator[House]:
    """A gateway in front of it, without policies."""
    async with listening(hinting) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp")
        yield built


DESTRUCTIVE = "inbound: [tool-rules: { deny: [annotation: destructiveHint] }]"
STOP = "inbound: [quarantine: { tools: [delete_city], message: Deleting is stopped. }]"


def outcome(message: dict[str, Any]) -> str:
    """The text that the model reads, or the code of the error."""
    return message["result"]["content"][0]["text"] if "result" in message else str(message["error"]["code"])


async def test_annotations_are_learned_from_a_list_that_passes(hinting: HintingUpstream, hinted: House) -> None:
    hinting.hints = {"get_city": {"readOnlyHint": True}, "rename_city": {"destructiveHint": False}}
    await hinted.govern_by(DESTRUCTIVE)
    client = await hinted.client()
    assert outcome((await client.call("get_city")).message) == "-32602"  # nothing is known of it: it destroys
    assert hinting.calls == []
    listed = (await client.request("tools/list")).message["result"]["tools"]
    assert [tool["name"] for tool in listed] == ["get_city", "rename_city"]
    assert (await client.call("get_city")).status == 200
    assert (await client.call("rename_city")).status == 200
    assert outcome((await client.call("delete_city")).message) == "-32602"
    assert [seen.message["params"]["name"] for seen in hinting.calls] == ["get_city", "rename_city"]


async def test_a_server_that_takes_its_word_back_is_believed(hinting: HintingUpstream, hinted: House) -> None:
    hinting.hints = {"get_city": {"readOnlyHint": True}}
    await hinted.govern_by(DESTRUCTIVE)
    client = await hinted.client()
    await client.request("tools/list")
    hinting.hints = {}
    await client.request("tools/list")
    assert outcome((await client.call("get_city")).message) == "-32602"


async def test_what_one_connection_says_of_its_tools_holds_for_it_alone(
    hinting: HintingUpstream, hinted: House
) -> None:
    hinting.hints = {"get_city": {"readOnlyHint": True}}
    hinted.write("mcpgov.yaml", 'audit: { store: "sqlite:///audit.db" }\nglobal_policies: [rules]\n')
    await hinted.govern_by(DESTRUCTIVE)
    await (await hinted.client("town")).request("tools/list")
    city, town = await hinted.client("city"), await hinted.client("town")
    assert (await town.call("get_city")).status == 200
    assert outcome((await city.call("get_city")).message) == "-32602"


async def test_saving_a_quarantine_stops_a_tool_without_a_restart(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by("inbound: []")
    client = await gateway.client()
    assert (await client.call("delete_city")).status == 200
    gateway.write("policies/rules.yaml", STOP)
    gateway.reload()
    before = len(upstream.ledger)
    reply = await client.call("delete_city")
    assert (reply.message["result"]["isError"], outcome(reply.message)) == (True, "Deleting is stopped.")
    assert len(upstream.ledger) == before
    assert (await client.call("get_city")).status == 200
    listed = (await client.request("tools/list")).message["result"]["tools"]
    assert "delete_city" in [tool["name"] for tool in listed]
    (denied,) = await gateway.records(event="denied")
    assert (denied["mcpgov.decision.reason"], denied["mcpgov.decision.rule"]) == ("quarantined", "rules#1 quarantine")
    gateway.write("policies/rules.yaml", "inbound: []")
    gateway.reload()
    assert (await client.call("delete_city")).status == 200


async def test_a_quarantined_connection_refuses_every_request(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by("inbound: [quarantine: { connections: [city] }]")
    client = await gateway.client()
    for method in ("tools/list", "prompts/list", "ping"):
        reply = await client.request(method)
        assert (reply.status, reply.message["error"]["data"]["reason"]) == (403, "quarantined")
    assert upstream.ledger == []


async def test_arguments_that_a_policy_denies_never_reach_the_upstream(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by(
        "inbound: [argument-rules: { schema: { properties: { name: { maxLength: 5 } } }, message: Shorter. }]"
    )
    client = await gateway.client()
    reply = await client.call("rename_city", {"name": "Kyoto-Shi"})
    assert (reply.message["result"]["isError"], outcome(reply.message)) == (True, "Shorter.")
    assert upstream.calls == []
    assert (await client.call("rename_city", {"name": "Kyoto"})).status == 200
    (denied,) = await gateway.records(event="denied")
    assert denied["mcpgov.decision.reason"] == "arguments-denied"
    assert "Kyoto-Shi" not in json.dumps([dict(record) for record in await gateway.records()])


async def test_results_are_cleaned_in_json_and_in_streams(hinting: HintingUpstream, hinted: House) -> None:
    hinting.content = {
        "content": [{"type": "text", "text": "to\u200bken sk-abc"}],
        "structuredContent": {"mail": "a@b"},
    }
    await hinted.govern_by(
        "outbound: [result-rules: { strip-hidden: true, redact: [{ pattern: 'sk-[a-z]+' }], "
        "redact-paths: [$.structuredContent.mail] }]"
    )
    for style in ("json", "sse"):
        hinting.answers_with = style
        result = (await (await hinted.client()).call("get_city")).message["result"]
        assert result == {"content": [{"type": "text", "text": "token ***"}], "structuredContent": {"mail": "***"}}


async def test_a_result_that_is_too_large_is_denied_and_the_model_reads_why(
    hinting: HintingUpstream, hinted: House
) -> None:
    hinting.content = {"content": [{"type": "text", "text": "secret" * 100}]}
    await hinted.govern_by("outbound: [result-rules: { max-size: 100 }]")
    for style in ("json", "sse"):
        hinting.answers_with = style
        reply = await (await hinted.client()).call("get_city")
        assert reply.message["result"]["isError"] is True
        assert "secret" not in reply.body.decode()
    reasons = [record["mcpgov.reason"] for record in await hinted.records(event="outcome")]
    assert reasons == ["result-denied", "result-denied"]


async def test_schemas_are_flattened_on_their_way(hinting: HintingUpstream, hinted: House) -> None:
    hinting.schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    await hinted.govern_by("outbound: [schema-rules: { flatten: true }]")
    (tool, *_) = (await (await hinted.client()).request("tools/list")).message["result"]["tools"]
    assert tool["inputSchema"] == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert tool["x-unknown"] == "get_city"
