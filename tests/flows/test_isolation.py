"""Whose a session, a task and an event are: each caller by each connection, against every other.

Every server here gives the same ids, which anybody could guess; what each of them saw is the witness.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.aggregate.houses import entry
from tests.flows.house import Client, House, Reply, house
from tests.flows.keeper import EVENT, RELATED, SESSION, TASK, Keeper
from tests.flows.upstream import listening

NAMES = ("a", "b", "c", "d")
Place = tuple[str, str]  # a caller and a connection


@dataclass
class World:
    """A gateway with four connections, each to a server of its own, and four callers."""

    gateway: House
    keepers: Mapping[str, Keeper]
    urls: Mapping[str, str]
    clients: Mapping[Place, Client]

    def forget(self) -> None:
        """Begin every server's ledger anew."""
        for keeper in self.keepers.values():
            keeper.ledger.clear()

    @property
    def seen(self) -> int:
        """How many requests came to any server."""
        return sum(len(keeper.ledger) for keeper in self.keepers.values())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with AsyncExitStack() as stack:
        keepers = {name: Keeper() for name in NAMES}
        urls = {name: await stack.enter_async_context(listening(keepers[name])) for name in NAMES}
        gateway = await stack.enter_async_context(house(tmp_path, audit=", durability: os-cache"))
        for name in NAMES:
            gateway.write(f"catalog/{name}.yaml", entry(name, f"{urls[name]}/mcp"))
        gateway.reload()
        keys = {name: await gateway.key(name) for name in NAMES}
        clients = {(who, where): await gateway.client(where, keys[who]) for who in NAMES for where in NAMES}
        yield World(gateway, keepers, urls, clients)


async def session_of(client: Client) -> str:
    reply = await client.handshake_request("initialize", {"protocolVersion": "2025-11-25"})
    return reply.headers["mcp-session-id"]


async def task_of(client: Client, *, stateless: bool) -> str:
    if stateless:
        return (await client.call("start")).message["result"]["taskId"]
    reply = await client.handshake_request("tools/call", {"name": "start", "task": {}})
    return reply.message["result"]["task"]["taskId"]


async def stream(client: Client, session: str, last: str) -> Reply:
    """Come back to a stream."""
    headers = {**client.headers, "Mcp-Session-Id": session, "Last-Event-ID": last}
    async with client.http.get(client.url, headers=headers) as response:
        return Reply(response.status, response.headers, await response.read())


async def test_a_session_is_good_for_its_caller_on_its_connection_and_for_no_other_of_16(world: World) -> None:
    sessions = {place: await session_of(client) for place, client in world.clients.items()}
    assert len(set(sessions.values())) == len(sessions)
    for owner, session in sessions.items():
        for place, client in world.clients.items():
            world.forget()
            reply = await client.handshake_request("tools/list", mcp_session_id=session)
            assert (reply.status, world.seen) == ((200, 1) if place == owner else (404, 0)), (owner, place)
            assert place == owner or reply.message["error"]["data"]["reason"] == "unknown-session"
        assert (await world.clients[owner].handshake_request("ping", mcp_session_id=SESSION)).status == 404
    denied = await world.gateway.records(event="denied")
    assert len(denied) == 16 * 15 + 16
    assert {str(record["mcpgov.decision.reason"]) for record in denied} == {"unknown-session"}


@pytest.mark.parametrize("stateless", [True, False])
async def test_a_task_is_its_callers_on_its_connection_and_no_others_of_16(world: World, *, stateless: bool) -> None:
    tasks = {place: await task_of(client, stateless=stateless) for place, client in world.clients.items()}
    assert len(set(tasks.values())) == len(tasks)

    async def ask(client: Client, task: str) -> Reply:
        named = {"mcp_name": task} if stateless else {}
        return await (client.request if stateless else client.handshake_request)("tasks/get", {"taskId": task}, **named)

    for owner, task in tasks.items():
        for place, client in world.clients.items():
            world.forget()
            message = (await ask(client, task)).message
            if place == owner:
                assert message["result"]["taskId"] == task
                assert [sent["taskId"] for sent in world.keepers[owner[1]].params("tasks/get")] == [TASK]
            else:
                assert (message["error"]["code"], world.seen) == (-32602, 0), (owner, place)
                assert message["error"]["data"]["reason"] == "unknown-task"
        assert (await ask(world.clients[owner], TASK)).message["error"]["code"] == -32602


async def test_an_event_is_come_back_to_by_its_caller_in_its_session_and_by_nobody_else(world: World) -> None:
    sessions = {place: await session_of(client) for place, client in world.clients.items()}
    events: dict[Place, str] = {}
    for place, client in world.clients.items():
        headers = {**client.headers, "Mcp-Session-Id": sessions[place]}
        async with client.http.get(client.url, headers=headers) as response:
            events[place] = (await response.text()).splitlines()[0].removeprefix("id: ")
    assert len(set(events.values())) == len(events)
    for owner, event in events.items():
        for place, client in world.clients.items():
            world.forget()
            reply = await stream(client, sessions[place], event)
            assert (reply.status, world.seen) == ((200, 1) if place == owner else (404, 0)), (owner, place)
        (came,) = (await after(world, owner, sessions, events)).ledger
        assert (came.headers["last-event-id"], came.headers["mcp-session-id"]) == (EVENT, SESSION)
        assert (await stream(world.clients[owner], sessions[owner], EVENT)).status == 404


