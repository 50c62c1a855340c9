"""The peer of the benchmarks: a FastMCP proxy.

Run as `python -m benchmarks.fastmcp_proxy PORT UPSTREAM default|shared`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fastmcp import Client
from fastmcp.server import create_proxy


async def main(port: int, upstream: str, *, shared: bool) -> None:
    """Serve until stopped: a new backend client for each call (the default), or one that all calls share."""
    options: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "json_response": True,
        "stateless_http": True,
        "log_level": "error",
    }
    if not shared:
        await create_proxy(upstream).run_http_async(show_banner=False, **options)
        return
    async with Client(upstream) as client:
        await create_proxy(client).run_http_async(show_banner=False, **options)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], shared=sys.argv[3] == "shared"))
