"""What the record of a call costs: the same call, written down durably, with the disk left behind, and not at all.

python -m benchmarks.audit_cost [--rounds 5] [--seconds 2] [--json]. Every gateway is the same but for its ledger; they
answer the same call in alternating rounds. The one that writes nothing down exists here alone: no setting makes it.
CPU is that of the whole process, divided by calls.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import uvloop

from benchmarks.compare import CATALOG, CONCURRENCIES, POLICY, SETTINGS, Target, free_port, measure, start
from mcpgov import app
from mcpgov.cli.serve import listener
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer
from mcpgov.stage_settings import endpoint_settings
from mcpgov.telemetry import configure_logging

if TYPE_CHECKING:
    from mcpgov.decision import Decision
    from mcpgov.errors import Refusal
    from mcpgov.models import Answer, Connection, Credential, MCPRequest, Principal, RequestHead

NOTHING: Final = "nothing written"
OS_CACHE: Final = "os-cache"
LEDGERS: Final = {
    "durable": 'audit: { store: "sqlite:///bench.db", durability: durable }',
    OS_CACHE: 'audit: { store: "sqlite:///bench.db", durability: os-cache }',
    NOTHING: 'audit: { store: "sqlite:///bench.db" }',
}
WIDTHS: Final = (4, 9, 10, 13, 14, 16, 17)


@dataclass(slots=True)
class Unrecorded:
    """A recording of which nothing is kept."""

    principal: Principal | None = None
    request: MCPRequest | None = None
    connection: Connection | None = None
    decision: Decision | None = None
    credential: Credential | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is no outcome."""

    async def intent(self) -> None:
        """There is no intent."""

    def heard(self, answer: Answer) -> Answer:
        """The same answer, not looked at."""
        return answer

    def watch(self, answer: Answer) -> Answer:
        """The same answer, not looked at."""
        return answer

    async def refused(self, refusal: Refusal) -> Refusal:
        """The same refusal."""
        return refusal

    def client_gone(self) -> None:
        """Nobody asks."""


class NoLedger:
    """The ledger of the gateway that writes nothing down."""

    def recording(self, head: RequestHead, stamp: str) -> Unrecorded:
        """A recording of which nothing is kept."""
        del head, stamp
        return Unrecorded()


async def serve(ledger: str, config: Path) -> None:
    """One gateway, until SIGTERM."""
    configure_logging(json=True, level="error")
    async with app.running(config) as running:
        settings, gateway = running.storage.settings, running.gateway
        if ledger == NOTHING:
            stages = replace(running.stages, ledger=NoLedger())
            gateway = Gateway(stages, endpoint_settings(settings, running.buffers), lambda: True)
        with listener(settings.listen.host, settings.listen.port) as sock:
            server = GatewayServer(gateway)
            server.end_on_signals()
            await server.serve_on(sock)


def started(stack: ExitStack, folder: Path) -> list[Target]:
    """A gateway for each ledger, before one upstream."""
    upstream = free_port()
    start(stack, upstream, "benchmarks.upstream", str(upstream))
    targets: list[Target] = []
    for number, (ledger, audit) in enumerate(LEDGERS.items()):
        port, place = free_port(), folder / str(number)
        settings = SETTINGS.format(port=port).partition("audit:")[0] + f"{audit}\n"
        files = {"mcpgov.yaml": settings, "catalog/bench.yaml": CATALOG.format(upstream=upstream)}
        for name, text in {**files, "policies/bench.yaml": POLICY}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text.replace("sqlite:///", f"sqlite:///{place}/"))
        config = str(place / "mcpgov.yaml")
        create = (sys.executable, "-m", "mcpgov", "keys", "create", "bench", "--json", "--config", config)
        made = subprocess.run(create, check=ledger != OS_CACHE, capture_output=True)
        if made.returncode:
            sys.stderr.write(f"left out: {ledger}, which this version refuses\n")
            continue
        process = start(stack, port, "benchmarks.audit_cost", "--serve", ledger, config)
        key = {"X-API-Key": json.loads(made.stdout)["key"]}
        targets.append(Target(ledger, f"http://127.0.0.1:{port}/mcp/bench", process, key))
    return targets


def results(targets: list[Target]) -> list[dict[str, str | int | float]]:
    """The medians of each ledger at each concurrency, and what it adds to the gateway that writes nothing."""
    without = next(target for target in targets if target.name == NOTHING)
    found: list[dict[str, str | int | float]] = []
    for concurrency in CONCURRENCIES:
        base = [statistics.median(each[concurrency]) * 1e6 for each in (without.latency, without.cpu)]
        for target in targets:
            p50, cpu = (statistics.median(each[concurrency]) * 1e6 for each in (target.latency, target.cpu))
            rate = statistics.median(target.rate[concurrency])
            measured = {"p50_us": p50, "calls_per_s": rate, "cpu_us": cpu}
            added = {"added_p50_us": p50 - base[0], "added_cpu_us": cpu - base[1]}
            found.append({"ledger": target.name, "concurrency": concurrency, **measured, **added})
    return found


def report(rows: list[dict[str, str | int | float]]) -> None:
    """Print a table."""
    heads = ("c", "p50 ms", "calls/s", "CPU us/call", "added p50 ms", "added CPU us", "CPU / nothing")
    print("ledger".ljust(16) + "".join(head.rjust(width) for head, width in zip(heads, WIDTHS, strict=True)))
    for row in rows:
        p50, added = float(row["p50_us"]) / 1000, float(row["added_p50_us"]) / 1000
        cpu, more = float(row["cpu_us"]), float(row["added_cpu_us"])
        print(
            f"{row['ledger']:16}{row['concurrency']:4}{p50:9.2f}{row['calls_per_s']:10.0f}{cpu:13.0f}"
            f"{added:14.2f}{more:16.0f}{cpu / (cpu - more):16.2f}x"
        )


def main() -> None:
    """Measure in alternating rounds, forwards and backwards, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, metavar=("LEDGER", "CONFIG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve[0], Path(options.serve[1])))
        return
    with ExitStack() as stack:
        targets = started(stack, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        for number in range(options.rounds):
            for target in targets if number % 2 == 0 else reversed(targets):
                for concurrency in CONCURRENCIES:
                    asyncio.run(measure(target, concurrency, options.seconds))
    rows = results(targets)
    if options.json:
        print(json.dumps(rows))
    else:
        report(rows)


if __name__ == "__main__":
    main()