async def after(world: World, owner: Place, sessions: Mapping[Place, str], events: Mapping[Place, str]) -> Keeper:
    """The owner's server, once the owner alone has come back."""
    world.forget()
    await stream(world.clients[owner], sessions[owner], events[owner])
    return world.keepers[owner[1]]


async def test_a_session_lives_through_a_change_of_policy_and_the_new_policy_decides(world: World) -> None:
    client = world.clients["a", "a"]
    session, task = await session_of(client), await task_of(client, stateless=False)
    world.gateway.write("policies/no.yaml", "inbound: [tool-rules: { allow: [list_*] }]")
    world.gateway.write("catalog/a.yaml", entry("a", f"{world.urls['a']}/mcp", "[no]"))
    world.gateway.reload()
    world.forget()
    called = await client.handshake_request("tools/call", {"name": "start"}, mcp_session_id=session)
    assert (called.message["error"]["code"], world.seen) == (-32602, 0)
    assert (await client.handshake_request("tools/call", {"name": "list_x"}, mcp_session_id=session)).status == 200
    assert (await client.handshake_request("tasks/get", {"taskId": task})).message["result"]["taskId"] == task
    other = await world.clients["b", "a"].handshake_request("tools/call", {"name": "list_x"}, mcp_session_id=session)
    assert other.status == 404


async def test_what_one_upstream_gave_is_never_sent_to_the_one_that_stands_there_after_a_reload(world: World) -> None:
    client = world.clients["a", "a"]
    session, task = await session_of(client), await task_of(client, stateless=True)
    world.gateway.write("catalog/a.yaml", entry("a", f"{world.urls['b']}/mcp"))
    world.gateway.reload()
    world.forget()
    assert (await client.handshake_request("tools/list", mcp_session_id=session)).status == 404
    assert (await client.request("tasks/get", {"taskId": task}, mcp_name=task)).message["error"]["code"] == -32602
    assert world.seen == 0
    assert (await client.handshake_request("tools/list", mcp_session_id=await session_of(client))).status == 200


ROUTES = """\
inbound:
  - choose:
      when:
        - condition: '"x-other" in request.headers'
          do: [{ set-backend-service: { base-url: "URL" } }]
"""


async def test_what_one_backend_gave_is_never_sent_to_another_that_a_policy_chooses(world: World) -> None:
    client = world.clients["a", "a"]
    text = entry("a", f"{world.urls['a']}/mcp", "[routes]")
    text = text.replace("authType", f"backends: [{world.urls['b']}], authType")
    world.gateway.write("policies/routes.yaml", ROUTES.replace("URL", world.urls["b"]))
    world.gateway.write("catalog/a.yaml", text)
    world.gateway.reload()
    session = await session_of(client)
    world.forget()
    assert (await client.handshake_request("ping", mcp_session_id=session, x_other="1")).status == 404
    assert world.seen == 0
    assert (await client.handshake_request("ping", x_other="1")).status == 200
    assert (await client.handshake_request("ping", mcp_session_id=session)).status == 200
    assert [len(world.keepers[name].ledger) for name in ("a", "b")] == [1, 1]


async def test_another_gateway_knows_none_of_it(world: World, tmp_path: Path) -> None:
    client = world.clients["a", "a"]
    session, task = await session_of(client), await task_of(client, stateless=False)
    (tmp_path / "other").mkdir()
    async with house(tmp_path / "other") as other:
        other.write("catalog/a.yaml", entry("a", f"{world.urls['a']}/mcp"))
        other.reload()
        there = await other.client("a")
        world.forget()
        assert (await there.handshake_request("tools/list", mcp_session_id=session)).status == 404
        assert (await there.handshake_request("tasks/get", {"taskId": task})).message["error"]["code"] == -32602
        assert world.seen == 0


async def test_tasks_of_a_server_are_not_listed_and_its_record_has_the_servers_own_ids(world: World) -> None:
    client = world.clients["a", "a"]
    session = await session_of(client)
    reply = await client.handshake_request("tasks/list", {}, mcp_session_id=session)
    assert reply.message["error"]["code"] == -32601
    task = await task_of(client, stateless=False)
    done = await client.handshake_request("tasks/result", {"taskId": task}, mcp_session_id=session)
    assert done.message["result"]["_meta"][RELATED]["taskId"] == task
    assert world.keepers["a"].params("tasks/list") == []
    assert world.keepers["a"].sessions == {SESSION, None}
    assert world.gateway.running is not None
    own = world.gateway.running.ledger.digester.text(SESSION)
    (record,) = await world.gateway.records(event="intent", **{"mcp.method.name": "tasks/result"})
    assert record["mcpgov.session.digest"] == own
