"""One call, found from the agent's trace to the upstream's log: in the answer, the record, the span and the message."""

import asyncio
import contextlib
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typer.testing import CliRunner

from mcpgov import app
from tests.flows.house import HANDSHAKE, META, STATELESS, Client, House, Reply, house, rpc
from tests.flows.upstream import CityUpstream, Seen, listening
from tests.peers.otlp_collector import collecting, named

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLAIM = f"00-{TRACE}-{PARENT}-01"
OTHER = f"00-{'4bf92f35' * 4}-00f067aa0ba902b7-00"
CALL = rpc("tools/call", {"name": "get_city", "arguments": {"pin": "hunter2"}, "_meta": META})
MIRRORS = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "get_city"}
# A local server that answers each request with what it was sent.
ECHO = """\
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = {"resultType": "complete", "content": [], "seen": message.get("params")}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def claiming(traceparent: object) -> bytes:
    return rpc("tools/call", {"name": "get_city", "arguments": {}, "_meta": {**META, "traceparent": traceparent}})


def in_message(seen: Seen) -> str:
    return seen.message["params"]["_meta"]["traceparent"]


async def test_the_upstream_is_told_our_span_in_the_callers_trace_twice(gateway: House, upstream: CityUpstream) -> None:
    reply = await (await gateway.client()).post(claiming(CLAIM), {**MIRRORS, "traceparent": OTHER})
    span = reply.headers["x-correlation-id"][:16]
    seen = upstream.calls[0]
    assert seen.headers["traceparent"] == in_message(seen) == f"00-{TRACE}-{span}-01"
    intent, outcome = await gateway.records(trace_id=TRACE)
    assert (intent["span_id"], outcome["span_id"]) == (span, span)
    assert (intent["mcpgov.parent_span_id"], intent["mcpgov.traceparent"]) == (PARENT, CLAIM)
    assert intent["mcpgov.traceparent.ignored"] == [f"header, overruled: {OTHER}"]


async def test_a_claim_in_the_header_alone_is_followed_and_its_flag_kept(
    gateway: House, upstream: CityUpstream
) -> None:
    reply = await (await gateway.client()).post(CALL, {**MIRRORS, "traceparent": OTHER})
    seen, span = upstream.calls[0], reply.headers["x-correlation-id"][:16]
    assert seen.headers["traceparent"] == in_message(seen) == f"00-{OTHER.split('-')[1]}-{span}-00"


async def test_without_a_good_claim_the_trace_begins_here(gateway: House, upstream: CityUpstream) -> None:
    reply = await (await gateway.client()).post(claiming({"not": "text"}), {**MIRRORS, "traceparent": CLAIM.upper()})
    ours = reply.headers["x-correlation-id"]
    assert in_message(upstream.calls[0]) == f"00-{ours}-{ours[:16]}-01"
    (intent,) = await gateway.records(event="intent", trace_id=ours)
    assert intent["mcpgov.traceparent.ignored"] == [
        "_meta, malformed: dict",
        f"header, malformed: {CLAIM.upper()}",
    ]


async def test_initialize_has_the_header_alone(gateway: House, upstream: CityUpstream) -> None:
    params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    reply = await (await gateway.client()).handshake_request("initialize", params)
    seen = upstream.ledger[0]
    assert seen.message["params"] == params
    assert seen.headers["traceparent"].split("-")[1] == reply.headers["x-correlation-id"]


async def test_a_local_server_reads_our_span_in_the_message(gateway: House) -> None:
    gateway.write("echo.py", ECHO)
    gateway.write(
        "catalog/echo.yaml",
        "name: dev.mcpgov/echo\nversion: 1.0.0\ndescription: echo\n"
        f"command: [{sys.executable}, {gateway.folder / 'echo.py'}]\nconnections:\n  echo: {{ authType: None }}\n",
    )
    gateway.reload()
    reply = await (await gateway.client("echo")).post(claiming(CLAIM), MIRRORS)
    meta = reply.message["result"]["seen"]["_meta"]
    assert meta["traceparent"] == f"00-{TRACE}-{reply.headers['x-correlation-id'][:16]}-01"


async def test_every_id_of_a_call_finds_its_records(gateway: House) -> None:
    reply = await (await gateway.client()).post(claiming(CLAIM), MIRRORS)
    ours = reply.headers["x-correlation-id"]
    await gateway.records()
    config = str(gateway.folder / "mcpgov.yaml")
    for identifier in (TRACE, ours, ours[:16]):
        shown = CliRunner().invoke(app.build_cli(), ["audit", "show", identifier, "--config", config, "--json"])
        assert [shown.stdout.count(f'"event": "{event}"') for event in ("intent", "outcome")] == [1, 1]


POLICY = """\
inbound:
  - trace: { source: owners, severity: verbose, message: "asked by ${{ principal.name }}" }
  - choose:
      when:
        - condition: 'request.headers["x-refuse"] == "address"'
          do: [ { ip-filter: { action: forbid, addresses: [127.0.0.1] } } ]
        - condition: 'request.headers["x-refuse"] == "rate"'
          do: [ { rate-limit-by-key: { calls: 1, renewal-period: 300, counter-key: principal.id } } ]
  - tool-rules: { deny: [ { tool: rename_city, hide: false, message: No. } ] }
