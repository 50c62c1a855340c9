"""The HTTP forwarder keeps the contract against a real server, and what is special about HTTP."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Kind, MCPRequest, RemoteUpstream
from mcpgov.upstream.addresses import Found
from mcpgov.upstream.bounds import AnswerLimits
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.memory import ScriptedAnswer
from tests.contract.upstream_contract import Stage, UpstreamContract
from tests.upstream.calls import ALLOWED, KEYED, NOBODY, bodiless, body_of, call, events_of, starting, to
from tests.upstream.certificates import self_signed
from tests.upstream.clients import CLIENTS, Forwarding, forwarding
from tests.upstream.loopback import OK, Fault, Loopback, Then, loopback

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
PROGRESS = b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'


@pytest.fixture(params=CLIENTS)
def remote(request: pytest.FixtureRequest) -> Forwarding:
    """Every test of this file is one of each client."""
    return forwarding(request.param)


class Testremote(UpstreamContract):
    @pytest.fixture
    async def stage(self, remote: Forwarding) -> AsyncGenerator[Stage, None]:
        async with loopback() as server:
            upstream = remote()
            yield Stage(upstream, server, to(server.url))
            await upstream.close()


@pytest.fixture
async def server() -> AsyncGenerator[Loopback, None]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def forwarder(remote: Forwarding) -> AsyncGenerator[RemoteForwarder, None]:
    made = remote()
    yield made
    await made.close()


async def forwarded(forwarder: RemoteForwarder, connection: Connection, request: MCPRequest | None = None) -> bytes:
    async with forwarder.forward(request or call(), connection, ALLOWED, NOBODY) as answer:
        return await body_of(answer)


async def refusal_of(forwarder: RemoteForwarder, connection: Connection, request: MCPRequest | None = None) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await forwarded(forwarder, connection, request)
    return refused.value


FAULTS: dict[str, tuple[Fault, Reason]] = {
    "accepts then silent": (Fault(then=Then.HANG), Reason.UPSTREAM_TIMEOUT),
    "first byte never followed": (Fault(b"H", Then.HANG), Reason.UPSTREAM_TIMEOUT),
    "body never finished": (
        Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", Then.HANG),
        Reason.UPSTREAM_TIMEOUT,
    ),
    "closes at once": (Fault(), Reason.UPSTREAM_RESET),
    "reset in the head": (Fault(b"HTTP/1.1 200 OK\r\nconte", Then.RESET), Reason.UPSTREAM_RESET),
    "closes in the body": (Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), Reason.UPSTREAM_RESET),
    "reset in the body": (Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", Then.RESET), Reason.UPSTREAM_RESET),
    "reset in a stream": (
        Fault(SSE[:-2] + b"transfer-encoding: chunked\r\n\r\n2\r\n: \r\n", Then.RESET),
        Reason.UPSTREAM_RESET,
    ),
    "not HTTP": (Fault(b"220 mail.example ESMTP\r\n"), Reason.UPSTREAM_INVALID),
    "huge header": (Fault(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"), Reason.UPSTREAM_INVALID),
    "two lengths": (
        Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"),
        Reason.UPSTREAM_INVALID,
    ),
    "switches protocols": (
        Fault(b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
        Reason.UPSTREAM_INVALID,
    ),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_broken_upstream_gets_a_definite_answer_and_one_request(
    server: Loopback, forwarder: RemoteForwarder, fault: Fault, reason: Reason
) -> None:
    server.script(fault)
    timeout = 0.1 if fault.then is Then.HANG else 30
    refusal = await refusal_of(forwarder, to(server.url, timeout=timeout))
    assert refusal.reason is reason
    assert str(server.port) not in refusal.message + refusal.detail
    assert len(server.ledger) == 1
    assert await forwarded(forwarder, to(server.url)) == OK  # the next call finds a clean pool


@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.STREAM, Kind.END])
async def test_a_request_on_a_connection_that_broke_is_never_repeated(
    server: Loopback, forwarder: RemoteForwarder, kind: Kind
) -> None:
    await forwarded(forwarder, to(server.url))
    server.script(Fault())
    request = call() if kind is Kind.REQUEST else bodiless(kind)
    assert (await refusal_of(forwarder, to(server.url), request)).reason is Reason.UPSTREAM_RESET
    assert (server.connections, len(server.ledger)) == (1, 2)


async def test_a_port_where_nobody_listens_is_unreachable(forwarder: RemoteForwarder) -> None:
    async with loopback() as gone:
        url = gone.url
    assert (await refusal_of(forwarder, to(url))).reason is Reason.UPSTREAM_UNREACHABLE


async def test_a_name_that_does_not_exist_is_unreachable(forwarder: RemoteForwarder) -> None:
    assert (await refusal_of(forwarder, to("http://nowhere.invalid/"))).reason is Reason.UPSTREAM_UNREACHABLE


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    tmp_path: Path, remote: Forwarding
) -> None:
    certificate = self_signed(tmp_path)
    async with loopback(certificate) as server:
        distrusting = remote()
        refusal = await refusal_of(distrusting, to(server.url))
        assert (refusal.reason, server.ledger) == (Reason.UPSTREAM_UNREACHABLE, [])
        await distrusting.close()


async def test_leaving_early_is_seen_through_tls(tmp_path: Path, remote: Forwarding) -> None:
    certificate = self_signed(tmp_path)
    async with loopback(certificate) as server:
        trusting = remote(tls=ssl.create_default_context(cafile=certificate))
        server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(PROGRESS,), ends=False))
        async with trusting.forward(call(), to(server.url), ALLOWED, NOBODY) as answer:
            assert await anext(answer.events)
        await asyncio.wait_for(server.ledger[0].cut.wait(), 10)
        await trusting.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(server: Loopback, forwarder: RemoteForwarder, status: int) -> None:
    async with loopback() as canary:
        server.script(ScriptedAnswer(status, headers=(("location", canary.url),)))
        assert (await refusal_of(forwarder, to(server.url))).reason is Reason.UPSTREAM_REDIRECTED
        assert (canary.connections, canary.ledger) == (0, [])


async def test_no_cookie_is_kept(server: Loopback, remote: Forwarding) -> None:
    forwarder = remote(resolver=Flipping("127.0.0.1"))
    connection = to(f"http://inside.example:{server.port}/")  # jars keep nothing of bare addresses
    server.script(ScriptedAnswer(chunks=(OK,), headers=(("set-cookie", "id=1; Path=/"),)))
    await forwarded(forwarder, connection)
    await forwarded(forwarder, connection)
    assert [sent.headers.get("cookie") for sent in server.ledger] == ["", ""]
    await forwarder.close()


async def test_the_http_client_adds_no_field_of_its_own(server: Loopback, forwarder: RemoteForwarder) -> None:
    await forwarded(forwarder, to(server.url), bodiless(Kind.END))
    await forwarded(forwarder, to(server.url))
    ended, called = ({name for name, _ in sent.headers.fields} for sent in server.ledger)
    ours = {"host", "user-agent", "accept", "accept-encoding", "x-correlation-id", "traceparent", "content-length"}
    assert ended == ours | {"mcp-session-id"}
    assert called == ours | {"content-type"}


async def test_host_query_and_path_go_out_as_they_are_written(server: Loopback, forwarder: RemoteForwarder) -> None:
    await forwarded(
        forwarder, to(f"http://127.0.0.1:{server.port}/a%2Fb/é?key=a%20b+c&x=%2f&empty=".replace("é", "%e9"))
    )
    assert server.ledger[0].url == "/a%2Fb/%e9?key=a%20b+c&x=%2f&empty="
    assert server.ledger[0].headers.get("host") == f"127.0.0.1:{server.port}"


async def test_a_backend_gets_the_path_and_query_of_the_upstream(server: Loopback, forwarder: RemoteForwarder) -> None:
    async with loopback() as other:
        base = f"http://127.0.0.1:{other.port}/eu/"
        connection = to(server.url + "?v=1")
        upstream = RemoteUpstream(server.url + "?v=1", private=True, backends=(base,))
        decision = Decision(Reason.ALLOWED, changes=Changes(backend=base))
        async with forwarder.forward(call(), replace(connection, upstream=upstream), decision, KEYED) as answer:
            await body_of(answer)
        assert ([sent.url for sent in other.ledger], server.ledger) == (["/eu/mcp?v=1"], [])


async def test_a_large_body_arrives_whole(server: Loopback, forwarder: RemoteForwarder) -> None:
    request = call(params={"name": "echo", "arguments": {"text": "x" * 3_000_000}})
    await forwarded(forwarder, to(server.url), request)
    assert server.ledger[0].body == request.body


async def test_calls_after_each_other_share_one_socket(server: Loopback, forwarder: RemoteForwarder) -> None:
    for _ in range(5):
        await forwarded(forwarder, to(server.url))
    assert (server.connections, len(server.ledger)) == (1, 5)


async def test_an_answer_that_nobody_asked_for_is_never_given_to_the_next_caller(
    server: Loopback, forwarder: RemoteForwarder
) -> None:
    forged = b'{"jsonrpc":"2.0","id":1,"result":"of somebody else"}'
    late = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(forged)
    for _ in range(3):
        assert await forwarded(forwarder, to(server.url)) == OK
        await server.say_unasked(late + forged)
        async with loopback() as elsewhere:
            await forwarded(forwarder, to(elsewhere.url))  # the late answer is here by now
    assert (server.connections, len(server.ledger)) == (3, 3)


async def test_an_answer_that_is_too_large_is_cut(server: Loopback, remote: Forwarding) -> None:
    limits = AnswerLimits(answer_bytes=1000, event_bytes=1000)
    for answer in (
        ScriptedAnswer(chunks=(b"x" * 600, b"x" * 600)),
        ScriptedAnswer(chunks=(b"data:" + b"x" * 1200,), content_type="text/event-stream"),
    ):
        forwarder = remote(limits)
        server.script(answer)
        assert (await refusal_of(forwarder, to(server.url))).reason is Reason.UPSTREAM_TOO_LARGE
        await forwarder.close()


async def test_a_stream_has_no_read_timeout_once_it_has_begun(server: Loopback, forwarder: RemoteForwarder) -> None:
    server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(PROGRESS,), ends=False))
    async with forwarder.forward(call(), to(server.url, timeout=0.1), ALLOWED, NOBODY) as answer:
        assert await anext(answer.events)
        waiting = asyncio.ensure_future(anext(answer.events))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_a_get_stream_needs_only_its_head_in_time(server: Loopback, forwarder: RemoteForwarder) -> None:
    server.script(ScriptedAnswer(content_type="text/event-stream", ends=False))
    async with forwarder.forward(bodiless(Kind.STREAM), to(server.url, timeout=0.1), ALLOWED, NOBODY) as answer:
        waiting = asyncio.ensure_future(anext(answer.events))
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_an_upstream_that_is_faster_than_the_client_is_held_back(
    server: Loopback, forwarder: RemoteForwarder
) -> None:
    server.script(Fault(SSE, endless=PROGRESS * 1000))
    async with forwarder.forward(call(), to(server.url), ALLOWED, NOBODY) as answer:
        assert await anext(answer.events)
        await asyncio.wait_for(server.held_back.wait(), 20)
        held_at = server.bytes_sent
        assert held_at < 16 << 20  # what the buffers of two sockets take
        while server.bytes_sent == held_at:
            assert await anext(answer.events)


async def test_too_many_open_calls_are_refused_and_not_queued(server: Loopback, remote: Forwarding) -> None:
    forwarder = remote(AnswerLimits(open_calls=1))
    server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(PROGRESS,), ends=False))
    async with forwarder.forward(call(), to(server.url), ALLOWED, NOBODY):
        refusal = await refusal_of(forwarder, to(server.url))
        assert (refusal.reason, refusal.headers) == (Reason.OVERLOADED, (("Retry-After", "1"),))
        assert await forwarded(forwarder, to(server.url, name="other")) == OK  # its own bulkhead
    assert await forwarded(forwarder, to(server.url)) == OK
    await forwarder.close()


async def test_a_retired_pool_closes_after_its_last_call(server: Loopback, forwarder: RemoteForwarder) -> None:
    await forwarder.update([to(server.url), to(server.url, name="other")])
    await forwarded(forwarder, to(server.url, name="other"))
    server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(PROGRESS, OK)))
    async with forwarder.forward(call(), to(server.url), ALLOWED, NOBODY) as answer:
        await forwarder.update([starting("a-local-server")])
        assert len(await events_of(answer)) == 1  # the call ends on the generation it began with
    assert await forwarded(forwarder, to(server.url)) == OK  # so does one that began and was not yet sent
    assert server.connections == 3


async def test_a_call_may_end_while_a_reload_closes_other_pools(server: Loopback, forwarder: RemoteForwarder) -> None:
    unused = to(server.url, name="unused")
    await forwarder.update([unused])
    await forwarded(forwarder, unused)
    async with AsyncExitStack() as open_call:
        await open_call.enter_async_context(forwarder.forward(call(), to(server.url), ALLOWED, NOBODY))
        await asyncio.gather(forwarder.update([]), open_call.aclose())  # it ends while the unused pool closes
    assert await forwarded(forwarder, unused) == OK


async def test_a_private_address_is_refused_as_a_literal(forwarder: RemoteForwarder) -> None:
    for url in ("https://127.0.0.1:1/", "https://[::ffff:169.254.169.254]/", "https://127.1/", "http://8.8.8.8/"):
        assert (await refusal_of(forwarder, to(url, private=False))).reason is Reason.UPSTREAM_ADDRESS_DENIED


class Flipping:
    """Names that resolve to each of `addresses` in turn."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Found]:
        address = self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0]
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_a_name_that_resolves_to_a_private_address_is_refused(server: Loopback, remote: Forwarding) -> None:
    forwarder = remote(resolver=Flipping("127.0.0.1"))
    refusal = await refusal_of(forwarder, to(f"https://rebound.example:{server.port}/", private=False))
    assert (refusal.reason, server.connections) == (Reason.UPSTREAM_ADDRESS_DENIED, 0)
    await forwarder.close()


