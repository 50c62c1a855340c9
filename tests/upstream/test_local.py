"""Local servers: one process a session, sessions that end, the bound on processes, reload and stop.

The witness is what the server processes themselves report.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Era, Kind, LocalUpstream, MCPRequest, Secret
from mcpgov.upstream.local import LocalForwarder, LocalLimits
from mcpgov.upstream.stdio_process import StdioLimits
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, body_of, call, starting, to
from tests.upstream.stdio_witness import Witness, witnessing

QUICK = LocalLimits(stdio=StdioLimits(grace=0.2))


@pytest.fixture
async def witness() -> AsyncGenerator[Witness, None]:
    async with witnessing() as watching:
        yield watching


@pytest.fixture
async def local() -> AsyncGenerator[LocalForwarder, None]:
    made = LocalForwarder(QUICK)
    yield made
    await made.close()


async def sent(local: LocalForwarder, connection: Connection, request: MCPRequest) -> tuple[int, Any]:
    """The status and the message of a call that is answered in JSON."""
    async with local.forward(request, connection, ALLOWED, NOBODY) as answer:
        body = await body_of(answer)
        return answer.status, json.loads(body) if body else None


async def opened(local: LocalForwarder, connection: Connection) -> str:
    """A new session's id."""
    async with local.forward(call("initialize", request_id=0), connection, ALLOWED, NOBODY) as answer:
        assert (answer.status, answer.streaming) == (200, False)
        assert json.loads(await body_of(answer))["result"]["protocolVersion"] == "2025-11-25"
        return answer.headers.get("mcp-session-id")