"""


def told(reply: Reply) -> str:
    """The correlation id that the body of a refusal has."""
    message = reply.message
    if "error" in message:
        return message["error"]["data"]["correlationId"]
    return message["result"]["_meta"]["io.github.mcpgov/decision"]["correlationId"]


async def refusals(gateway: House) -> list[tuple[int, Reply]]:
    """One refusal of each kind, and the status that it should have."""
    client = await gateway.client()
    stranger = await gateway.client(key="")
    elsewhere = await gateway.client("nowhere")
    refuse = {**MIRRORS, "x-refuse": "rate"}
    await client.post(CALL, refuse)
    return [
        (401, await stranger.post(CALL, MIRRORS)),
        (403, await client.post(CALL, {**MIRRORS, "x-refuse": "address"})),
        (404, await elsewhere.post(CALL, MIRRORS)),
        (400, await client.post(b"{", MIRRORS)),
        (413, await client.post(b" " * 5_000_000, MIRRORS)),
        (415, await client.post(CALL, {**MIRRORS, "Content-Type": "text/plain"})),
        (421, await client.post(CALL, {**MIRRORS, "Host": "elsewhere.example"})),
        (429, await client.post(CALL, refuse)),
        (200, await client.call("rename_city")),
    ]


async def test_every_refusal_carries_the_id_that_leads_to_its_record(gateway: House) -> None:
    await gateway.govern_by(POLICY)
    for status, reply in await refusals(gateway):
        ours = reply.headers["x-correlation-id"]
        assert (reply.status, told(reply)) == (status, ours)
        assert len(await gateway.records(event="denied", correlation_id=ours, span_id=ours[:16])) == 1


async def test_an_upstream_that_is_not_there_is_told_of_with_the_id_too(gateway: House) -> None:
    await gateway.furnish("http://127.0.0.1:9/mcp")
    gone = await (await gateway.client()).call("get_city")
    assert (gone.status, told(gone)) == (502, gone.headers["x-correlation-id"])


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that begins to answer, and is gone."""
    await reader.readuntil(b"\r\n\r\n")
    event = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head + b"%x\r\n%s\r\n" % (len(event), event))
    await writer.drain()
    writer.close()


async def test_an_event_that_ends_a_stream_early_carries_it_too(gateway: House) -> None:
    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        await gateway.furnish(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
        reply = await (await gateway.client()).call("get_city")
    assert reply.headers["content-type"] == "text/event-stream"
    assert told(reply) == reply.headers["x-correlation-id"]


async def test_a_call_that_cannot_be_written_down_is_refused_with_the_id(gateway: House) -> None:
    client = await gateway.client()
    with contextlib.closing(sqlite3.connect(gateway.folder / "audit.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        reply = await client.call("get_city")
        other.execute("ROLLBACK")
    assert (reply.status, told(reply)) == (503, reply.headers["x-correlation-id"])


async def traced_call(folder: Path, upstream: CityUpstream, body: bytes) -> tuple[Reply, House]:
    """One call through a gateway that has ended since."""
    async with listening(upstream) as url, house(folder) as gateway:
        await gateway.furnish(f"{url}/mcp", rules=POLICY)
        client: Client = await gateway.client()
        return await client.post(body, MIRRORS), gateway


async def test_the_span_of_a_call_has_the_ids_of_its_record(
    tmp_path: Path, upstream: CityUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        reply, gateway = await traced_call(tmp_path, upstream, claiming(CLAIM))
        everything = b"".join(collector.bodies)
    server, client = collector.spans
    (intent,) = await gateway.records(event="intent")
    found: Any = (server.trace_id.hex(), server.span_id.hex(), server.parent_span_id.hex())
    assert (
        found == (intent["trace_id"], intent["span_id"], intent["mcpgov.parent_span_id"]) == (TRACE, found[1], PARENT)
    )
    assert upstream.calls[0].headers["traceparent"].split("-")[2] == server.span_id.hex()
    assert (client.kind, client.parent_span_id) == (Span.SPAN_KIND_CLIENT, server.span_id)
    assert named(server.attributes)["mcpgov.correlation_id"] == reply.headers["x-correlation-id"]
    assert named(server.events[0].attributes)["mcpgov.trace.message"] == "asked by agent"
    assert set(collector.metrics) == {"mcp.server.operation.duration", "mcp.client.operation.duration"}
    assert b"city-secret" not in everything


async def test_no_argument_of_a_call_is_exported(
    tmp_path: Path, upstream: CityUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        await traced_call(tmp_path, upstream, CALL)
    assert len(collector.spans) == 2
    assert not any(b"hunter2" in body for body in collector.bodies)


async def test_a_collector_that_is_not_there_fails_no_call(
    tmp_path: Path, upstream: CityUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    reply, gateway = await traced_call(tmp_path, upstream, CALL)
    assert reply.status == 200
    assert len(await gateway.records(event="outcome")) == 1
