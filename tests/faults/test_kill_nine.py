"""kill -9 under load: every call that the upstream saw has an intent, and after a restart every intent one outcome."""

import asyncio
import random
from pathlib import Path

from tests.faults.gateway import Site

ROUNDS = 20
AT_ONCE = 16


async def test_no_call_is_unaudited_and_no_intent_is_left_open_after_kill_nine(tmp_path: Path) -> None:
    site, chance = Site(tmp_path), random.Random(20261120)
    async with site.upstream():
        for _ in range(ROUNDS):
            gateway, url = await site.gateway()
            assert site.findings() == []
            moment = asyncio.Event()
            calling = asyncio.create_task(site.calls(url, at_once=AT_ONCE, then=moment, after=chance.randint(1, 400)))
            await moment.wait()
            gateway.kill()
            await gateway.wait()
            await calling
        gateway, _ = await site.gateway()
        assert site.findings() == []
        gateway.terminate()
        await gateway.communicate()
    assert gateway.returncode == 0
    assert site.findings() == []
    statuses = [row.record for row in site.kept() if '"event":"outcome"' in row.record]
    assert len(site.executed()) > ROUNDS
    assert any('"mcpgov.status":"unknown"' in record for record in statuses)  # the crashes did hit calls under way
    assert site.locks() == []
