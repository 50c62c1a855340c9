"""The n-th system call of a kind fails, for one n after the other: no call is unaudited, and a restart is enough.

The failures are real: the kernel never sees the call, and SQLite gets the error. What happens then to the calls under
way is the gateway's to decide, and is not looked at here: only that everything adds up in the end.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.served import Launch, NotServing, Served, standing
from tests.faults.tools import can_trace

AT_ONCE = 4
ROUNDS = 6
EVERY = os.environ.get("MCPGOV_EVERY_FAULT")
KINDS = {
    "fdatasync": ("EIO", 24, (4,)),
    "pwrite64": ("ENOSPC", 60, (30,)),
    "fsync": ("EIO", 6, (2,)),
    "ftruncate": ("EIO", 4, ()),
}


def faults() -> Iterator[tuple[str, str, int]]:
    """The call, the error and the time at which it strikes: some, or every one."""
    for name, (error, last, some) in KINDS.items():
        for when in range(1, last + 1) if EVERY else some:
            yield name, error, when


def injected(folder: Path, name: str, error: str, when: int) -> Launch:
    """A gateway for which one system call of the store's files fails."""
    strace = shutil.which("strace") or "strace"
    options = ("-D", "-f", "--seccomp-bpf", "-e", f"trace={name}", "-e", "signal=none", "-o", str(folder / "trace"))
    return Launch((strace, *options, "-e", f"inject={name}:error={error}:when={when}"))


@pytest.mark.parametrize(("name", "error", "when"), list(faults()))
async def test_a_system_call_that_fails_leaves_no_call_unaudited(
    name: str, error: str, when: int, tmp_path: Path
) -> None:
    if not await can_trace():
        return
    async with standing(tmp_path) as site:
        try:
            await site.launch(injected(tmp_path, name, error, when))
        except NotServing:
            pass  # it struck while it started, and was said
        else:
            await calls(site)
            await site.end()
        assert EVERY or "(INJECTED)" in (tmp_path / "trace").read_text("latin-1")
        await site.launch()
        assert set(await site.many(AT_ONCE)) == {"result"}
        assert await site.end() == 0
        assert site.findings() == []


async def calls(site: Served) -> None:
    """Calls, some at once, that may be refused, but for want of a ledger only."""
    for _ in range(ROUNDS):
        assert set(await site.many(AT_ONCE)) <= {"result", "audit-unavailable"}
