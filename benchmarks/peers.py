"""Other gateways for MCP as targets, each in an environment of its own, as their documentation starts them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.processes import free_port
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.venvs import environment_of, pinned

TUNED: Final = "fastmcp tuned"


def fastmcp(ground: Ground, kind: str) -> Plan:
    """A FastMCP proxy: a backend client for each call (`default`), or one that all share."""
    port, program = free_port(), Path(__file__).with_name("fastmcp_proxy.py")
    python = environment_of("fastmcp") / "bin" / "python"
    return Plan((str(python), str(program), str(port), f"http://127.0.0.1:{ground.upstream.port}/mcp", kind), port)


def fastmcp_version() -> str:
    """Of its lock."""
    return pinned("fastmcp", "fastmcp")


RECIPES: Final = (
    Recipe("fastmcp default", fastmcp_version, lambda ground: fastmcp(ground, "default")),
    Recipe(TUNED, fastmcp_version, lambda ground: fastmcp(ground, "shared")),
)
