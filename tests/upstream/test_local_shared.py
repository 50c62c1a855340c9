"""STATELESS over stdio: one process for all, names minted and mapped back, cancellation, restarts, fallback.

The witness is what the server process itself reports.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Era, Json, LocalUpstream, MCPRequest
from mcpgov.upstream.local import LocalForwarder, LocalLimits
from mcpgov.upstream.local_shared import MAILBOX_BYTES, Restarts, SharedServer, belongs_to
from mcpgov.upstream.stdio_process import StdioLimits, StdioProcess
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, events_of
from tests.upstream.stdio_witness import BreakingProcess, Witness, witnessing

QUICK = LocalLimits(stdio=StdioLimits(grace=0.2, message_bytes=64 << 20))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def witness() -> AsyncGenerator[Witness, None]:
    async with witnessing() as watching:
        yield watching


@pytest.fixture
async def local(clock: Clock) -> AsyncGenerator[LocalForwarder, None]:
    made = LocalForwarder(QUICK, clock)
    yield made
    await made.close()


def tool(name: str, request_id: str | int = 1, token: Any = None, **arguments: Any) -> MCPRequest:
    meta: dict[str, Any] = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "x-kept": [1.5, "\u2028"]}
    if token is not None:
        meta["progressToken"] = token
    params = {"name": name, "arguments": arguments, "_meta": meta, "x-unknown": {"big": 12345678901234567890}}
    return call("tools/call", params, request_id=request_id, era=Era.STATELESS)


def method(name: str, **params: Any) -> MCPRequest:
    return call(name, params, era=Era.STATELESS)


async def sent(local: LocalForwarder, connection: Connection, request: MCPRequest) -> tuple[int, Any]:
    async with local.forward(request, connection, ALLOWED, NOBODY) as answer:
        assert not answer.streaming
        body = await body_of(answer)
        return answer.status, json.loads(body) if body else None


async def streamed(local: LocalForwarder, connection: Connection, request: MCPRequest) -> list[Any]:
    async with local.forward(request, connection, ALLOWED, NOBODY) as answer:
        assert (answer.status, answer.streaming) == (200, True)
        return [json.loads(event.data or b"") for event in await events_of(answer)]


async def refused(local: LocalForwarder, connection: Connection, request: MCPRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await sent(local, connection, request)
    return refusal.value


async def test_callers_with_the_same_id_share_a_process_and_get_their_own_answers(
    local: LocalForwarder, witness: Witness
) -> None:
    names = [f"tool-{number}" for number in range(20)]
    answers = await asyncio.gather(*(sent(local, witness.connection(), tool(name, "same")) for name in names))
    assert [message["result"]["tool"] for _, message in answers] == names
    assert {message["id"] for _, message in answers} == {"same"}
    assert len(witness.processes) == 1
    assert len({line["id"] for line in await witness.processes[0].got_lines(20)}) == 20


async def test_only_the_names_are_changed_on_the_way_in(local: LocalForwarder, witness: Witness) -> None:
    request = tool("echo", "caller-id", token="caller-token")
    await sent(local, witness.connection(), request)
    got = await (await witness.process()).got("tools/call")
    minted = got["id"]
    assert isinstance(minted, int)
    expected = json.loads(request.body)
    expected["id"] = expected["params"]["_meta"]["progressToken"] = minted
    assert got == expected


async def test_only_the_names_are_changed_on_the_way_back(local: LocalForwarder, witness: Witness) -> None:
    _, message = await sent(local, witness.connection(), tool("exact", "a"))
    assert list(message) == ["id", "x-top", "jsonrpc", "result"]
    assert message == {"id": "a", "x-top": [1.5, "\u2028\u2028"], "jsonrpc": "2.0", "result": {}}


@pytest.mark.parametrize("token", ["t", 0, 7])
async def test_progress_comes_back_with_the_callers_token(
    local: LocalForwarder, witness: Witness, token: str | int
) -> None:
    first, second, last = await streamed(local, witness.connection(), tool("progress", 9, token))
    assert [first["params"]["progressToken"], second["params"]["progressToken"]] == [token, token]
    assert (first["params"]["progress"], last["id"]) == (0, 9)


async def test_progress_that_nobody_asked_for_is_told_to_nobody(local: LocalForwarder, witness: Witness) -> None:
    assert (await sent(local, witness.connection(), tool("progress", 9)))[1]["id"] == 9


async def test_a_subscription_comes_back_under_the_callers_id_and_ends(local: LocalForwarder, witness: Witness) -> None:
    await sent(local, witness.connection(), tool("echo"))  # so that minted and own ids differ
    listen = call("subscriptions/listen", {}, request_id="sub", era=Era.STATELESS)
    acknowledged, cancelled = await streamed(local, witness.connection(), listen)
    assert acknowledged["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "sub"}
    assert cancelled["params"] == {"requestId": "sub"}


async def test_what_belongs_to_no_one_caller_is_told_to_none(local: LocalForwarder, witness: Witness) -> None:
    assert await sent(local, witness.connection(), tool("noise")) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})


async def test_a_request_of_the_servers_own_is_refused_so_that_it_does_not_wait(
    local: LocalForwarder, witness: Witness
) -> None:
    _, message = await sent(local, witness.connection(), tool("ask"))
    assert (message["result"]["got"]["id"], message["result"]["got"]["error"]["code"]) == ("from-server", -32601)


async def test_a_caller_that_leaves_before_the_answer_cancels_its_request(
    local: LocalForwarder, witness: Witness
) -> None:
    waiting = asyncio.ensure_future(sent(local, witness.connection(), tool("silent")))
    asked = await (await witness.process()).got("tools/call")
    waiting.cancel()
    await asyncio.wait({waiting})
    cancelled = await (await witness.process()).got("notifications/cancelled")
    assert cancelled["params"] == {"requestId": asked["id"]}


async def test_a_timeout_cancels_too_and_an_answered_request_is_not_cancelled(
    local: LocalForwarder, witness: Witness
) -> None:
    await sent(local, witness.connection(), tool("echo"))
    timeout = await refused(local, witness.connection(timeout=0.05), tool("silent"))
    assert timeout.reason is Reason.UPSTREAM_TIMEOUT
    cancelled = await (await witness.process()).got("notifications/cancelled")
    assert cancelled["params"]["requestId"] == witness.processes[0].lines[1]["id"]


async def test_a_minted_name_says_nothing_of_the_next(local: LocalForwarder, witness: Witness) -> None:
    for _ in range(10):
        await sent(local, witness.connection(), tool("echo"))
    minted = [line["id"] for line in await (await witness.process()).got_lines(10)]
    assert len({after - before for before, after in itertools.pairwise(minted)}) == 9
    assert min(minted) > 1 << 21  # all ten are smaller once in 10 ** 8 runs
    assert max(minted) < 1 << 53


async def test_no_caller_can_cancel_anothers_request(local: LocalForwarder, witness: Witness) -> None:
    cancel = call("notifications/cancelled", {"requestId": 1}, request_id=None, era=Era.STATELESS)
    other = call("notifications/other", {}, request_id=None, era=Era.STATELESS)
    assert await sent(local, witness.connection(), cancel) == (202, None)
    assert await sent(local, witness.connection(), other) == (202, None)
    await (await witness.process()).got("notifications/other")
    assert len(witness.processes[0].lines) == 1


async def test_initialize_never_reaches_the_shared_process(local: LocalForwarder, witness: Witness) -> None:
    status, message = await sent(local, witness.connection(), method("initialize"))
    assert (status, message["error"]["code"], witness.processes) == (404, -32601, [])


async def test_an_unknown_method_is_404_and_other_errors_are_200(local: LocalForwarder, witness: Witness) -> None:
    status, message = await sent(local, witness.connection(), method("no/such"))
    assert (status, message["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize("flag", ["--handshake", "--dies"])
async def test_a_handshake_server_is_told_as_one_so_that_clients_fall_back(
    local: LocalForwarder, witness: Witness, flag: str
) -> None:
    status, message = await sent(local, witness.connection(flag), method("server/discover"))
    assert (status, message) == (
        404,
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}},
    )


async def test_a_server_that_dies_resets_what_is_open_and_is_started_again(
    local: LocalForwarder, witness: Witness
) -> None:
    waiting = asyncio.ensure_future(refused(local, witness.connection(), tool("silent")))
    assert (await refused(local, witness.connection(), tool("die"))).reason is Reason.UPSTREAM_RESET
    assert (await waiting).reason is Reason.UPSTREAM_RESET
    assert (await sent(local, witness.connection(), tool("echo")))[0] == 200
    assert await witness.process(1) is witness.processes[-1]


async def test_a_server_that_keeps_dying_is_started_less_and_less_often(
    local: LocalForwarder, witness: Witness, clock: Clock
) -> None:
    assert (await refused(local, witness.connection(), tool("die"))).reason is Reason.UPSTREAM_RESET
    assert (await refused(local, witness.connection(), tool("die"))).reason is Reason.UPSTREAM_RESET
    early = await refused(local, witness.connection(), tool("echo"))
    assert (early.reason, early.headers) == (Reason.UPSTREAM_UNREACHABLE, (("Retry-After", "2"),))
    clock.now = 1.0
    assert (await sent(local, witness.connection(), tool("echo")))[0] == 200


def test_pauses_double_to_a_minute_and_start_over_after_an_answer() -> None:
    clock = Clock()
    restarts = Restarts(clock)
    pauses: list[float] = []
    for _ in range(2000):  # a minute each: a day and a half
        restarts.ended()
        pauses.append(restarts.not_before)
    assert pauses[:10] == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert set(pauses[7:]) == {60}
    restarts.answered()
    restarts.ended()
    assert restarts.not_before == 0


async def test_a_caller_that_does_not_read_is_cut_and_holds_up_nobody(local: LocalForwarder, witness: Witness) -> None:
    flood = tool("progress", 1, 1, times=30_000, text="x" * 1000)
    async with local.forward(flood, witness.connection(), ALLOWED, NOBODY) as slow:
        assert (await sent(local, witness.connection(), tool("echo")))[0] == 200
        with pytest.raises(Refusal) as refusal:
            await events_of(slow)
    assert refusal.value.reason is Reason.OVERLOADED
    assert (await (await witness.process()).got("notifications/cancelled"))["params"]["requestId"] == (
        witness.processes[0].lines[0]["id"]
    )
    assert MAILBOX_BYTES < 30_000_000


async def test_a_message_that_is_too_large_ends_the_process_for_everybody(
    local: LocalForwarder, witness: Witness
) -> None:
    small = LocalForwarder(LocalLimits(stdio=StdioLimits(message_bytes=1000, grace=0.2)))
    refusal = await refused(small, witness.connection(), tool("big", bytes=500_000))
    assert refusal.reason is Reason.UPSTREAM_TOO_LARGE
    await (await witness.process()).ended()
    await small.close()


async def test_an_answer_that_is_no_json_any_more_is_refused(local: LocalForwarder, witness: Witness) -> None:
    refusal = await refused(local, witness.connection(), tool("endless"))
    assert refusal.reason is Reason.UPSTREAM_INVALID


async def test_an_answer_of_any_depth_hurts_at_most_its_own_call(local: LocalForwarder, witness: Witness) -> None:
    outcomes: list[Reason | int] = []
    waiting = asyncio.ensure_future(sent(local, witness.connection(), tool("silent")))
    for depth in (10, *range(900, 1000), 100_000):  # somewhere there what can be read can no longer be written
        try:
            outcomes.append((await sent(local, witness.connection(timeout=5), tool("deep", depth=depth)))[0])
        except Refusal as refusal:
            outcomes.append(refusal.reason)
    assert set(outcomes) == {200, Reason.UPSTREAM_INVALID}
    assert (outcomes[0], outcomes[-1]) == (200, Reason.UPSTREAM_INVALID)
    assert (await sent(local, witness.connection(), tool("echo")))[0] == 200
    assert (waiting.done(), len(witness.processes)) == (False, 1)
    waiting.cancel()


async def test_a_server_is_started_again_whatever_broke_its_reading(witness: Witness) -> None:
    upstream = witness.connection().upstream
    assert isinstance(upstream, LocalUpstream)
    kinds = [StdioProcess, BreakingProcess]
    server = SharedServer(lambda: kinds.pop().start("test", upstream, QUICK.stdio), Clock())
    deadline = asyncio.get_running_loop().time() + 10
    with pytest.raises(Refusal, match="upstream-reset"):
        async with server.exchange(tool("echo"), deadline):
            pass
    async with server.exchange(tool("echo"), deadline) as answer:
        assert b'"echo"' in await body_of(answer)
    await (await witness.process()).ended()
    await server.end()


def test_names_that_are_not_ours_belong_to_nobody() -> None:
    names: list[Json] = [None, "1", True, 1.5, [1]]
    for name in names:
        assert belongs_to({"jsonrpc": "2.0", "id": name, "result": {}}) == 0
