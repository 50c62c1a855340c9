"""What members say of their own accord: one stream of all of them, in either era, for as long as each is there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mcpgov.aggregate.events import MOST_WATCHED
from mcpgov.errors import INVALID_PARAMS
from mcpgov.places import Most
from tests.aggregate.houses import Town, aggregate, at_mcp, entry, put_together
from tests.aggregate.speakers import SUBSCRIPTION, WITHIN, Speaker, listening_in, opened, subscribed
from tests.flows.house import House

CHANGED = {"method": "notifications/tools/list_changed"}


@pytest.fixture
def kyoto() -> Speaker:
    """The first member."""
    return Speaker(["search"], {"toolsListChanged": True, "resourcesListChanged": True})


@pytest.fixture
def osaka() -> Speaker:
    """The second."""
    return Speaker(["search"], {"promptsListChanged": True})


@pytest.fixture
async def both(tmp_path: Path, kyoto: Speaker, osaka: Speaker) -> AsyncGenerator[House]:
    """A gateway with the two as one server, and with a third that is down."""
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        built.write("catalog/nara.yaml", entry("nara", "http://127.0.0.1:1/mcp"))
        put_together(built, '"*"')
        yield built


async def test_what_the_members_say_comes_as_one_stream(both: House, kyoto: Speaker, osaka: Speaker) -> None:
    client = await at_mcp(both)
    async with listening_in(client, await opened(client)) as heard:
        assert (heard.response.status, heard.response.content_type) == (200, "text/event-stream")
        kyoto.say(CHANGED, "id: 2\n")
        assert await heard.message() == {"jsonrpc": "2.0", **CHANGED}
        osaka.say({"id": 1, "method": "ping"})
        assert await heard.message() == {"jsonrpc": "2.0", "id": "osaka:1", "method": "ping"}
        assert [seen.headers["mcp-session-id"] for seen in kyoto.listened] == ["upstream-session-1"]


async def test_events_of_several_members_have_no_ids_to_come_back_to(tmp_path: Path, kyoto: Speaker) -> None:
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        async with listening_in(client, await opened(client)) as heard:
            kyoto.say(CHANGED, "id: 2\nevent: message\n")
            said: list[str] = []
            while not said:  # comments, which keep connections alive, come as well
                said = [name for line in await heard.lines() if (name := line.partition(":")[0])]
            assert said == ["event", "data"]


async def test_a_client_that_leaves_leaves_every_member(both: House, kyoto: Speaker, osaka: Speaker) -> None:
    client = await at_mcp(both)
    async with listening_in(client, await opened(client)):
        pass
    async with asyncio.timeout(WITHIN):
        await kyoto.left.wait()
        await osaka.left.wait()
    intents = {
        row["correlation_id"]: str(row.get("mcpgov.connection", "")) for row in await both.records(event="intent")
    }
    ended: list[str] = []
    async with asyncio.timeout(WITHIN):
        while len(ended) < 3:
            outcomes = await both.records(**{"mcpgov.reason": "client-gone"})
            ended = sorted(intents[row["correlation_id"]] for row in outcomes)
    assert ended == ["", "kyoto", "osaka"]


async def test_a_stream_ends_with_the_first_that_ends(both: House, kyoto: Speaker, osaka: Speaker) -> None:
    client = await at_mcp(both)
    async with listening_in(client, await opened(client)) as heard:
        kyoto.say(CHANGED)
        kyoto.stop()
        assert await heard.message() == {"jsonrpc": "2.0", **CHANGED}
        assert await heard.message() == {}
    async with asyncio.timeout(WITHIN):
        await osaka.left.wait()


async def test_a_member_without_a_stream_is_left_out(tmp_path: Path, kyoto: Speaker) -> None:
    async with aggregate(tmp_path, kyoto=kyoto, osaka=Town(["search"])) as built:
        client = await at_mcp(built)
        async with listening_in(client, await opened(client)) as heard:
            kyoto.say(CHANGED)
            assert await heard.message() == {"jsonrpc": "2.0", **CHANGED}


async def test_a_session_that_a_member_forgot_is_opened_anew(tmp_path: Path, kyoto: Speaker) -> None:
    kyoto.statuses = [404]
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        async with listening_in(client, await opened(client)) as heard:
            assert heard.response.status == 200
        assert (len(kyoto.seen("initialize")), len(kyoto.listened)) == (2, 2)


async def test_a_member_that_goes_on_forgetting_is_left_out(tmp_path: Path, kyoto: Speaker) -> None:
    kyoto.statuses = [404, 404]
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        async with listening_in(client, await opened(client)) as heard:
            assert (heard.response.status, heard.response.headers["allow"]) == (405, "POST, DELETE")


async def test_a_subscription_is_acknowledged_once_and_told_of_under_its_own_id(
    both: House, kyoto: Speaker, osaka: Speaker
) -> None:
    wanted = {"toolsListChanged": True, "promptsListChanged": True}
    async with subscribed(await at_mcp(both), wanted) as heard:
        agreed = await heard.message()
        assert agreed["method"] == "notifications/subscriptions/acknowledged"
        assert agreed["params"] == {"notifications": wanted, "_meta": {SUBSCRIPTION: "mine"}}
        for member in (kyoto, osaka):
            (asked,) = member.listened
            assert asked.headers["mcp-method"] == "subscriptions/listen"
            member.say({**CHANGED, "params": {"_meta": {SUBSCRIPTION: asked.message["id"]}}})
            told = await heard.message()
            assert told["params"]["_meta"] == {SUBSCRIPTION: "mine"}


async def test_a_subscription_that_a_member_ends_is_ended(both: House, kyoto: Speaker) -> None:
    async with subscribed(await at_mcp(both), {"toolsListChanged": True}) as heard:
        assert "method" in await heard.message()
        own = kyoto.listened[0].message["id"]
        kyoto.say({"id": own, "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: own}}})
        kyoto.stop()
        ended = await heard.message()
        assert (ended["id"], ended["result"]["_meta"]) == ("mine", {SUBSCRIPTION: "mine"})
        assert await heard.message() == {}


async def test_members_are_subscribed_to_their_own_resources(both: House, kyoto: Speaker, osaka: Speaker) -> None:
    kyoto.lists["resources"] = [{"uri": "file:///k", "name": "k"}]
    osaka.lists["resources"] = [{"uri": "file:///o", "name": "o"}]
    wanted = {"resourceSubscriptions": ["file:///o", "file:///k", "file:///nobody", 1]}
    osaka.agrees = {"resourceSubscriptions": ["file:///o"]}
    async with subscribed(await at_mcp(both), wanted) as heard:
        agreed = await heard.message()
        assert agreed["params"]["notifications"] == {"resourceSubscriptions": ["file:///o"]}
    asked = [member.listened[0].message["params"]["notifications"] for member in (kyoto, osaka)]
    assert asked == [{"resourceSubscriptions": ["file:///k"]}, {"resourceSubscriptions": ["file:///o"]}]


async def test_where_nobody_can_be_subscribed_to_the_method_is_not_known(tmp_path: Path) -> None:
    async with (
        aggregate(tmp_path, kyoto=Town(["search"])) as built,
        subscribed(await at_mcp(built), {"toolsListChanged": True}) as heard,
    ):
        assert (heard.response.status, (await heard.response.json())["error"]["code"]) == (404, -32601)


async def test_a_caller_without_members_has_nobody_to_listen_to(tmp_path: Path, kyoto: Speaker) -> None:
    async with aggregate(tmp_path, chosen='"none-*"', kyoto=kyoto) as built:
        async with subscribed(await at_mcp(built), {}) as heard:
            assert heard.response.status == 404
        assert kyoto.asked == []


async def test_more_uris_than_one_may_watch_are_refused_and_nobody_is_asked(tmp_path: Path, kyoto: Speaker) -> None:
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        wanted = {"resourceSubscriptions": [f"file:///{number}" for number in range(MOST_WATCHED + 1)]}
        async with subscribed(await at_mcp(built), wanted) as heard:
            error = (await heard.response.json())["error"]
            assert (heard.response.status, error["code"]) == (400, INVALID_PARAMS)
            assert error["message"] == '"params.notifications.resourceSubscriptions" has 1001 URIs; the most are 1000.'
        assert kyoto.asked == []
        assert [row["mcpgov.decision.reason"] for row in await built.records(event="denied")] == ["invalid-message"]


async def test_members_are_asked_for_known_changes_and_nothing_else(tmp_path: Path, kyoto: Speaker) -> None:
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        wanted = {"toolsListChanged": True, "promptsListChanged": False, "others": ["x"], "resourceSubscriptions": 1}
        async with subscribed(await at_mcp(built), wanted) as heard:
            assert (await heard.message())["params"]["notifications"] == {"toolsListChanged": True}
        asked = kyoto.listened[0].message["params"]["notifications"]
        assert asked == {"toolsListChanged": True, "resourceSubscriptions": []}


async def test_one_stream_too_many_of_a_caller_is_refused_and_its_calls_and_other_callers_go_on(
    tmp_path: Path, kyoto: Speaker
) -> None:
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client, other = await at_mcp(built), await at_mcp(built, await built.key("other"))
        session = await opened(client)
        async with AsyncExitStack() as streams:
            for _ in range(Most().streams_per_caller):
                heard = await streams.enter_async_context(listening_in(client, session))
                assert heard.response.status == 200
            async with listening_in(client, session) as refused:
                assert (refused.response.status, refused.response.headers["retry-after"]) == (429, "5")
                assert (await refused.response.json())["error"]["data"]["reason"] == "concurrency-limited"
            assert len(kyoto.listened) == Most().streams_per_caller
            assert (await client.call("kyoto_search")).status == 200
            async with listening_in(other, await opened(other)) as heard:
                assert heard.response.status == 200
        assert [row["mcpgov.decision.reason"] for row in await built.records(event="denied")] == ["concurrency-limited"]
