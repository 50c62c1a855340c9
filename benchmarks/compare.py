"""mcpgov against a direct call and against a FastMCP proxy: latency and CPU per tools/call, as ratios of one run.

Run as `python -m benchmarks.compare [--rounds 3] [--seconds 2]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

CALL: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "echo",
        "arguments": {"text": "ping"},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        },
    },
}
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "echo",
}
SETTINGS = """\
listen: 127.0.0.1:{port}
global_policies: [bench]
audit: {{ store: "sqlite:///bench.db" }}
"""
CATALOG = """\
name: dev.mcpgov/bench
version: 1.0.0
description: the upstream of the benchmarks
upstream: http://127.0.0.1:{upstream}/mcp
private: true
connections:
  bench: {{ authType: CustomKeys, keys: {{ X-Bench-Key: k1 }} }}
"""
POLICY = """\
inbound:
  - ip-filter: { action: allow, addresses: [127.0.0.0/8] }
  - tool-rules: { allow: ["echo*"], deny: [delete_everything] }
  - rate-limit-by-key: { calls: 100000, renewal-period: 1 }
  - set-header: { name: X-Team, value: bench }
"""
CONCURRENCIES = (1, 16)
WIDTHS = (4, 9, 10, 13, 14, 14)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Target:
    """Something that answers the call: its URL, the process that serves it, and what was measured."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    headers: dict[str, str] = field(default_factory=dict[str, str])
    latency: dict[int, list[float]] = field(default_factory=lambda: {c: [] for c in CONCURRENCIES})
    cpu: dict[int, list[float]] = field(default_factory=lambda: {c: [] for c in CONCURRENCIES})
    rate: dict[int, list[float]] = field(default_factory=lambda: {c: [] for c in CONCURRENCIES})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads, in seconds (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def measure(target: Target, concurrency: int, seconds: float) -> None:
    """Call one target for a while and note median latency, rate, and CPU per call."""
    body = json.dumps(CALL).encode()
    latencies: list[float] = []

    async def worker(session: aiohttp.ClientSession, until: float) -> None:
        while (began := time.perf_counter()) < until:
            async with session.post(target.url, data=body, headers={**HEADERS, **target.headers}) as response:
                answer = await response.read()
                if response.status != 200 or b"pong" not in answer:
                    raise SystemExit(f"{target.name} answered {response.status}: {answer[:300]!r}")
            latencies.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        await worker(session, time.perf_counter() + 0.2)
        latencies.clear()
        before, began = cpu_seconds(target.process.pid), time.perf_counter()
        await asyncio.gather(*(worker(session, began + seconds) for _ in range(concurrency)))
        took = time.perf_counter() - began
    target.cpu[concurrency].append((cpu_seconds(target.process.pid) - before) / len(latencies))
    target.latency[concurrency].append(statistics.median(latencies))
    target.rate[concurrency].append(len(latencies) / took)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def start(stack: ExitStack, port: int, *command: str) -> subprocess.Popen[bytes]:
    """Start a child and return when it accepts connections."""
    process = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit(f"{' '.join(command)} did not start")


def start_all(stack: ExitStack, folder: Path) -> list[Target]:
    """Every target, up and listening; all share one upstream."""
    direct, governed, default, shared = (free_port() for _ in range(4))
    upstream = start(stack, direct, "benchmarks.upstream", str(direct))
    upstream_url = f"http://127.0.0.1:{direct}/mcp"
    files = {
        "mcpgov.yaml": SETTINGS.format(port=governed),
        "catalog/bench.yaml": CATALOG.format(upstream=direct),
        "policies/bench.yaml": POLICY,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    config = ("--config", str(folder / "mcpgov.yaml"))
    made = subprocess.run(
        [sys.executable, "-m", "mcpgov", "keys", "create", "bench", "--json", *config], check=True, capture_output=True
    )
    key = {"X-API-Key": json.loads(made.stdout)["key"]}
    return [
        Target("direct", upstream_url, upstream),
        Target(
            "mcpgov", f"http://127.0.0.1:{governed}/mcp/bench", start(stack, governed, "mcpgov", "serve", *config), key
        ),
        *(
            Target(
                f"FastMCP proxy, {kind}",
                f"http://127.0.0.1:{port}/mcp",
                start(stack, port, "benchmarks.fastmcp_proxy", str(port), upstream_url, kind),
            )
            for kind, port in (("default", default), ("shared", shared))
        ),
    ]


def report(targets: list[Target]) -> None:
    """Print medians over the rounds, and each as a ratio to mcpgov."""
    governed = next(target for target in targets if target.name == "mcpgov")
    columns = zip(("c", "p50 ms", "calls/s", "CPU us/call", "p50 / mcpgov", "CPU / mcpgov"), WIDTHS, strict=True)
    print("target".ljust(24) + "".join(name.rjust(width) for name, width in columns))
    for concurrency in CONCURRENCIES:
        for target in targets:
            p50, cpu = statistics.median(target.latency[concurrency]), statistics.median(target.cpu[concurrency])
            ours = statistics.median(governed.latency[concurrency]), statistics.median(governed.cpu[concurrency])
            rate = statistics.median(target.rate[concurrency])
            print(
                f"{target.name:24} {concurrency:3} {p50 * 1e3:8.2f} {rate:9.0f} {cpu * 1e6:12.0f}"
                f" {p50 / ours[0]:12.2f}x {cpu / ours[1]:12.2f}x"
            )


def main() -> None:
    """Measure in alternating rounds, forwards and backwards, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        targets = start_all(stack, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        for number in range(options.rounds):
            for target in targets if number % 2 == 0 else reversed(targets):
                for concurrency in CONCURRENCIES:
                    asyncio.run(measure(target, concurrency, options.seconds))
        report(targets)


if __name__ == "__main__":
    main()
