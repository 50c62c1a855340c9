"""The five policies that the platform's own documentation shows, exactly as they stand there, do what the page says.

They are read from that page when it is at hand (MCPGOV_REFERENCE names its folder); what they are for is in the library
of this project too, in its own words, and tested everywhere.
"""

import asyncio
import os
import re
import ssl
import sys
import textwrap
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import mcp
import pytest
from mcp.client.streamable_http import streamable_http_client

from tests.flows.house import House, Reply, house
from tests.flows.upstream import CityUpstream, listening
from tests.upstream.certificates import self_signed

REFERENCE = Path(os.environ.get("MCPGOV_REFERENCE", Path(__file__).parents[3] / "shared" / "reference"), "foundry.md")
NAMES = ("Rate limiting", "IP filtering", "Correlation ID", "Removal of sensitive headers", "Simple routing control")
SAMPLE = re.compile(r"\* \*\*(?P<name>[^*]+)\*\*:.*?```xml\n(?P<xml>.*?)```", re.DOTALL)
BEHIND_A_PROXY = "trusted_proxies: [127.0.0.1]\n"


def samples() -> Mapping[str, str]:
    """Each sample by the name that the page gives it; none where the page is not at hand."""
    if not REFERENCE.exists():
        return {}
    page = REFERENCE.read_text("utf-8").partition("### Apply policies")[2].partition("\n### ")[0]
    return {match["name"]: textwrap.dedent(match["xml"]) for match in SAMPLE.finditer(page)}


def of_the_page(*names: str) -> pytest.MarkDecorator:
    """Runs a test with each of these samples; not at all where the page is not at hand."""
    return pytest.mark.parametrize("sample", [samples()[name] for name in names if name in samples()])


def test_the_page_has_the_five_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(samples()) in ((), NAMES)
    if not samples():
        with capsys.disabled():
            sys.stdout.write("\nleft out: the platform's own samples, whose page is not beside the project\n")


async def call(gateway: House, headers: Mapping[str, str]) -> Reply:
    """One call with these headers."""
    client = await gateway.client()
    client.headers |= headers
    return await client.call("get_city")


@asynccontextmanager
async def governed(
    folder: Path, sample: str, settings: str = "", own: str = ""
) -> AsyncGenerator[tuple[House, CityUpstream]]:
    """A gateway with one sample in force, after `own`, which is ours."""
    upstream = CityUpstream()
    async with listening(upstream) as url, house(folder, settings) as gateway:
        gateway.write("policies/sample.xml", sample)
        gateway.write("policies/own.yaml", own or "inbound: []")
        gateway.catalog(f"{url}/mcp", policies="[own, sample]")
        gateway.reload()
        yield gateway, upstream


@of_the_page("Rate limiting")
async def test_rate_limiting_answers_429_and_tells_what_is_left(tmp_path: Path, sample: str) -> None:
    async with governed(tmp_path, sample) as (gateway, upstream):
        client = await gateway.client()
        replies = [await client.call("get_city") for _ in range(62)]
        assert [reply.status for reply in replies] == [200] * 60 + [429] * 2
        assert [int(reply.headers["x-ratelimit-remaining"]) for reply in replies[:60]] == list(range(59, -1, -1))
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
        assert len(upstream.calls) == 60
        assert len(await gateway.records(**{"mcpgov.decision.reason": "rate-limited"})) == 2


@of_the_page("Rate limiting")
async def test_rate_limiting_counts_by_address(tmp_path: Path, sample: str) -> None:
    async with governed(tmp_path, sample, BEHIND_A_PROXY) as (gateway, upstream):
        one, other = await gateway.client(), await gateway.client()
        for client in (one, other):
            for _ in range(30):
                assert (await client.call("get_city", x_forwarded_for="10.1.1.1")).status == 200
        assert (await other.call("get_city", x_forwarded_for="10.1.1.1")).status == 429
        assert (await other.call("get_city", x_forwarded_for="10.1.1.2")).status == 200
        assert len(upstream.calls) == 61


@of_the_page("IP filtering")
async def test_ip_filtering_lets_in_only_trusted_networks(tmp_path: Path, sample: str) -> None:
    expected = {"10.0.0.7": 200, "20.50.123.45": 200, "10.0.1.7": 403, "203.0.113.9": 403, "::ffff:10.0.0.9": 200}
    async with governed(tmp_path, sample, BEHIND_A_PROXY) as (gateway, upstream):
        client = await gateway.client()
        found = {address: (await client.call("get_city", x_forwarded_for=address)).status for address in expected}
        assert found == expected
        assert (await client.call("get_city")).status == 403
        assert len(upstream.calls) == 3