async def test_a_private_upstream_may_resolve_to_this_machine(server: Loopback, remote: Forwarding) -> None:
    forwarder = remote(resolver=Flipping("127.0.0.1", "169.254.169.254"))
    assert await forwarded(forwarder, to(f"http://inside.example:{server.port}/")) == OK
    assert server.ledger[0].headers.get("host") == f"inside.example:{server.port}"
    for url in ("http://other.example/", "http://169.254.169.254/"):
        assert (await refusal_of(forwarder, to(url))).reason is Reason.UPSTREAM_ADDRESS_DENIED
    await forwarder.close()


def fixed(url: str, *resolve: tuple[str, str], private: bool = True) -> Connection:
    return replace(to(url), upstream=RemoteUpstream(url, private=private, resolve=resolve))


async def test_an_address_of_the_catalog_stands_for_what_the_name_service_says(
    server: Loopback, remote: Forwarding
) -> None:
    forwarder = remote(resolver=Flipping("192.0.2.1"))
    connection = fixed("http://Inside.example:81/mcp", ("inside.example:81", f"127.0.0.1:{server.port}"))
    assert await forwarded(forwarder, connection) == OK
    assert server.ledger[0].headers.get("host") == "Inside.example:81"
    await forwarder.close()


async def test_names_and_ports_that_the_catalog_does_not_fix_are_looked_up(
    server: Loopback, remote: Forwarding
) -> None:
    forwarder = remote(resolver=Flipping("127.0.0.1"))
    connection = fixed(f"http://inside.example:{server.port}/", ("inside.example:1", "192.0.2.1:1"))
    assert await forwarded(forwarder, connection) == OK
    await forwarder.close()


