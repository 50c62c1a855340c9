"""The raw endpoint on a real socket: what is reachable, what is watched, and who pushes back on whom."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mcpgov.endpoint.asgi import EndpointSettings, Gateway, head_of
from mcpgov.endpoint.limits import Sites
from mcpgov.endpoint.metadata import AuthorizationServer, ResourceMetadata
from mcpgov.pipeline import Stages
from mcpgov.strict_json import JsonLimits
from tests.flows.house import META, STATELESS, House, house, rpc
from tests.flows.upstream import CityUpstream, listening

MEGABYTE = b": " + b"x" * (1 << 20) + b"\n\n"
MEGABYTES = 24


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[House]:
    async with listening(CityUpstream()) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp")
        yield built


async def status(gateway: House, path: str) -> tuple[int, str]:
    assert gateway.http is not None
    async with gateway.http.get(f"{gateway.url}{path}") as response:
        return response.status, (await response.text()).strip()


async def test_probes_are_answered_without_a_key_and_without_a_record(gateway: House) -> None:
    assert await status(gateway, "/livez") == (200, "live")
    assert await status(gateway, "/readyz") == (200, "ready")
    assert await gateway.records() == []


@pytest.mark.parametrize("path", ["/", "/admin", "/mcpx", "/metrics", "/livez/"])
async def test_nothing_else_is_served(gateway: House, path: str) -> None:
    assert await status(gateway, path) == (404, "not found")


async def test_what_is_under_mcp_is_governed_whatever_it_is_called(gateway: House) -> None:
    assert (await status(gateway, "/mcp"))[0] == 401
    assert (await status(gateway, "/mcp/"))[0] == 401
    assert len(await gateway.records(event="denied")) == 2


def scope(**changes: Any) -> dict[str, Any]:
    plain = {"method": "POST", "headers": [(b"accept", b"a")], "client": ("192.0.2.1", 5000)}
    return {**plain, **changes}


def test_a_field_with_an_underscore_is_dropped_unless_it_would_be_ours_with_a_dash() -> None:
    fields = [(b"mcp_name", b"delete"), (b"x_any", b"1"), (b"mcp-name", b"get"), (b"x_own_key", b"k")]
    head = head_of(scope(headers=fields), b"/mcp/city", (), ("x-own-key",))
    assert head.headers.fields == (("mcp_name", "delete"), ("mcp-name", "get"), ("x_own_key", "k"))


@pytest.mark.parametrize(
    ("path", "connection"),
    [(b"/mcp/city", "city"), (b"/mcp/a-1", "a-1"), (b"/mcp/%63ity", ""), (b"/mcp/city/", ""), (b"/mcp", "")],
)
def test_the_connection_is_named_by_the_raw_path_and_nothing_else(path: bytes, connection: str) -> None:
    assert head_of(scope(), path, ()).connection == connection


def test_a_claimed_correlation_id_is_kept_short_and_ours_is_new_each_time() -> None:
    claims = scope(headers=[(b"x-request-id", b"r" * 1000)])
    one, two = head_of(claims, b"/mcp/city", ()), head_of(claims, b"/mcp/city", ())
    assert one.claimed_correlation_id == "r" * 128
    assert one.correlation_id != two.correlation_id


def test_a_caller_without_an_address_is_unknown() -> None:
    assert head_of(scope(client=None), b"/mcp/city", ()).source_address == "unknown"


class Fountain:
    """An upstream that sends a stream as fast as it is taken, and notes how much that was."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b'data: {"jsonrpc":"2.0","method":"x"}\n\n', "more_body": True}
        )
        for _ in range(MEGABYTES):
            await send({"type": "http.response.body", "body": MEGABYTE, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body", "body": b""})
        self.ended.set()


async def test_a_slow_client_slows_the_upstream_and_never_grows_memory(tmp_path: Path) -> None:
    fountain = Fountain()
    async with listening(fountain) as url, house(tmp_path) as gateway, asyncio.timeout(60):
        await gateway.furnish(f"{url}/mcp")
        body = rpc("tools/call", {"name": "get_city", "_meta": META})
        key = await gateway.key()
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"POST /mcp/city HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
            f"MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: tools/call\r\nMcp-Name: get_city\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await reader.readuntil(b"\r\n\r\n")
        await a_standstill(fountain)
        assert fountain.sent < MEGABYTES / 2
        while not fountain.ended.is_set():
            assert await reader.read(1 << 20)
        assert fountain.sent == MEGABYTES
        writer.close()


async def a_standstill(fountain: Fountain) -> None:
    """Return when nothing has moved for many turns of the loop in a row."""
    still, seen = 0, -1
    while still < 20_000:
        await asyncio.sleep(0)
        still, seen = (still + 1, seen) if fountain.sent == seen else (0, fountain.sent)


METADATA = ResourceMetadata(
    "https://mcp.contoso.com", (AuthorizationServer("https://id.contoso.com", scopes=("use",)),)
)
DOCUMENT = "https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp/city"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


async def page(scope: Any, _receive: Any, send: Any) -> None:
    """Stands for the pages of people: answers with the path it was asked for."""
    headers = [(b"content-length", str(len(scope["raw_path"])).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["raw_path"]})


@pytest.fixture
async def signing_in(gateway: House) -> AsyncGenerator[str]:
    """The same gateway where clients can sign in with a token, and people have pages; gives its URL."""
    assert gateway.running is not None
    settings = EndpointSettings(JsonLimits(), Sites.of("127.0.0.1", ""), metadata=METADATA)
    async with listening(Gateway(stages_of(gateway), settings, lambda: True, page)) as url:
        yield url


def stages_of(gateway: House) -> Stages:
    """The stages of a running gateway."""
    assert gateway.running is not None
    return gateway.running.stages


async def asked(gateway: House, method: str, url: str, **headers: str) -> tuple[int, str, bytes]:
    """Status, challenge and body of one request."""
    assert gateway.http is not None
    async with gateway.http.request(method, url, headers=headers) as response:
        return response.status, response.headers.get("www-authenticate", ""), await response.read()


async def test_metadata_is_public_cacheable_and_not_recorded(gateway: House, signing_in: str) -> None:
    assert gateway.http is not None
    async with gateway.http.get(f"{signing_in}{WELL_KNOWN}/mcp/city", headers={"Origin": "https://x.example"}) as reply:
        document = await reply.json()
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")
        assert "max-age" in reply.headers["cache-control"]
    assert document["resource"] == "https://mcp.contoso.com/mcp/city"
    assert await asked(gateway, "HEAD", f"{signing_in}{WELL_KNOWN}") == (200, "", b"")
    assert await asked(gateway, "OPTIONS", f"{signing_in}{WELL_KNOWN}/mcp/city") == (204, "", b"")
    assert (await asked(gateway, "GET", f"{signing_in}{WELL_KNOWN}x"))[0] == 404
    assert await gateway.records() == []


async def test_without_an_issuer_there_is_no_metadata_and_a_plain_challenge(gateway: House) -> None:
    assert (await asked(gateway, "GET", f"{gateway.url}{WELL_KNOWN}/mcp/city"))[0] == 404
    assert (await asked(gateway, "POST", f"{gateway.url}/mcp/city"))[:2] == (401, "Bearer")


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "DELETE"])
async def test_whoever_comes_without_a_credential_is_told_where_to_sign_in(
    gateway: House, signing_in: str, method: str
) -> None:
    status, challenge, _ = await asked(gateway, method, f"{signing_in}/mcp/city")
    assert (status, challenge) == (401, f'Bearer scope="use", resource_metadata="{DOCUMENT}"')


