"""What one request may see: whose a name is, by prefix or by the lists, for tools, prompts and resources."""

from pathlib import Path

import pytest

from tests.aggregate.houses import Town, aggregate, at_mcp, names

URI = {"uri": "file:///notes.txt", "name": "notes"}


@pytest.fixture
def kyoto() -> Town:
    """The first member."""
    return Town(["search", "delete"])


@pytest.fixture
def osaka() -> Town:
    """The second."""
    return Town(["search", "rename"])


async def test_names_that_do_not_clash_stand_as_they_are(tmp_path: Path, kyoto: Town, osaka: Town) -> None:
    async with aggregate(tmp_path, ", prefix: conditional", kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        listed = names((await client.request("tools/list")).message)
        assert listed == ["delete", "kyoto_search", "rename", "osaka_search"]
        for name in (*listed, "osaka_rename"):
            assert "result" in (await client.call(name)).message
        assert [seen.message["params"]["name"] for seen in kyoto.calls] == ["delete", "search"]
        assert [seen.message["params"]["name"] for seen in osaka.calls] == ["rename", "search", "rename"]
        assert kyoto.asked.count("tools/list") == 1
        assert (await client.call("search")).message["error"]["code"] == -32602


async def test_without_prefixes_the_first_member_has_the_name(tmp_path: Path, kyoto: Town, osaka: Town) -> None:
    async with aggregate(tmp_path, ", prefix: never", chosen="osaka, kyoto", kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        assert "result" in (await client.call("search")).message  # before any list was asked for
        assert (len(osaka.calls), len(kyoto.calls)) == (1, 0)
        assert names((await client.request("tools/list")).message) == ["rename", "search", "delete"]


async def test_a_caller_sees_the_lists_of_its_own_when_it_calls(tmp_path: Path, kyoto: Town) -> None:
    async with aggregate(tmp_path, ", prefix: never", kyoto=kyoto) as built:
        first, second = await at_mcp(built), await at_mcp(built, await built.key("second"))
        await first.request("tools/list")
        await second.call("search")
        assert kyoto.asked == ["tools/list", "tools/list", "tools/call"]


async def test_prompts_are_named_alike(tmp_path: Path, kyoto: Town, osaka: Town) -> None:
    kyoto.lists["prompts"] = osaka.lists["prompts"] = [{"name": "ask"}]
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        assert names((await client.request("prompts/list")).message, "prompts") == ["kyoto_ask", "osaka_ask"]
        reply = await client.request("prompts/get", {"name": "osaka_ask"})
        assert reply.message["result"]["echo"]["name"] == "ask"
        unknown = await client.request("prompts/get", {"name": "ask"})
        assert unknown.message["error"] == {"code": -32602, "message": "Unknown prompt: ask"}


async def test_a_resource_is_read_where_it_was_listed_first(tmp_path: Path, kyoto: Town, osaka: Town) -> None:
    kyoto.lists["resources"], osaka.lists["resources"] = [URI], [URI, {"uri": "file:///other.txt"}]
    osaka.lists["resourceTemplates"] = [{"uriTemplate": "db://{table}/{row}"}]
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        listed = names((await client.request("resources/list")).message, "resources", "uri")
        assert listed == ["file:///notes.txt", "file:///other.txt"]
        for uri, town in ((listed[0], kyoto), (listed[1], osaka), ("db://t/1", osaka)):
            before = len(town.seen("resources/read"))
            assert "result" in (await client.request("resources/read", {"uri": uri}, mcp_name=uri)).message
            assert town.seen("resources/read")[before]["uri"] == uri
        unknown = await client.request("resources/read", {"uri": "file:///none"}, mcp_name="file:///none")
        assert unknown.message["error"] == {
            "code": -32602,
            "message": "Unknown resource: file:///none",
            "data": {"uri": "file:///none"},
        }
        (denied,) = await built.records(event="denied")
        assert denied["mcp.resource.uri"] == "file:///none"


async def test_completions_go_where_the_prompt_or_the_resource_is(tmp_path: Path, kyoto: Town, osaka: Town) -> None:
    osaka.lists["prompts"] = [{"name": "ask"}]
    osaka.lists["resources"] = [URI]
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        for ref in ({"type": "ref/prompt", "name": "osaka_ask"}, {"type": "ref/resource", "uri": URI["uri"]}):
            argument = {"name": "topic", "value": "t"}
            reply = await client.request("completion/complete", {"ref": ref, "argument": argument})
            assert "result" in reply.message
        prompt, resource = osaka.seen("completion/complete")
        assert (prompt["ref"]["name"], resource["ref"]["uri"]) == ("ask", URI["uri"])
        assert "completion/complete" not in kyoto.asked
