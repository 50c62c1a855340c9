"""search_tools and call_tool: what is found, and that what is called is governed as itself."""

import json
from pathlib import Path
from typing import Any

from mcpgov.aggregate.naming import Item
from mcpgov.aggregate.search import MOST, WORDS, matching
from mcpgov.models import Json
from tests.aggregate.houses import Town, aggregate, at_mcp, names

SEARCHING = ", search_tools: true"


def item(name: str, description: str = "", **more: Json) -> Item:
    """A tool."""
    return Item(name, "a", name, {"name": name, "description": description, **more})


ITEMS = [
    item("a_list_issues", "Lists the issues of a repository"),
    item("a_create_issue", "Opens one"),
    item("a_weather", "What the weather is", title="Forecast"),
]


def found(query: str) -> list[str]:
    """The names that are found."""
    return [item.name for item in matching(ITEMS, query)]


def test_a_word_in_the_name_counts_most() -> None:
    assert found("Repository ISSUE") == ["a_list_issues", "a_create_issue"]
    assert found("opens issue") == ["a_create_issue", "a_list_issues"]
    assert found("forecast") == ["a_weather"]


def test_of_a_long_query_only_so_many_words_are_looked_for() -> None:
    many = " ".join(f"x{number}" for number in range(WORDS - 1))
    assert found(f"{many} weather") == ["a_weather"]
    assert found(f"{many} x weather") == []


def test_what_matches_nothing_is_not_found() -> None:
    assert found("payroll") == []


def test_without_words_the_first_are_found_and_never_more_than_twenty() -> None:
    assert found("") == [item.name for item in ITEMS]
    assert len(matching([item(f"t{number}") for number in range(100)], "")) == MOST


def content(message: dict[str, Any]) -> str:
    """The text that the model reads."""
    return message["result"]["content"][0]["text"]


async def test_the_list_holds_two_tools_and_finds_the_others(tmp_path: Path) -> None:
    async with aggregate(tmp_path, SEARCHING, kyoto=Town(["rename", "search"])) as built:
        client = await at_mcp(built)
        assert names((await client.request("tools/list")).message) == ["search_tools", "call_tool"]
        message = (await client.call("search_tools", {"query": "rename"})).message
        assert json.loads(content(message)) == message["result"]["structuredContent"]["tools"]
        assert [tool["name"] for tool in json.loads(content(message))] == ["kyoto_rename"]
        assert content((await client.call("search_tools", {"query": "x"})).message).startswith("No tool")


async def test_a_call_through_call_tool_is_one_of_the_tool_itself(tmp_path: Path) -> None:
    kyoto = Town(["rename"])
    async with aggregate(tmp_path, SEARCHING, kyoto=kyoto) as built:
        client = await at_mcp(built)
        given = {"name": "kyoto_rename", "arguments": {"to": {"name": "é"}}}
        assert "result" in (await client.call("call_tool", given)).message
        assert "result" in (await client.call("call_tool", {"name": "kyoto_rename"})).message
        first, second = (seen.message["params"] for seen in kyoto.calls)
        assert (first["name"], first["arguments"]) == ("rename", {"to": {"name": "é"}})
        assert (second["name"], second["arguments"]) == ("rename", {})
        assert kyoto.calls[0].headers["mcp-name"] == "rename"
        intents = await built.records(event="intent", **{"mcp.method.name": "tools/call"})
        assert {str(intent["gen_ai.tool.name"]) for intent in intents} == {"rename"}


async def test_nothing_else_can_be_called(tmp_path: Path) -> None:
    kyoto = Town(["rename"])
    async with aggregate(tmp_path, SEARCHING, kyoto=kyoto) as built:
        client = await at_mcp(built)
        for name, arguments in (("kyoto_rename", {}), ("call_tool", {}), ("call_tool", {"name": "kyoto"})):
            reply = await client.call(name, arguments)
            assert reply.message["error"]["code"] == -32602
        reply = await client.call("call_tool", {"name": "kyoto_rename", "arguments": "x"})
        assert reply.message["error"]["data"]["reason"] == "invalid-message"
        assert kyoto.calls == []
