"""A real disk that is full, or breaks down, while calls run: nothing is called unwritten, and service comes back."""

import asyncio
import json
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.faults.disks import SmallDisk, mount_again, small_disk
from tests.faults.gateway import HEADERS, META
from tests.faults.served import Served, serving, standing
from tests.faults.tools import note

AT_ONCE = 8
HELD = 100  # calls that are refused while the disk is full
RECOVERY = 30.0  # seconds that it may take on the slowest machine; what it took is told


@pytest.fixture
def disk(tmp_path: Path) -> Generator[SmallDisk | None]:
    with small_disk(tmp_path) as disk:
        yield disk


async def until_refused(site: Served) -> None:
    """Call, some at once, until nothing gets through any more."""

    async def caller() -> None:
        while await site.got() == "result":
            pass

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def test_a_disk_that_is_full_to_the_last_byte(disk: SmallDisk | None, tmp_path: Path) -> None:
    if disk is None:
        return
    async with serving(tmp_path, store=disk.path / "mcpgov.db") as site:
        assert await site.many(AT_ONCE) == ["result"] * AT_ONCE
        calling = asyncio.create_task(until_refused(site))
        while not calling.done():
            await asyncio.to_thread(disk.fill)
        await calling
        while {await site.got() for _ in range(AT_ONCE)} != {"audit-unavailable"}:  # one alone may still find room
            await asyncio.to_thread(disk.fill)
        before = len(site.executed())
        assert set(await site.many(HELD)) == {"audit-unavailable"}
        assert (len(site.executed()), await site.ready()) == (before, 503)
        assert await refusal(site) == (503, "1", "audit-unavailable")
        assert len(site.executed()) == before
        disk.free()
        freed = time.perf_counter()
        await site.returns()
        took = time.perf_counter() - freed
        note(f"measured: service was back {took * 1000:.0f} ms after there was room again")
        assert took < RECOVERY
        assert await site.many(AT_ONCE) == ["result"] * AT_ONCE


async def refusal(site: Served) -> tuple[int, str | None, str]:
    """The status of an answer, when to ask again, and the reason in its JSON-RPC error."""
    message = {"jsonrpc": "2.0", "id": "told", "method": "tools/call", "params": {"name": "work", "_meta": META}}
    async with site.http.post(site.url, json=message, headers=HEADERS) as response:
        answer = json.loads(await response.read())
        return response.status, response.headers.get("Retry-After"), answer["error"]["data"]["reason"]


async def test_a_disk_that_breaks_down_and_is_mounted_again(disk: SmallDisk | None, tmp_path: Path) -> None:
    if disk is None or not disk.real:
        return
    async with standing(tmp_path, disk.path / "mcpgov.db") as site:
        await site.launch()
        assert await site.many(AT_ONCE) == ["result"] * AT_ONCE
        calling = asyncio.create_task(until_refused(site))
        while len(site.executed()) < 5 * AT_ONCE:
            await asyncio.sleep(0)
        disk.break_down()
        await calling
        before = len(site.executed())
        assert set(await site.many(HELD)) == {"audit-unavailable"}
        assert (len(site.executed()), await site.ready()) == (before, 503)
        await site.end()
        mount_again(tmp_path)
        await site.launch()
        assert await site.many(AT_ONCE) == ["result"] * AT_ONCE
        assert await site.end() == 0
        assert site.findings() == []
