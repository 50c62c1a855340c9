"""Scoped and rotated keys on the wire: what is out of scope does not exist, and the record says why."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcpgov import app
from mcpgov.cli.replayed import context_of, recorded_of
from mcpgov.identity.api_key import KeyRecord, digest, key_id_of, mint_key
from mcpgov.models import CallerScope
from mcpgov.policy.replay import replay
from mcpgov.reload import load_generation
from tests.flows.house import Client, House, Reply, house
from tests.flows.upstream import CityUpstream, listening
from tests.identity.test_api_key import chooser

CITY = CallerScope(("cit?",), ("get_*", "no_such_*"))
PAGE = "https://app.contoso.com"
CORS = f"inbound: [cors: {{ allowed-origins: [{PAGE}] }}]"


@pytest.fixture
async def gateway(tmp_path: Path, upstream: CityUpstream) -> AsyncGenerator[House]:
    """A gateway with the connections city and town, one of which lets a web page in."""
    async with listening(upstream) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp", cors=CORS)
        yield built


async def scoped(gateway: House, scope: CallerScope, connection: str = "city") -> Client:
    """A client of one connection whose key has this scope."""
    key_id, key = mint_key(chooser(len(connection)).choice)
    async with app.openers().keys(gateway.folder / "mcpgov.yaml") as keys:
        if await keys.find(key_id) is None:
            await keys.create(KeyRecord(key_id, digest(key.reveal()), "scoped", "", datetime.now(UTC), scope=scope))
    return await gateway.client(connection, key.reveal())


def told(reply: Reply) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Everything that a client can see of an answer, but the date and the correlation id."""
    own = reply.headers["x-correlation-id"]
    headers = [(name.lower(), value) for name, value in reply.headers.items() if name.lower() != "date"]
    return (
        reply.status,
        reply.body.replace(own.encode(), b""),
        [(name, value.replace(own, "")) for name, value in headers],
    )


async def test_a_connection_out_of_scope_looks_as_if_there_were_none(gateway: House, upstream: CityUpstream) -> None:
    fields: tuple[dict[str, str], ...] = ({}, {"Origin": PAGE})
    for headers in fields:
        denied = await (await scoped(gateway, replace(CITY, connections=("town",)))).call("get_city", None, **headers)
        nowhere = await scoped(gateway, replace(CITY, connections=("town",)), "none")
        unknown = await nowhere.call("get_city", None, **headers)
        assert told(denied) == told(unknown)
        assert denied.status == (403 if headers else 404)
    assert upstream.ledger == []
    (record,) = await gateway.records(event="denied", **{"mcpgov.decision.reason": "connection-denied"})
    assert record["mcpgov.principal.scope.connections"] == ["town"]
    assert record["mcpgov.connection"] == "city"


async def test_tools_out_of_scope_are_neither_listed_nor_called(gateway: House, upstream: CityUpstream) -> None:
    client = await scoped(gateway, CITY)
    listed = (await client.request("tools/list")).message["result"]
    assert [tool["name"] for tool in listed["tools"]] == ["get_city"]
    assert listed["cacheScope"] == "private"
    upstream.ledger.clear()
    refused = await client.call("delete_city")
    assert refused.message["error"] == {"code": -32602, "message": "Unknown tool: delete_city"}
    assert upstream.ledger == []
    assert (await client.call("get_city")).message["result"]["content"]


async def test_a_decision_by_scope_is_made_again_from_its_record(gateway: House) -> None:
    client = await scoped(gateway, CITY)
    for tool in ("get_city", "delete_city"):
        await client.call(tool)
    snapshot = load_generation(gateway.folder / "mcpgov.yaml")
    found: list[str] = []
    for record in await gateway.records():
        recorded = recorded_of(record)
        context = context_of(record, snapshot)
        if recorded is None or context is None:
            continue
        assert context.principal.scope == CITY
        assert recorded.same_as(replay(snapshot.policy("city"), context, recorded))
        found.append(recorded.reason)
    assert {"allowed", "tool-hidden"} <= set(found)


async def test_both_keys_hold_while_they_overlap(gateway: House) -> None:
    old = await gateway.key()
    old_id = key_id_of(old) or ""
    now = datetime.now(UTC)
    new_id, new = mint_key(chooser(7).choice)
    async with app.openers().keys(gateway.folder / "mcpgov.yaml") as keys:
        successor = KeyRecord(new_id, digest(new.reveal()), "agent", "payments", now)
        assert await keys.rotate(old_id, successor, now + timedelta(hours=24))
        for key in (old, new.reveal()):
            assert (await (await gateway.client(key=key)).call("get_city")).status == 200
        assert not await keys.rotate(old_id, replace(successor, id="another"), now)
    event = await gateway.event("key-rotated")
    assert (event["mcpgov.control.replaces"], event["mcpgov.control.key"]) == (old_id, new_id)


async def test_two_keys_and_a_header_that_is_sent_twice_are_refused(gateway: House, upstream: CityUpstream) -> None:
    first, second = await gateway.key(), await gateway.key()
    reply = await (await gateway.client(key=first)).call("get_city", Authorization=f"Bearer {second}")
    assert reply.message["error"]["data"]["reason"] == "credential-ambiguous"
    assert upstream.ledger == []
