"""What the record of a call costs: the same call, written down durably, with the disk left behind, and not at all.

python -m benchmarks.audit_cost [--rounds 5] [--seconds 2] [--json]. Every gateway is the same but for its ledger; they
answer the same call in alternating rounds. The one that writes nothing down exists here alone: no setting makes it.
CPU is that of the whole process, divided by calls.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import uvloop

from benchmarks.compare import compared
from benchmarks.figures import Figures, table
from benchmarks.gateway import Shape, served
from benchmarks.machine import commit
from benchmarks.run import Size
from benchmarks.targets import Ground, Plan, Recipe
from mcpgov import app
from mcpgov.cli.serve import listener
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer
from mcpgov.stage_settings import endpoint_settings
from mcpgov.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.decision import Decision
    from mcpgov.errors import Refusal
    from mcpgov.models import Answer, Connection, Credential, MCPRequest, Principal, RequestHead

NOTHING: Final = "nothing written"
DURABLE: Final = "durable"
OS_CACHE: Final = "os-cache"
SIZE: Final = Size(rounds=5, seconds=2, concurrencies=(1, 16), passes=0, starts=1, calls=0, streams=0, patience=1)


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


def recipe(ledger: str) -> Recipe:
    """A gateway with one of the ledgers, as a target."""

    def plan(ground: Ground) -> Plan:
        shape = Shape(durability=OS_CACHE if ledger == OS_CACHE else DURABLE)
        plan = served(ground.folder / ledger.replace(" ", "-"), shape, ground.upstream.port)
        config = plan.command[plan.command.index("--config") + 1]
        return replace(plan, command=(sys.executable, "-m", "benchmarks.audit_cost", "--serve", ledger, config))

    return Recipe(ledger, commit, plan)


def results(figures: Mapping[str, Figures]) -> list[dict[str, str | int | float]]:
    """The medians of each ledger at each concurrency, and what it adds to the gateway that writes nothing."""
    found: list[dict[str, str | int | float]] = []
    for concurrency in SIZE.concurrencies:
        at = f"c{concurrency}_"
        base = figures[NOTHING]
        for ledger, own in figures.items():
            p50, cpu = own[f"{at}p50_ms"], own[f"{at}cpu_us"]
            measured = {"p50_ms": p50, "calls_per_s": own[f"{at}calls_per_s"], "cpu_us": cpu}
            added = {"added_p50_ms": p50 - base[f"{at}p50_ms"], "added_cpu_us": cpu - base[f"{at}cpu_us"]}
            found.append({"ledger": ledger, "concurrency": concurrency, **measured, **added})
    return found


def report(rows: list[dict[str, str | int | float]]) -> str:
    """The table."""
    heads = ["ledger", "c", "p50 ms", "calls/s", "CPU us/call", "added p50 ms", "added CPU us"]
    forms = ("{}", "{}", "{:.2f}", "{:,.0f}", "{:.0f}", "{:.2f}", "{:.0f}")
    return table(
        [heads, *([form.format(cell) for form, cell in zip(forms, row.values(), strict=True)] for row in rows)]
    )


def main() -> None:
    """Measure in alternating rounds, forwards and backwards, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=SIZE.rounds)
    parser.add_argument("--seconds", type=float, default=SIZE.seconds)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, metavar=("LEDGER", "CONFIG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve[0], Path(options.serve[1])))
        return
    size = replace(SIZE, rounds=options.rounds, seconds=options.seconds)
    result = compared([recipe(ledger) for ledger in (DURABLE, OS_CACHE, NOTHING)], size)
    if result["left_out"]:
        raise SystemExit(str(result["left_out"]))
    rows = results(result["targets"])
    print(json.dumps(rows) if options.json else report(rows))


if __name__ == "__main__":
    main()
