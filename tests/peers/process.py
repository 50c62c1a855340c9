"""Programs that a test starts: each gets a log file, is awaited by its own sign of life, and is ended with SIGTERM."""

import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

READY_SECONDS: Final = 20
STOP_SECONDS: Final = 5
POLL_SECONDS: Final = 0.05


class NotStarted(Exception):
    """A program ended, or stayed silent, before it was ready; the message carries the end of its log."""


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Start the program with its output in `log`; at the end SIGTERM, and SIGKILL when it has not gone by then."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd
        ) as program,
    ):
        try:
            yield program
        finally:
            program.terminate()
            try:
                program.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()


def wait_until_answers(url: str, program: subprocess.Popen[bytes], log: Path, *, below: int = 300) -> None:
    """Return when GET url answers with a status below that one. Raises NotStarted when it never does."""
    deadline = time.monotonic() + READY_SECONDS
    with httpx2.Client(trust_env=False, timeout=READY_SECONDS) as client:
        while program.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(url).status_code < below:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(POLL_SECONDS)
    raise NotStarted(f"no answer from {url}; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def everything_server(folder: Path, ledger: Path | None = None) -> Generator[str]:
    """The conformance fixture server on a free port; yields its URL."""
    log = folder / "everything.log"
    command = [sys.executable, "-m", "tests.conformance.everything_server"]
    if ledger is not None:
        command += ["--ledger", str(ledger)]
    with running(command, log, cwd=Path(__file__).resolve().parents[2]) as program:
        yield first_line(program, log)


@contextmanager
def town_server(folder: Path, name: str) -> Generator[str]:
    """A server with many tools on a free port; yields its URL."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.peers.town_server", name]
    with running(command, log, cwd=Path(__file__).resolve().parents[2]) as program:
        yield first_line(program, log)


def first_line(program: subprocess.Popen[bytes], log: Path) -> str:
    """The first whole line of the program's log. Raises NotStarted when none comes."""
    deadline = time.monotonic() + READY_SECONDS
    while program.poll() is None and time.monotonic() < deadline:
        line, end, _ = log.read_text(errors="replace").partition("\n")
        if end:
            return line
        time.sleep(POLL_SECONDS)
    raise NotStarted(f"no first line; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")
