"""Other gateways for MCP as targets, each in an environment of its own, as their documentation starts them."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.processes import DidNotStartError, free_port
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.venvs import environment_of, pinned
from benchmarks.wire import Line, Message

if TYPE_CHECKING:
    from collections.abc import Callable

TUNED: Final = "fastmcp tuned"
HANDSHAKE: Final = "2025-06-18"  # the revision that peers without 2026-07-28 know
SLOW: Final = 120.0  # seconds for those that load much before they serve
LITELLM: Final = """\
mcp_servers:
  bench: {{ url: "{url}", transport: http, allow_all_keys: true }}
general_settings: {{ master_key: sk-bench }}
"""
PASSWORD: Final = "a-Password-for-no-more-than-1-run"
CONTEXTFORGE: Final = {
    "AUTH_REQUIRED": "true",
    "MCP_CLIENT_AUTH_ENABLED": "true",
    "JWT_SECRET_KEY": "a-key-that-signs-tokens-of-one-run-of-a-benchmark",
    "AUTH_ENCRYPTION_SECRET": "a-secret-that-encrypts-in-one-run-of-a-benchmark",
    "PLATFORM_ADMIN_EMAIL": "admin@example.com",
    "PLATFORM_ADMIN_PASSWORD": PASSWORD,
    "PASSWORD_CHANGE_ENFORCEMENT_ENABLED": "false",
    "MCPGATEWAY_UI_ENABLED": "false",
    "MCPGATEWAY_ADMIN_API_ENABLED": "true",
    "PLUGINS_ENABLED": "false",
    "RATE_LIMITING_ENABLED": "false",
    "SSRF_ALLOW_LOCALHOST": "true",
    "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
    "USE_STATEFUL_SESSIONS": "false",
    "JSON_RESPONSE_ENABLED": "true",
    "LOG_LEVEL": "ERROR",
}


def folder_of(ground: Ground, peer: str) -> Path:
    """A new folder, for each start one: what an earlier one left there is not found again."""
    return Path(tempfile.mkdtemp(prefix=f"{peer}-", dir=ground.folder))


def url(ground: Ground) -> str:
    """Of the upstream."""
    return f"http://127.0.0.1:{ground.upstream.port}/mcp"


def fastmcp(kind: str, ground: Ground) -> Plan:
    """A FastMCP proxy: a backend client for each call (`default`), or one that all share."""
    port, program = free_port(), Path(__file__).with_name("fastmcp_proxy.py")
    return Plan((str(environment_of("fastmcp") / "bin" / "python"), str(program), str(port), url(ground), kind), port)


def mcp_proxy(ground: Ground) -> Plan:
    """Two of them in a chain, HTTP to stdio and stdio to HTTP: its way from HTTP to HTTP."""
    port, program = free_port(), str(environment_of("mcp-proxy") / "bin" / "mcp-proxy")
    inner = (program, "--transport", "streamablehttp", "--log-level", "ERROR", url(ground))
    command = (program, "--port", str(port), "--stateless", "--log-level", "ERROR", "--", *inner)
    return Plan(command, port, path="/mcp/", revision=HANDSHAKE)


def litellm(ground: Ground) -> Plan:
    """Its proxy with an MCP server behind it and no database; one worker."""
    folder, port = folder_of(ground, "litellm"), free_port()
    (folder / "config.yaml").write_text(LITELLM.format(url=url(ground)))
    program = str(environment_of("litellm") / "bin" / "litellm")
    return Plan(
        (program, "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port)),
        port,
        path="/mcp/",
        tool="bench-echo",
        headers={"x-litellm-api-key": "Bearer sk-bench"},
        environment={"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"},
        revision=HANDSHAKE,
        patience=SLOW,
    )


def contextforge(ground: Ground) -> Plan:
    """One worker, SQLite, a token to call with; no plugins, rate limits, Redis. Its API is told of the upstream."""
    folder, port, made = folder_of(ground, "contextforge"), free_port(), environment_of("contextforge")
    # No factory and no supervisor: one process of its own application.
    command = (str(made / "bin" / "python"), "-m", "uvicorn", "mcpgateway.main:app", "--port", str(port))
    environment = {**CONTEXTFORGE, "DATABASE_URL": f"sqlite:///{folder}/mcp.db", "PORT": str(port)}
    plan = Plan(
        (*command, "--log-level", "error"),
        port,
        path="/mcp/",
        tool="bench-echo",
        environment=environment,
        revision=HANDSHAKE,
        patience=SLOW,
    )
    return replace(plan, introduce=partial(introduced, plan, url(ground)))


def introduced(plan: Plan, upstream: str) -> Plan:
    """Sign in to ContextForge, tell it of the upstream, and call it as who signed in. Raises `DidNotStartError`."""
    account = {"email": CONTEXTFORGE["PLATFORM_ADMIN_EMAIL"], "password": PASSWORD}
    token = told(plan.port, "/auth/email/login", account, {})["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    told(plan.port, "/gateways", {"name": "bench", "url": upstream, "transport": "STREAMABLEHTTP"}, headers)
    return replace(plan, headers=headers)


def told(port: int, path: str, what: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
    """Post something to an API, and read its answer. Raises `DidNotStartError`."""
    line = Line(port)
    try:
        fields = {"Content-Type": "application/json", "Accept": "application/json", **headers}
        answer = line.ask(Message(port, path, fields, json.dumps(what)).packed())
    finally:
        line.close()
    if answer.status >= 300:
        raise DidNotStartError(f"{path} answered {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}")
    return json.loads(answer.body)


def of(peer: str, package: str) -> Callable[[], str]:
    """The version in its lock."""
    return partial(pinned, peer, package)


RECIPES: Final = (
    Recipe("fastmcp default", of("fastmcp", "fastmcp"), partial(fastmcp, "default")),
    Recipe(TUNED, of("fastmcp", "fastmcp"), partial(fastmcp, "shared")),
    Recipe("mcp-proxy", of("mcp-proxy", "mcp-proxy"), mcp_proxy),
    Recipe("litellm", of("litellm", "litellm"), litellm),
    Recipe("contextforge", of("contextforge", "mcp-contextforge-gateway"), contextforge),
)
