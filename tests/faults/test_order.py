"""Power may fail at any moment: before each call is sent, a completed sync of the disk covers its intent.

Seen from outside, in the system calls of a real gateway. And the observer is proved: it notices a gateway that does not
sync, one that sends before the intent is on the disk, and traces with each of the other faults.
"""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.faults.order import LONGEST, TRACED, Order, order
from tests.faults.served import Launch, Served, standing
from tests.faults.tools import can_trace

CALLS = int(os.environ.get("MCPGOV_ORDER_CALLS", "1000"))
AT_ONCE = 16
FEW = 50


def traced(trace: Path, *module: str) -> Launch:
    """A gateway whose system calls are written down. strace stands beside it, not above it."""
    strace = shutil.which("strace") or "strace"
    options = ("-D", "-f", "--seccomp-bpf", "-y", "-e", "signal=none", "-s", str(LONGEST), "-e", TRACED)
    return Launch((strace, *options, "-o", str(trace)), module or ("mcpgov",))


async def watched(folder: Path, calls: int, *module: str) -> Order:
    """What the trace of so many calls through a gateway says. A gateway with a fault does not have to end well."""
    trace = folder / "trace"
    async with standing(folder) as site:
        await site.launch(traced(trace, *module))
        await spread(site, calls)
        await site.end()
        assert module or site.findings() == []
    while not is_whole(trace, site.pid):
        await asyncio.sleep(0.01)
    with trace.open(encoding="latin-1") as lines:
        return order(lines)


def is_whole(trace: Path, pid: int) -> bool:
    """Whether a trace goes to the end of the process."""
    return re.search(rb"^%d +\+\+\+ exited" % pid, trace.read_bytes()[-LONGEST:], re.MULTILINE) is not None


async def spread(site: Served, calls: int) -> None:
    """So many calls, some at once."""
    numbers = iter(range(calls))

    async def caller() -> None:
        for _ in numbers:
            assert await site.got() == "result"

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def test_a_completed_sync_covers_each_intent_before_the_call_is_sent(tmp_path: Path) -> None:
    if not await can_trace():
        return
    seen = await watched(tmp_path, CALLS)
    assert seen.findings == []
    assert (len(seen.sent), set(seen.sent.values())) == (CALLS, {1})
    assert seen.syncs > 0


@pytest.mark.parametrize(("fault", "why"), [("no-sync", "not-synced"), ("sends-first", "not-written")])
async def test_a_gateway_that_sends_before_the_intent_is_on_the_disk_is_noticed(
    fault: str, why: str, tmp_path: Path
) -> None:
    if not await can_trace():
        return
    seen = await watched(tmp_path, FEW, "tests.faults.faulty_gateway", fault)
    assert len(seen.sent) == FEW
    assert why in {found for found, _ in seen.findings}
    assert len(seen.findings) > FEW / 2


LOG = "7</site/mcpgov.db-wal>"
INTENT = r"\"correlation_id\":\"c1\",\"event\":\"intent\""
REST = r"\0" * 16


def header(after_commit: int) -> str:
    """The header of a frame is written; the first of another transaction stands in its place when that is undone."""
    return rf'1 pwrite64({LOG}, "\0\0\0\1\0\0\0\{after_commit}{REST}", 24, 32) = 24'


def page(content: str, *, written: int = 0) -> str:
    """The page of a frame is written, wholly unless it is said how far."""
    length = len(content.replace("\\", ""))
    return f'1 pwrite64({LOG}, "{content}", {length}, 56) = {written or length}'


SYNC = f"1 fdatasync({LOG}) = 0"
SENT = r'2 write(9<socket:[1]>, "POST /mcp HTTP/1.1\r\nHost: x\r\nX-Correlation-Id: c1\r\n\r\n", 99) = 99'
STORED = [header(5), page(INTENT)]
TRACES = {
    "on the disk": ("", [*STORED, SYNC, SENT]),
    "on the disk, by a sync that others broke into": (
        "",
        [*STORED, f"1 fdatasync({LOG} <unfinished ...>", "2 fsync(8</x>) = 0", "1 <... fdatasync resumed>) = 0", SENT],
    ),
    "sent first": ("not-written", [SENT, *STORED, SYNC]),
    "written, not synced": ("not-synced", [*STORED, SENT, SYNC]),
    "another file is synced": ("not-synced", [*STORED, "1 fdatasync(8</site/mcpgov.db>) = 0", SENT]),
    "the sync fails": ("not-synced", [*STORED, f"1 fdatasync({LOG}) = -1 EIO (Input/output error) (INJECTED)", SENT]),
    "the sync has not returned": ("not-synced", [*STORED, f"1 fdatasync({LOG} <unfinished ...>", SENT]),
    "the sync began before the write": (
        "not-synced",
        [f"2 fdatasync({LOG} <unfinished ...>", *STORED, "2 <... fdatasync resumed>) = 0", SENT],
    ),
    "not committed": ("not-committed", [header(0), page(INTENT), SYNC, SENT]),
    "undone, and something else committed": (
        "not-committed",
        [header(0), page(INTENT), header(5), page("other"), SYNC, SENT],
    ),
    "cut short": ("not-written", [header(5), page(INTENT, written=9), SYNC, SENT]),
    "another event of the call": ("not-written", [header(5), page(INTENT.replace("intent", "denied")), SYNC, SENT]),
}


@pytest.mark.parametrize("what", TRACES)
def test_a_trace_is_read_as_it_is(what: str) -> None:
    why, lines = TRACES[what]
    seen = order(lines)
    assert seen.sent == {"c1": 1}
    assert seen.findings == ([(why, "c1")] if why else [])
