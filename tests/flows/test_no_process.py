"""While calls to remote servers are served no process is started, whatever callers say: the interpreter's own audit
events are the witness (PEP 578).
"""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from tests.flows.house import HANDSHAKE, House
from tests.flows.upstream import CityUpstream

STARTING: Final = (
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.",
)
HOSTILE: Final = (
    "$(touch /tmp/x)",
    "`id`",
    "; id",
    "| id",
    "&& id",
    "../../bin/sh",
    "--help",
    "-c",
    "%COMSPEC%",
    "\u0000",
)
DENY: Final = "inbound: [{ tool-rules: { deny: [delete_*] } }]\n"


@contextmanager
def watched() -> Generator[list[str]]:
    """The events of starting a process while it is open. A hook cannot be taken off; afterwards it looks away."""
    seen: list[str] = []
    watching = True

    def hook(event: str, _arguments: object) -> None:
        if watching and event.startswith(STARTING):
            seen.append(event)

    sys.addaudithook(hook)
    try:
        yield seen
    finally:
        watching = False


async def test_no_call_starts_a_process(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by(DENY)
    client, stranger = await gateway.client(), await gateway.client(key="")
    with watched() as seen:
        for word in HOSTILE:
            await client.call("get_city", {"name": word, "command": ["sh", "-c", word]})
            await client.call("delete_city", {"name": word})
            await client.request("tools/list", {"cursor": word})
            await client.handshake_request("tools/call", {"name": word, "arguments": {}})
            await client.post(word.encode(), {"MCP-Protocol-Version": HANDSHAKE})
            await stranger.call("get_city")
        records = await gateway.records()
    assert seen == []
    assert len(upstream.calls) >= len(HOSTILE)
    assert len(records) >= 6 * len(HOSTILE)


def test_a_process_that_is_started_is_seen() -> None:
    with watched() as seen:
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert "subprocess.Popen" in seen
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert seen.count("subprocess.Popen") == 1
