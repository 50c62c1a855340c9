"""What the HTTP client costs for each call: our own and aiohttp's, in alternating rounds of one run.

Run as `python -m benchmarks.client_cost`. Both make the calls of `compare` to one upstream, through the seam that the
forwarder has, in this process; its CPU is divided by calls. The upstream is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from benchmarks.placement import here
from benchmarks.upstream import upstream
from mcpgov.models import RemoteUpstream
from mcpgov.upstream.aiohttp_client import aiohttp_clients
from mcpgov.upstream.http_client import HttpRequest
from mcpgov.upstream.pooled_client import own_clients

if TYPE_CHECKING:
    from mcpgov.upstream.http_client import HttpClient

CLIENTS: Final = {"own": own_clients, "aiohttp": aiohttp_clients}
CONCURRENCIES: Final = (1, 16)
FIELDS: Final = (
    ("user-agent", "mcpgov/bench"),
    ("accept", "application/json, text/event-stream"),
    ("accept-encoding", "identity"),
    ("x-correlation-id", "0123456789abcdef0123456789abcdef"),
    ("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"),
    ("content-type", "application/json"),
    ("authorization", "Bearer upstream-key"),
)
PADDING: Final = "x" * 200
BODY: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"%s"}}}'
    % PADDING.encode()
)


def cpu() -> float:
    """Seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def calls(client: HttpClient, url: str, count: int) -> None:
    """So many calls, one after the other."""
    loop = asyncio.get_running_loop()
    host = url.split("/")[2]
    for _ in range(count):
        response = await client.request(HttpRequest("POST", url, (("host", host), *FIELDS), BODY, loop.time() + 30))
        while await response.read():
            pass
        response.close()


async def cost(name: str, url: str, concurrency: int, count: int) -> float:
    """Microseconds of CPU for each call of one round, connections made before."""
    client = CLIENTS[name]()(RemoteUpstream(url, private=True))
    await asyncio.gather(*(calls(client, url, 20) for _ in range(concurrency)))
    before = cpu()
    await asyncio.gather(*(calls(client, url, count // concurrency) for _ in range(concurrency)))
    used = cpu() - before
    await client.close()
    return used / (count // concurrency * concurrency) * 1e6


async def rounds(url: str, count: int, number: int) -> None:
    """Print the median of each client at each concurrency, and their ratio."""
    print(f"{'calls at once':>13}{'own':>10}{'aiohttp':>10}{'ratio':>8}   CPU µs a call, medians of {number} rounds")
    for concurrency in CONCURRENCIES:
        found: dict[str, list[float]] = {name: [] for name in CLIENTS}
        for each in range(number):
            for name in CLIENTS if each % 2 == 0 else reversed(CLIENTS):
                found[name].append(await cost(name, url, concurrency, count))
        own, other = (statistics.median(found[name]) for name in ("own", "aiohttp"))
        print(f"{concurrency:>13}{own:>10.1f}{other:>10.1f}{other / own:>8.2f}")


def main(arguments: list[str]) -> None:
    """Measure."""
    parser = argparse.ArgumentParser("benchmarks.client_cost", description="What the HTTP client costs.")
    parser.add_argument("--calls", type=int, default=3000, help="of each round (3000)")
    parser.add_argument("--rounds", type=int, default=7, help="of each client (7)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, upstream(here().load, Path(folder)) as server:
        uvloop.run(rounds(f"http://127.0.0.1:{server.port}/mcp", asked.calls, asked.rounds))


if __name__ == "__main__":
    main(sys.argv[1:])