async def test_a_refused_token_is_an_error_and_a_policy_that_says_no_is_no_challenge(
    gateway: House, signing_in: str
) -> None:
    wrong = await asked(gateway, "POST", f"{signing_in}/mcp/city", Authorization="Bearer not-a-key-of-ours")
    assert wrong[0] == 401
    assert wrong[1].startswith('Bearer error="invalid_token", error_description="')
    assert "not-a-key-of-ours" not in wrong[1]
    await gateway.govern_by("inbound: [ip-filter: { action: allow, addresses: [192.0.2.1] }]")
    client = await gateway.client()
    client.url = f"{signing_in}/mcp/city"
    reply = await client.call("get_city")
    assert (reply.status, "www-authenticate" in reply.headers) == (403, False)


async def test_an_unknown_connection_has_the_challenge_of_a_known_one(gateway: House, signing_in: str) -> None:
    known = await asked(gateway, "POST", f"{signing_in}/mcp/city")
    unknown = await asked(gateway, "POST", f"{signing_in}/mcp/nope")
    assert known[:2] == (unknown[0], unknown[1].replace("nope", "city"))


@pytest.mark.parametrize("path", ["/consent/ticket", "/oauth/callback", "/oauth/callback/x"])
async def test_pages_of_people_are_served_where_there_are_any(gateway: House, signing_in: str, path: str) -> None:
    assert await asked(gateway, "GET", f"{signing_in}{path}?code=1") == (200, "", path.encode())
    assert (await asked(gateway, "GET", f"{signing_in}/oauth/callbackx"))[0] == 404