async def test_an_address_of_the_catalog_that_is_not_public_is_refused_too(
    server: Loopback, remote: Forwarding
) -> None:
    forwarder = remote(resolver=Flipping("8.8.8.8"))
    where = ("rebound.example:443", f"127.0.0.1:{server.port}")
    refusal = await refusal_of(forwarder, fixed("https://rebound.example/", where, private=False))
    assert (refusal.reason, server.connections) == (Reason.UPSTREAM_ADDRESS_DENIED, 0)
    await forwarder.close()


@pytest.mark.parametrize(("name", "reached"), [("eu.contoso.test", True), ("us.contoso.test", False)])
async def test_tls_vouches_for_the_name_and_not_for_the_address(
    remote: Forwarding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, reached: bool
) -> None:
    certificate = self_signed(tmp_path, ("eu.contoso.test",))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # how an operator says whom to believe
    async with loopback(certificate) as server:
        trusting = remote()
        connection = fixed(f"https://{name}/mcp", (f"{name}:443", f"127.0.0.1:{server.port}"))
        if reached:
            assert await forwarded(trusting, connection) == OK
        else:
            assert (await refusal_of(trusting, connection)).reason is Reason.UPSTREAM_UNREACHABLE
        assert len(server.ledger) == int(reached)
        await trusting.close()


async def test_closing_ends_calls_that_run(server: Loopback, forwarder: RemoteForwarder) -> None:
    server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(PROGRESS,), ends=False))
    async with forwarder.forward(call(), to(server.url), ALLOWED, NOBODY) as answer:
        assert await anext(answer.events)
        await forwarder.close()
        with pytest.raises(Refusal, match="upstream-reset"):
            await events_of(answer)
    await asyncio.wait_for(server.ledger[0].cut.wait(), 10)


async def test_a_local_upstream_is_a_mistake_of_ours(forwarder: RemoteForwarder) -> None:
    with pytest.raises(TypeError, match="test"):
        await forwarded(forwarder, starting("a-local-server"))
