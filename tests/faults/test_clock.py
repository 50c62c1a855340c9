"""The system's clock jumps an hour forth and back while calls run: order and durations do not depend on it."""

import asyncio
import json
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tests.faults.gateway import Site
from tests.faults.served import Launch, standing
from tests.faults.tools import faketime

JUMPS = ("+1h", "-1h", "+1h", "+0")
ROUND = 8  # calls between two jumps
LATENCY = "mcpgov.latency."
HOUR = timedelta(minutes=50)  # at least


def turned(clock: Path, library: str) -> Launch:
    """A gateway whose clock is set by a file. Time that only passes is left alone, as the system leaves it."""
    settings = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return Launch(environment={"LD_PRELOAD": library, "DONT_FAKE_MONOTONIC": "1", **settings})


def records(site: Site) -> dict[str, list[dict[str, object]]]:
    """The records of each writer, in the order of commit."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in site.kept():
        found[row.writer].append({**json.loads(row.record), "seq": row.seq})
    return found


async def test_order_and_durations_do_not_depend_on_the_clock(tmp_path: Path) -> None:
    library = await asyncio.to_thread(faketime)
    if library is None:
        return
    clock = tmp_path / "clock"
    clock.write_text("+0")
    async with standing(tmp_path) as site:
        await site.launch(turned(clock, library))
        for jump in JUMPS:
            clock.write_text(jump)
            assert set(await site.many(ROUND)) == {"result"}
        assert await site.end() == 0
        found = [finding for finding in site.findings() if finding.kind != "late-intent"]  # the upstream's clock stood
        assert found == []
        (kept,) = records(site).values()
    assert [record["seq"] for record in kept] == list(range(1, len(kept) + 1))
    times = [datetime.fromisoformat(str(record["ts"])) for record in kept]
    assert min(after - before for before, after in pairwise(times)) < -HOUR  # it did jump
    durations = [value for record in kept for name, value in record.items() if name.startswith(LATENCY)]
    assert durations
    assert all(isinstance(value, int) and 0 <= value < HOUR.total_seconds() * 1e6 for value in durations)
