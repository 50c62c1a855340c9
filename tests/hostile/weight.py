"""What one hostile body costs: how much the gateway's process grows by at its peak, and the time until it answers.

Printed; what is more than the margin is a leak. A body's own size is the measure: ten times as much is the promise.
"""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.hostile.ground import Ground
from tests.hostile.json_bodies import sized
from tests.hostile.wire import SAFE, STATELESS, Case, ask, call, fields, message, request

MEBI: Final = 1 << 20
TIMES: Final = 10  # as much memory as the body is large, at most
SECONDS: Final = 1.0
MARGIN: Final = 3  # times what is promised, before the script fails: other programs run here too


def bodies() -> Iterator[tuple[str, bytes]]:
    """One body of about four megabytes of each class."""
    start = message(SAFE, arguments={"a": "@"}).decode()

    def filled(text: str) -> bytes:
        return start.replace('"@"', text).encode()

    yield "at the bound of bytes", sized(STATELESS, "body", 4 * MEBI)[0]
    yield "one byte beyond it", sized(STATELESS, "body", 4 * MEBI + 1)[0]
    yield "at the bound of keys", sized(STATELESS, "keys", 10_000)[0]
    yield "at the bound of a string", sized(STATELESS, "string", MEBI)[0]
    yield "strings of one letter", filled("[" + ",".join(['"x"'] * 99_000) + "]")
    yield "three strings at the bound", filled("[" + ",".join([f'"{"x" * (MEBI - 9)}"'] * 3) + "]")
    yield "strings of escapes", filled("[" + ",".join(['"' + "\\u0416" * 100_000 + '"'] * 6) + "]")
    yield "strings of surrogate pairs", filled('"' + "\\ud83d\\ude00" * 250_000 + '"')
    yield "wide letters", filled('"' + "\U0001f469" * 250_000 + '"')
    yield "empty lists", filled("[" + ",".join(["[]"] * 1_300_000) + "]")
    yield "empty objects", filled("[" + ",".join(["{}"] * 1_300_000) + "]")
    yield "small numbers", filled("[" + ",".join(["1"] * 2_000_000) + "]")
    yield "fractions", filled("[" + ",".join(["1e-300"] * 580_000) + "]")
    yield "numbers of 4,000 digits", filled("[" + ",".join(["9" * 4000] * 1000) + "]")
    yield "one number without end", filled("9" * (4 * MEBI - 1000))
    yield "keys without end", filled("{" + ",".join(f'"{at}":1' for at in range(400_000)) + "}")
    yield "one key twice, again and again", filled("{" + ",".join(['"k":1'] * 600_000) + "}")
    yield "one long key", filled('{"' + "k" * (4 * MEBI - 1000) + '":1}')
    yield "lists in lists", filled("[" * (2 * MEBI - 500) + "]" * (2 * MEBI - 500))
    yield "objects in objects", filled('{"a":' * 690_000 + "1" + "}" * 690_000)
    yield "lists that do not end", b"[" * (4 * MEBI)
    yield "a batch", b"[" + b",".join([message()] * 16_000) + b"]"
    yield "spaces", b" " * (4 * MEBI)
    yield "zero bytes", b"\0" * (4 * MEBI)
    yield "no UTF-8", b"\xff" * (4 * MEBI)
    yield "UTF-16", message(arguments={"a": "x" * 2 * MEBI}).decode().encode("utf-16")[: 4 * MEBI]


async def weigh(ground: Ground) -> tuple[list[str], list[str]]:
    """Send each alone: the lines of a table, and what is past the margin."""
    heavy: list[str] = []
    lines = [f"{'body':<36}{'MiB':>7}{'RSS grew by':>14}{'times':>8}{'seconds':>9}  answer"]
    for _ in range(3):  # what is loaded once is no part of any body
        await ask(ground.port, Case("warm", call(sized(STATELESS, "body", 4 * MEBI)[0])), ground.caller)
    for name, body in bodies():
        rested = reset_peak(ground.pid)
        said = await ask(ground.port, Case(name, request(body, fields(), "/mcp/fast")), ground.caller)
        grew = max(0, peak(ground.pid) - rested)
        times = grew / len(body)
        size = f"{len(body) / MEBI:>7.2f}{grew / MEBI:>10.1f} MiB{times:>8.1f}"
        lines.append(f"{name:<36}{size}{said.seconds:>9.2f}  {said.statuses}")
        if times > TIMES * MARGIN or said.seconds > SECONDS * MARGIN:
            heavy.append(f"{name}: {times:.1f} times its size, {said.seconds:.2f} s")
        await asyncio.sleep(0)
    ground.raw.ledger.clear()
    return lines, heavy


def reset_peak(pid: int) -> int:
    """Forget the peak of a process; how large it is now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return status(pid, "VmRSS")


def peak(pid: int) -> int:
    """The peak of a process since then, in bytes."""
    return status(pid, "VmHWM")


def status(pid: int, what: str) -> int:
    """One figure of /proc, in bytes."""
    found = re.search(rf"{what}:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
