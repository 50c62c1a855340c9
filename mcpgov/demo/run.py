"""Sets the stage: a folder of files, an upstream, a key, a gateway; lets the client tell its story; shows the audit.

Everything is done with the commands that a person would type, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mcpgov.demo.city_server import KEY_VARIABLE
from mcpgov.demo.story import tell
from mcpgov.frozen import frozen
from mcpgov.models import Secret

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

SETTINGS = """\
# mcpgov.yaml: where everything is. Every key is optional.
listen: 127.0.0.1:{port}
catalog: ./catalog
policies: ./policies
audit: {{ store: "sqlite:///audit.db" }}
"""

CATALOG = """\
# One server, exposed as two connections. The key is added by mcpgov; no caller ever holds it.
name: dev.mcpgov/city-records
title: City records
version: 1.0.0
description: A small MCP server about cities
upstream: {upstream}
private: true
connections:
  cities:
    authType: CustomKeys
    keys: {{ X-City-Key: "${{env:MCPGOV_DEMO_CITY_KEY}}" }}
    policies: [careful]
  cities-office:
    authType: CustomKeys
    keys: {{ X-City-Key: "${{env:MCPGOV_DEMO_CITY_KEY}}" }}
    policies: [office-only, careful]
"""

CAREFUL = """\
# Nobody sees delete_city; rename_city is seen and refused with a reason; five calls a minute for each caller.
inbound:
  - tool-rules:
      deny:
        - delete_city
        - { tool: "rename_*", hide: false, message: "Renaming needs a change request." }
  - rate-limit-by-key: { calls: 5, renewal-period: 60, counter-key: principal.id }
"""

OFFICE_ONLY = """\
# Only the office network (an address range reserved for documentation) gets in.
inbound:
  - ip-filter: { action: allow, addresses: [203.0.113.0/24] }
"""

START_LIMIT = 30.0


@frozen
class Stage:
    """The running demo: where its files are, where the gateway answers, the key of its client and one for yours."""

    folder: Path
    url: str
    key: Secret
    your_key: Secret


def run_demo(*, once: bool) -> None:
    """Show the product; with `once` stop when it is told, otherwise keep serving until Ctrl-C."""
    console = Console()
    with ending_as_on_interrupt(), suppress(KeyboardInterrupt), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpgov-demo-")))
        stage = set_up(folder, stack)
        console.print(f"\n[bold]An MCP client calls[/bold] {stage.url}/mcp/cities [bold]with its gateway key[/bold]\n")
        asyncio.run(show_story(stage, console))
        console.print("\n[bold]The audit log of exactly those calls[/bold]  (mcpgov audit query)\n")
        mcpgov(folder, "audit", "query")
        if not once:
            show_what_next(stage, console)
            signal.pause()


def set_up(folder: Path, stack: ExitStack) -> Stage:
    """Write the files, start the upstream and the gateway, make a key; everything ends with `stack`."""
    os.environ[KEY_VARIABLE] = secrets.token_urlsafe(24)
    city_server = stack.enter_context(child([sys.executable, "-m", "mcpgov.demo.city_server"], stdout=subprocess.PIPE))
    upstream = first_line(city_server)
    port = free_port()
    write_files(folder, port, upstream)
    keys = [make_key(folder, name) for name in ("demo-client", "your-client")]
    url = f"http://127.0.0.1:{port}"
    log = stack.enter_context((folder / "mcpgov.log").open("wb"))
    gateway = stack.enter_context(
        child([sys.executable, "-m", "mcpgov", "serve", "--config", str(folder / "mcpgov.yaml")], stderr=log)
    )
    wait_until_ready(url, gateway, folder / "mcpgov.log")
    return Stage(folder, url, *keys)


def write_files(folder: Path, port: int, upstream: str) -> None:
    """The whole configuration: one settings file, one catalog entry, two policies."""
    files = {
        "mcpgov.yaml": SETTINGS.format(port=port),
        "catalog/city-records.yaml": CATALOG.format(upstream=upstream),
        "policies/careful.yaml": CAREFUL,
        "policies/office-only.yaml": OFFICE_ONLY,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def make_key(folder: Path, name: str) -> Secret:
    """A gateway key, made as a person would."""
    made = mcpgov(folder, "keys", "create", name, "--project", "demo", "--json", capture=True)
    return Secret(json.loads(made)["key"])


async def show_story(stage: Stage, console: Console) -> None:
    """Print each call of the story as it is answered."""
    table = Table("connection", "call", "what the client sees", box=None, pad_edge=False)
    async for step in tell(stage.url, stage.key):
        table.add_row(step.connection, escape(step.call), escape(step.answer))
    console.print(table)


def show_what_next(stage: Stage, console: Console) -> None:
    """Print what to paste into a client, and where to look."""
    config = {
        "servers": {
            "cities": {
                "type": "http",
                "url": f"{stage.url}/mcp/cities",
                "headers": {"X-API-Key": stage.your_key.reveal()},
            }
        }
    }
    console.print(
        "\n[bold]Still serving.[/bold] Paste this into .vscode/mcp.json; others want the same URL and header:\n"
    )
    console.print_json(json.dumps(config))
    console.print(f"\nEdit the files in {stage.folder} and watch them take effect; follow the audit log with:")
    program = Path(sys.argv[0]).with_name("mcpgov")
    console.print(f"  {program} audit tail -f -c {stage.folder / 'mcpgov.yaml'}\n", soft_wrap=True, highlight=False)
    console.print(
        "A private catalog (add, approve, pin, publish) begins with: mcpgov init, then mcpgov catalog add --help"
    )
    console.print("Ctrl-C ends the demo.")


def mcpgov(folder: Path, *arguments: str, capture: bool = False) -> str:
    """Run one mcpgov command against the demo's folder; its output, when captured."""
    command = [sys.executable, "-m", "mcpgov", *arguments, "--config", str(folder / "mcpgov.yaml")]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE if capture else None)
    return done.stdout or ""


@contextmanager
def ending_as_on_interrupt() -> Generator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, so that nothing it started is left behind.

    SIGINT too: Python leaves it ignored where a shell started us in the background.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def child(
    command: Sequence[str], *, stdout: int | None = None, stderr: IO[bytes] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """A process that lives as long as the context."""
    # In a session of its own: a Ctrl-C in the terminal is ours to hear, and we end what we started.
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def first_line(process: subprocess.Popen[bytes]) -> str:
    """The first line a child prints: the address it serves."""
    if process.stdout is None:
        raise DemoFailed("the child has no output to read")
    return process.stdout.readline().decode().strip()


def wait_until_ready(url: str, gateway: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the gateway answers /readyz. Raises DemoFailed with its log when it does not."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and gateway.poll() is None:
        try:
            if httpx2.get(f"{url}/readyz").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise DemoFailed(f"the gateway did not start:\n{log.read_text()}")


def free_port() -> int:
    """8080 if nobody has it, otherwise any free port of the loopback interface."""
    for port in (8080, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    raise DemoFailed("there is no free port on 127.0.0.1")


class DemoFailed(Exception):
    """The stage could not be set. The message says why."""
