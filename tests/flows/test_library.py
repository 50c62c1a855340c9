"""Policies of the library in force on a real gateway, in both forms: what a client gets, and what the upstream sees."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.flows.house import House, Reply, house
from tests.flows.upstream import TOOLS, CityUpstream, listening

LIBRARY = Path(__file__).parents[2] / "policies"
OUTSIDE = "203.0.113.9"
BEHIND_A_PROXY = "trusted_proxies: [127.0.0.1]\n"

both_forms = pytest.mark.parametrize("form", ["yaml", "xml"])


@asynccontextmanager
async def governed(
    folder: Path, form: str, *policies: str, settings: str = ""
) -> AsyncGenerator[tuple[House, CityUpstream]]:
    """A gateway with policies of the library in force, copied as a user would copy them."""
    upstream = CityUpstream()
    async with listening(upstream) as url, house(folder, settings) as gateway:
        for name in (*policies, "company-networks"):
            shutil.copy(LIBRARY / ("xml" if form == "xml" else "") / f"{name}.{form}", folder / "policies")
        gateway.catalog(f"{url}/mcp", policies=f"[{', '.join(policies)}]")
        gateway.reload()
        yield gateway, upstream


def told(reply: Reply) -> str:
    """What the model reads of a refusal."""
    result = reply.message["result"]
    assert result["isError"]
    return result["content"][0]["text"]


@both_forms
async def test_the_github_pack_blocks_deleting_and_limits_writing(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "github") as (gateway, upstream):
        client = await gateway.client()
        assert "Unknown tool: delete_file" in (await client.call("delete_file")).message["error"]["message"]
        assert "left to people" in told(await client.call("merge_pull_request"))
        assert "left to people" in told(await client.call("label_write", {"method": "delete"}))
        assert upstream.calls == []
        writes = [await client.call("label_write", {"method": "create"}) for _ in range(30)]
        # The hidden one counted, as the call of a tool that does not exist would have.
        assert [reply.status for reply in writes] == [200] * 29 + [403]
        assert 1 <= int(writes[-1].headers["retry-after"]) <= 3600
        assert (await client.call("get_file_contents")).status == 200
        assert (await (await gateway.client()).call("label_write", {"method": "create"})).status == 200
        assert len(upstream.calls) == 31
        reasons = ("tool-hidden", "tool-denied", "arguments-denied", "quota-exceeded")
        assert [len(await gateway.records(**{"mcpgov.decision.reason": reason})) for reason in reasons] == [1] * 4


@both_forms
async def test_only_the_office_network_gets_in(tmp_path: Path, form: str) -> None:
    expected = {"10.1.2.3": 200, "::ffff:192.168.7.7": 200, "203.0.113.15": 200, "203.0.113.21": 403, "8.8.8.8": 403}
    async with governed(tmp_path, form, "office-network", settings=BEHIND_A_PROXY) as (gateway, upstream):
        client = await gateway.client()
        found = {address: (await client.call("get_city", x_forwarded_for=address)).status for address in expected}
        assert found == expected
        assert (await client.request("tools/list", x_forwarded_for="8.8.8.8")).status == 403
        assert len(upstream.ledger) == 3
        assert len(await gateway.records(**{"mcpgov.decision.reason": "source-ip-denied"})) == 3


@both_forms
async def test_writing_from_outside_the_office_is_refused(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "writes-from-the-office", settings=BEHIND_A_PROXY) as (gateway, upstream):
        client = await gateway.client()
        assert (await client.call("get_city", x_forwarded_for=OUTSIDE)).status == 200
        assert (await client.request("tools/list", x_forwarded_for=OUTSIDE)).status == 200
        assert (await client.call("rename_city", x_forwarded_for=OUTSIDE)).status == 403
        assert (await client.call("rename_city", x_forwarded_for="10.1.2.3")).status == 200
        assert [seen.message["params"]["name"] for seen in upstream.calls] == ["get_city", "rename_city"]


@both_forms
async def test_agents_behind_one_address_have_limits_of_their_own(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "limits-per-agent") as (gateway, upstream):
        one, other = await gateway.client(), await gateway.client()
        replies = [await one.call("get_city") for _ in range(62)]
        assert [reply.status for reply in replies] == [200] * 60 + [429] * 2
        assert replies[59].headers["x-ratelimit-remaining"] == "0"
        assert (await one.request("tools/list")).status == 200
        assert (await other.call("get_city")).headers["x-ratelimit-remaining"] == "59"
        assert len(upstream.calls) == 61


@both_forms
async def test_the_upstream_learns_who_calls_and_nothing_of_the_browser(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "sensitive-headers", "correlation-id") as (gateway, upstream):
        client = await gateway.client()
        page = "https://intranet.example/"
        reply = await client.call("get_city", cookie="session=1", referer=page, x_agent="me", x_request_id="mine")
        (record,) = await gateway.records(event="intent")
        headers = upstream.calls[0].headers
        assert not headers.keys() & {"cookie", "referer"}
        assert headers["x-agent"].startswith("key:")
        assert headers["x-request-id"] == reply.headers["x-correlation-id"] == record["correlation_id"]


@both_forms
async def test_destructive_tools_are_there_for_their_owners_only(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "destructive-tools-need-an-owner") as (gateway, upstream):
        owner = await gateway.client(key=await gateway.key(project="platform-owners"))
        agent = await gateway.client()
        listed = [(await client.request("tools/list")).message["result"]["tools"] for client in (owner, agent)]
        assert [[tool["name"] for tool in tools] for tools in listed] == [list(TOOLS), []]
        assert "Unknown tool" in (await agent.call("delete_city")).message["error"]["message"]
        assert (await owner.call("delete_city")).status == 200
        assert len(upstream.calls) == 1


@both_forms
async def test_a_rehearsal_never_reaches_the_server(tmp_path: Path, form: str) -> None:
    async with governed(tmp_path, form, "rehearsal") as (gateway, upstream):
        client = await gateway.client(key=await gateway.key(project="training"))
        assert (await client.call("delete_city")).message["result"]["content"][0]["text"] == "mock"
        assert (await client.call("run_query")).status == 502
        assert upstream.calls == []
        assert (await (await gateway.client()).call("get_city")).status == 200
