"""mcpgov as a target, with everything on: a gateway key, five elements of policy, one credential, a durable ledger."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.machine import commit
from benchmarks.processes import free_port
from benchmarks.targets import Ground, Plan, Recipe
from benchmarks.upstream import cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTINGS: Final = """\
listen: 127.0.0.1:{port}
global_policies: [{policies}]
audit: {{ store: "sqlite:///bench.db", durability: {durability} }}
counters: {counters}
limits: {{ streams_per_caller: 4000, calls: 8000, calls_per_caller: 4000, calls_per_upstream: 16000 }}
"""
CATALOG: Final = """\
name: dev.mcpgov/bench
version: 1.0.0
description: the upstream of the benchmarks
upstream: http://127.0.0.1:{upstream}/mcp
private: true
connections:
  bench: {{ authType: CustomKeys, keys: {{ X-Bench-Key: k1 }} }}
"""
ELEMENTS: Final = (
    "ip-filter: { action: allow, addresses: [127.0.0.0/8] }",
    "check-header: { name: Accept, failed-check-httpcode: 403, failed-check-error-message: Which?, ignore-case: true }",
    'tool-rules: { allow: ["echo*"], deny: [delete_everything] }',
    "rate-limit-by-key: { calls: 100000, renewal-period: 1 }",
    "set-header: { name: X-Team, value: bench }",
)
READING: Final = 'outbound:\n  - find-and-replace: { from: "wiki.internal", to: wiki.contoso.com }\n'


def document(*elements: str) -> str:
    """A policy with these elements, inbound."""
    return "inbound:\n" + "".join(f"  - {element}\n" for element in elements)


FIVE: Final = document(*ELEMENTS)


def each_of(count: int) -> dict[str, str]:
    """So many policies of one element each, the five kinds in turn."""
    return {f"bench-{number:04}": document(ELEMENTS[number % len(ELEMENTS)]) for number in range(count)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs between the gateways that are measured. `policies` are in force, `unused` lie beside them."""

    durability: str = "durable"
    policies: Mapping[str, str] = field(default_factory=lambda: {"bench": FIVE})
    unused: Mapping[str, str] = field(default_factory=dict[str, str])
    workers: int = 1


def furnished(folder: Path, shape: Shape, port: int, upstream: int) -> Path:
    """The files of a gateway; the path of its settings."""
    counters = "per-worker" if shape.workers > 1 else "memory"
    settings = SETTINGS.format(
        port=port, policies=", ".join(shape.policies), durability=shape.durability, counters=counters
    )
    files = {"mcpgov.yaml": settings, "catalog/bench.yaml": CATALOG.format(upstream=upstream)}
    files |= {f"policies/{name}.yaml": text for name, text in {**shape.policies, **shape.unused}.items()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "mcpgov.yaml"


def new_key(config: Path) -> str:
    """A gateway key."""
    create = (sys.executable, "-m", "mcpgov", "keys", "create", "bench", "--json", "--config", str(config))
    return str(json.loads(subprocess.run(create, check=True, capture_output=True).stdout)["key"])


def served(folder: Path, shape: Shape, upstream: int) -> Plan:
    """A gateway before an upstream, in a folder of its own."""
    port = free_port()
    config = furnished(folder, shape, port, upstream)
    workers = ("--workers", str(shape.workers)) if shape.workers > 1 else ()
    return Plan(
        (sys.executable, "-m", "mcpgov", "serve", "--config", str(config), *workers),
        port,
        path="/mcp/bench",
        headers={"X-API-Key": new_key(config)},
        # A gateway that was installed finds its bytecode; here it may be kept from writing it beside the source.
        environment={"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache() / "bytecode")},
        all_cores=shape.workers > 1,
    )


def gateway(name: str, shape: Shape, *, streams: bool = False) -> Recipe:
    """A gateway of one shape as a target."""

    def plan(ground: Ground) -> Plan:
        return served(ground.folder / name.replace(" ", "-"), shape, ground.upstream.port)

    return Recipe(name, commit, plan, streams)


MCPGOV: Final = "mcpgov"
READING_ANSWERS: Final = "mcpgov reading answers"
RECIPES: Final = (
    gateway(MCPGOV, Shape(), streams=True),
    gateway("mcpgov os-cache", Shape(durability="os-cache")),
    gateway(READING_ANSWERS, Shape(policies={"bench": FIVE + READING}), streams=True),
    *(gateway(f"mcpgov {count} policies", Shape(policies=each_of(count))) for count in (1, 10, 100)),
    gateway("mcpgov 2 workers", Shape(workers=2)),
)