async def refused(local: LocalForwarder, connection: Connection, request: MCPRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await sent(local, connection, request)
    return refusal.value


def tool(name: str, session: str = "", request_id: int = 1, **arguments: Any) -> MCPRequest:
    params = {"name": name, "arguments": arguments}
    return call("tools/call", params, session_id=session, request_id=request_id)


async def test_every_session_has_a_process_of_its_own(local: LocalForwarder, witness: Witness) -> None:
    first, second = [await opened(local, witness.connection()) for _ in range(2)]
    await sent(local, witness.connection(), tool("echo", first))
    await sent(local, witness.connection(), tool("echo", second))
    assert first != second
    assert [len(await process.got_lines(2)) for process in witness.processes] == [2, 2]
    assert len({process.pid for process in witness.processes}) == 2


async def test_a_session_is_unknown_without_its_id_by_a_wrong_one_and_on_another_connection(
    local: LocalForwarder, witness: Witness
) -> None:
    session = await opened(local, witness.connection())
    other = witness.connection(name="other")
    assert (await refused(local, witness.connection(), tool("echo"))).reason is Reason.INVALID_MESSAGE
    assert (await refused(local, witness.connection(), tool("echo", "x"))).reason is Reason.UNKNOWN_SESSION
    assert (await refused(local, other, tool("echo", session))).reason is Reason.UNKNOWN_SESSION
    assert (await refused(local, other, bodiless(Kind.STREAM, ""))).reason is Reason.INVALID_MESSAGE


async def test_a_session_of_another_replica_is_said_to_be_there_and_its_name_stays_in_the_record(
    witness: Witness,
) -> None:
    one, other = (LocalForwarder(QUICK, here=name) for name in ("pod-1.local-7", "pod-2.local-9"))
    session = await opened(one, witness.connection())
    assert session.startswith("pod-1.local-7.")
    refusal = await refused(other, witness.connection(), tool("echo", session))
    assert (refusal.reason, refusal.message.partition(":")[0]) == (
        Reason.UNKNOWN_SESSION,
        "This session is kept by another replica of the gateway",
    )
    assert refusal.detail == "it is kept at pod-1.local-7, and this is pod-2.local-9"
    assert await sent(one, witness.connection(), bodiless(Kind.END, session)) == (204, None)
    refusal = await refused(one, witness.connection(), tool("echo", session))
    assert refusal.message == "There is no such session; send initialize again."
    for local in (one, other):
        await local.close()


async def test_delete_ends_the_process_and_the_session(local: LocalForwarder, witness: Witness) -> None:
    session = await opened(local, witness.connection())
    assert await sent(local, witness.connection(), bodiless(Kind.END, session)) == (204, None)
    assert (await refused(local, witness.connection(), tool("echo", session))).reason is Reason.UNKNOWN_SESSION
    await (await witness.process()).ended()


async def test_a_process_that_dies_resets_the_call_and_ends_the_session(
    local: LocalForwarder, witness: Witness
) -> None:
    session = await opened(local, witness.connection())
    assert (await refused(local, witness.connection(), tool("die", session))).reason is Reason.UPSTREAM_RESET
    assert (await refused(local, witness.connection(), tool("echo", session))).reason is Reason.UNKNOWN_SESSION


async def test_a_refused_initialize_leaves_no_session_and_no_process(local: LocalForwarder, witness: Witness) -> None:
    async with local.forward(call("initialize"), witness.connection("--refuses"), ALLOWED, NOBODY) as answer:
        assert "mcp-session-id" not in answer.headers
        assert json.loads(await body_of(answer))["error"]["code"] == -32602
    await (await witness.process()).ended()


async def test_an_idle_session_ends(witness: Witness) -> None:
    local = LocalForwarder(replace(QUICK, idle=0.3))
    session = await opened(local, witness.connection())
    await (await witness.process()).ended()
    assert (await refused(local, witness.connection(), tool("echo", session))).reason is Reason.UNKNOWN_SESSION
    await local.close()


async def test_a_session_with_an_open_stream_is_not_idle(witness: Witness) -> None:
    local = LocalForwarder(replace(QUICK, idle=0.3))
    session = await opened(local, witness.connection())
    async with local.forward(bodiless(Kind.STREAM, session), witness.connection(), ALLOWED, NOBODY) as answer:
        waiting = asyncio.ensure_future(anext(answer.events))
        done, _ = await asyncio.wait({waiting}, timeout=0.9)
        assert not done
        assert (await sent(local, witness.connection(), tool("echo", session)))[0] == 200
        waiting.cancel()
        await asyncio.wait({waiting})
    await (await witness.process()).ended()
    await local.close()


async def test_no_more_processes_than_the_limit(witness: Witness) -> None:
    local = LocalForwarder(replace(QUICK, processes=1))
    await opened(local, witness.connection())
    refusal = await refused(local, witness.connection(), call("initialize"))
    assert (refusal.reason, refusal.headers) == (Reason.OVERLOADED, (("Retry-After", "5"),))
    stateless = call("tools/list", era=Era.STATELESS)
    assert (await refused(local, witness.connection(), stateless)).reason is Reason.OVERLOADED
    await local.close()


async def test_sessions_leave_room_for_shared_servers(witness: Witness) -> None:
    local = LocalForwarder(replace(QUICK, processes=10))
    initializing = (sent(local, witness.connection(), call("initialize")) for _ in range(20))  # at once
    answers = await asyncio.gather(*initializing, return_exceptions=True)
    refusals = [answer.reason for answer in answers if isinstance(answer, Refusal)]
    assert refusals == [Reason.OVERLOADED] * 11
    assert (await sent(local, witness.connection(), call("tools/list", era=Era.STATELESS)))[0] == 404
    other = witness.connection(name="other")
    assert (await refused(local, other, call("tools/list", era=Era.STATELESS))).reason is Reason.OVERLOADED
    await local.close()
    assert await witness.process(9) is witness.processes[-1]


async def test_a_command_that_is_not_there_is_unreachable(local: LocalForwarder) -> None:
    refusal = await refused(local, starting("no-such-command"), call("initialize"))
    assert (refusal.reason, refusal.detail) == (Reason.UPSTREAM_UNREACHABLE, "FileNotFoundError")


async def test_a_server_that_does_not_answer_in_time_is_a_timeout(local: LocalForwarder, witness: Witness) -> None:
    session = await opened(local, witness.connection())
    hasty = witness.connection(timeout=0.1)
    assert (await refused(local, hasty, tool("silent", session))).reason is Reason.UPSTREAM_TIMEOUT
    assert (await sent(local, hasty, tool("echo", session, 2)))[0] == 200  # the session lives on


async def test_a_server_that_does_not_read_is_a_timeout(local: LocalForwarder, witness: Witness) -> None:
    deaf = witness.connection("--deaf", timeout=0.3)
    assert (await refused(local, deaf, call("initialize"))).reason is Reason.UPSTREAM_TIMEOUT
    note = call("notifications/x", {"text": "x" * 500_000}, request_id=None, era=Era.STATELESS)
    assert await sent(local, deaf, note) == (202, None)  # the pipe and our buffer take the first
    assert (await refused(local, deaf, note)).reason is Reason.UPSTREAM_TIMEOUT


async def test_close_leaves_no_process_however_stubborn(witness: Witness) -> None:
    local = LocalForwarder(QUICK)
    await opened(local, witness.connection("--stubborn"))
    await sent(local, witness.connection("--stubborn"), call("tools/list", era=Era.STATELESS))
    await local.close()
    for process in witness.processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
    assert len(witness.processes) == 2


async def test_a_session_survives_a_reload_that_keeps_its_connection(local: LocalForwarder, witness: Witness) -> None:
    session = await opened(local, witness.connection())
    await local.update([witness.connection(), to("http://127.0.0.1/")])
    assert (await sent(local, witness.connection(), tool("echo", session)))[0] == 200


async def test_a_session_ends_with_its_connection_when_nothing_is_open(local: LocalForwarder, witness: Witness) -> None:
    session = await opened(local, witness.connection())
    await sent(local, witness.connection(), call("tools/list", era=Era.STATELESS))
    await local.update([witness.connection(key="another")])
    for process in witness.processes:
        await process.ended()
    changed = witness.connection(key="another")
    assert (await refused(local, changed, tool("echo", session))).reason is Reason.UNKNOWN_SESSION


async def test_a_call_ends_on_the_generation_it_began_with(local: LocalForwarder, witness: Witness) -> None:
    connection = witness.connection()
    session = await opened(local, connection)
    stream, progress = bodiless(Kind.STREAM, session), tool("progress", session)
    async with (
        local.forward(stream, connection, ALLOWED, NOBODY) as listening,
        local.forward(progress, connection, ALLOWED, NOBODY) as answer,
        local.forward(replace(progress, era=Era.STATELESS), connection, ALLOWED, NOBODY) as shared,
    ):
        await local.update([])
        assert await body_of(listening) == b""
        assert b'"result"' in await body_of(answer)
        assert b'"result"' in await body_of(shared)
    for process in witness.processes:
        await process.ended()
    assert await opened(local, connection)  # began before the reload, was not sent until after it
    await (await witness.process(2)).ended()


@pytest.mark.parametrize("changes", [Changes(backend="https://example.com"), Changes(path="/other")])
async def test_a_policy_cannot_send_a_local_server_elsewhere(local: LocalForwarder, changes: Changes) -> None:
    decision = Decision(Reason.ALLOWED, changes=changes)
    with pytest.raises(Refusal, match="policy-error"):
        async with local.forward(call("initialize"), starting("x"), decision, NOBODY):
            pass
    with pytest.raises(TypeError, match="test"):
        async with local.forward(call("initialize"), to("http://127.0.0.1/"), ALLOWED, NOBODY):
            pass


async def test_the_server_runs_where_and_with_what_the_entry_says(
    local: LocalForwarder, witness: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("MCPGOV_SECRET", "ours")
    monkeypatch.setenv("LANG", "C.UTF-8")
    connection = witness.connection()
    assert isinstance(connection.upstream, LocalUpstream)
    upstream = replace(connection.upstream, working_directory=str(tmp_path))
    upstream = replace(upstream, environment=(*upstream.environment, ("LANG", Secret("xx"))))
    connection = replace(connection, upstream=upstream)
    _, message = await sent(local, connection, tool("environment", await opened(local, connection)))
    assert message["result"]["cwd"] == str(tmp_path)
    environment = message["result"]["environment"]
    assert environment["LANG"] == "xx"
    assert "MCPGOV_SECRET" not in environment
