"""Nothing that mcpgov fetches with follows where an answer leads: every client there is, every kind of redirect.

The witness is a canary on another address, which nobody may visit.
"""

from __future__ import annotations

import ast
import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricsData

from mcpgov.credential.azure_tokens import AzureHost
from mcpgov.credential.tokens import AzureIdentity
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Kind
from mcpgov.upstream.memory import ScriptedAnswer
from mcpgov.web import GuardedWeb
from tests.upstream.calls import ALLOWED, KEYED, bodiless, body_of, call, to
from tests.upstream.clients import CLIENTS as CLIENTS_UPSTREAM
from tests.upstream.clients import forwarding
from tests.upstream.loopback import Canary, Loopback, canary, loopback

STATUSES = (300, 301, 302, 303, 305, 307, 308)
# Who opens a connection to a URL, each of which is walked below; whatever else asks the web asks it through web.py.
CLIENTS = {
    "mcpgov.upstream.aiohttp_client": "aiohttp",
    "mcpgov.upstream.pooled_client": "loop.create_connection",
    "mcpgov.web": "httpx2",
    "mcpgov.credential.azure_tokens": "aiohttp",
    "mcpgov.opentelemetry_export": "opentelemetry",
    "mcpgov.demo.story": "httpx2",  # asks the gateway that it has started itself
    "mcpgov.demo.run": "httpx2",
}
ASKING = {"aiohttp", "httpx", "httpx2", "requests", "urllib3", "urllib.request", "http.client", "websockets"}
OWN = "loop.create_connection"  # how a client of our own connects
PACKAGE = Path(__file__).parents[2] / "mcpgov"


def imported(tree: ast.Module) -> Iterator[str]:
    """The modules that a source imports, its strings (what it writes for others) left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_these_are_all_the_clients_there_are() -> None:
    found: dict[str, str] = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.Attribute) and ast.unparse(node).endswith(OWN) for node in ast.walk(tree)):
            found[name] = OWN
        for module in imported(tree):
            if module in ASKING or module.split(".")[0] in ASKING:
                found[name] = module.split(".")[0]
            elif "otlp.proto.http" in module:
                found[name] = "opentelemetry"
    assert found == CLIENTS


@pytest.fixture
async def bird() -> AsyncGenerator[Canary]:
    async with canary() as listening:
        yield listening


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback() as running:
        yield running


def leading(bird: Canary, status: int) -> ScriptedAnswer:
    """An answer that leads to the canary, in each way that there is."""
    there = (("location", bird.url), ("refresh", f"0; url={bird.url}"), ("alt-svc", f'http/1.1="{bird.url[7:]}"'))
    return ScriptedAnswer(status, headers=(*there, ("link", f"<{bird.url}>; rel=canonical")))


@pytest.mark.parametrize("client", CLIENTS_UPSTREAM)
@pytest.mark.parametrize("status", STATUSES)
async def test_an_upstream_leads_nobody_elsewhere(server: Loopback, bird: Canary, status: int, client: str) -> None:
    forwarder = forwarding(client)()
    for request in (
        call(),
        call("notifications/initialized", request_id=None),
        *map(bodiless, (Kind.STREAM, Kind.END)),
    ):
        server.script(leading(bird, status))
        with pytest.raises(Refusal) as refused:
            async with forwarder.forward(request, to(server.url), ALLOWED, KEYED) as answer:
                await body_of(answer)
        assert refused.value.reason is Reason.UPSTREAM_REDIRECTED
        assert "127.0.0.2" not in refused.value.message + refused.value.detail
    await forwarder.close()
    assert (len(server.ledger), bird.visits) == (4, 0)


@pytest.mark.parametrize("status", STATUSES)
async def test_the_control_plane_is_led_nowhere(server: Loopback, bird: Canary, status: int) -> None:
    web, secret = GuardedWeb(), (("authorization", "Bearer secret"), ("x-api-key", "secret"))
    server.script(*[leading(bird, status)] * 4)
    answers = [
        await web.get(server.url, secret, private=True),
        await web.post(server.url, {"client_secret": "secret"}, secret, private=True),
        await web.send(server.url, b"secret", secret, private=True),
        await web.put(server.url, b"secret", secret, private=True),
    ]
    assert [answer.status for answer in answers] == [status] * 4
    assert (len(server.ledger), bird.visits) == (4, 0)


@pytest.mark.parametrize("status", STATUSES)
async def test_who_gives_the_host_its_identity_leads_nobody_elsewhere(
    server: Loopback, bird: Canary, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", server.url)
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    server.script(*[leading(bird, status)] * 20)
    azure = AzureIdentity("72f988bf-0000-4000-8000-2d7cd011db41", "https://login.example", identity="managed")
    host = AzureHost(azure, ssl.create_default_context(), lambda: datetime.now(UTC), 5.0)
    with pytest.raises(Refusal) as refused:
        await host.token("https://search.example/.default", "")
    assert refused.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert server.ledger
    assert bird.visits == 0


@pytest.mark.parametrize("status", STATUSES)
async def test_a_collector_leads_nobody_elsewhere(server: Loopback, bird: Canary, status: int) -> None:
    server.script(*[leading(bird, status)] * 2)
    secret = {"api-key": "secret"}
    spans = OTLPSpanExporter(server.url, headers=secret, timeout=5)
    metrics: Any = OTLPMetricExporter(server.url, headers=secret, timeout=5)
    await asyncio.to_thread(spans.export, ())
    await asyncio.to_thread(metrics.export, MetricsData(()))
    await asyncio.to_thread(spans.shutdown)
    await asyncio.to_thread(metrics.shutdown)
    assert (len(server.ledger), bird.visits) == (2, 0)