@of_the_page("Correlation ID")
async def test_the_correlation_id_reaches_the_upstream_and_joins_the_record(tmp_path: Path, sample: str) -> None:
    async with governed(tmp_path, sample) as (gateway, upstream):
        reply = await (await gateway.client()).call("get_city", x_correlation_id="chosen-by-the-caller")
        (record,) = await gateway.records(event="intent")
        assert upstream.calls[0].headers["x-correlation-id"] == reply.headers["x-correlation-id"]
        assert record["correlation_id"] == reply.headers["x-correlation-id"]


@of_the_page("Removal of sensitive headers")
async def test_sensitive_headers_are_gone_even_where_they_would_cross(tmp_path: Path, sample: str) -> None:
    crossing = "inbound: [forward-headers: { headers: [referer, x-tenant] }]"
    sent = {"Referer": "https://intranet.example/secret", "Cookie": "session=1", "X-Tenant": "blue"}
    async with governed(tmp_path, sample, own=crossing) as (gateway, upstream):
        assert (await call(gateway, sent)).status == 200
        assert not upstream.calls[0].headers.keys() & {"referer", "cookie"}
        assert upstream.calls[0].headers["x-tenant"] == "blue"


@of_the_page("Simple routing control")
@pytest.mark.parametrize(("region", "expected"), [("eu", "europe"), ("us", "us"), ("", "us"), ("EU", "us")])
async def test_routing_by_region_reaches_the_backend_of_the_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: str, region: str, expected: str
) -> None:
    hosts = ("europe-api.contoso-mcp.net", "us-api.contoso-mcp.net")
    certificate = self_signed(tmp_path, hosts)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    servers = {"europe": CityUpstream(), "us": CityUpstream()}
    async with (
        over_tls(servers["europe"], certificate) as europe,
        over_tls(servers["us"], certificate) as us,
        house(tmp_path) as gateway,
    ):
        gateway.write("policies/sample.xml", sample)
        resolve = [f"{host}:443:127.0.0.1:{port}" for host, port in zip(hosts, (europe, us), strict=True)]
        gateway.write(
            "catalog/city.yaml",
            f"""\
name: com.contoso/mcp
upstream: https://{hosts[1]}/mcp
private: true
connections:
  city:
    backends: [https://{hosts[0]}, https://{hosts[1]}]
    resolve: {resolve}
    policies: [sample]
""",
        )
        gateway.reload()
        assert (await call(gateway, {"X-Region": region} if region else {})).status == 200
        assert {name: len(server.calls) for name, server in servers.items()} == {
            name: int(name == expected) for name in servers
        }


@of_the_page("Rate limiting")
async def test_an_mcp_client_of_the_sdk_works_under_all_but_the_network_filter(tmp_path: Path, sample: str) -> None:
    upstream = CityUpstream()
    async with listening(upstream) as url, house(tmp_path) as gateway:
        for number, text in enumerate((sample, samples()["Correlation ID"], samples()["Removal of sensitive headers"])):
            gateway.write(f"policies/sample-{number}.xml", text)
        gateway.catalog(f"{url}/mcp", policies="[sample-0, sample-1, sample-2]")
        gateway.reload()
        endpoint = f"{gateway.url}/mcp/city"
        headers = {"X-API-Key": await gateway.key()}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            mcp.Client(streamable_http_client(endpoint, http_client=http)) as session,
        ):
            assert {tool.name for tool in (await session.list_tools()).tools} >= {"get_city"}
            assert not (await session.call_tool("get_city", {})).is_error
        assert len(upstream.calls) == 1


@asynccontextmanager
async def over_tls(upstream: CityUpstream, certificate: Path) -> AsyncGenerator[int]:
    """The upstream behind TLS; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with listening(upstream) as url:
        plain = int(url.rpartition(":")[2])
        ended: list[asyncio.Event] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ended.append(end := asyncio.Event())
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", plain)
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(reader, inner_writer))
                both.create_task(copy(inner_reader, writer))
            end.set()

        async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
            yield server.sockets[0].getsockname()[1]
        for end in ended:
            await end.wait()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, until it ends."""
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
