"""Load at full speed: wrk sends one call again and again over so many connections, and says what it measured."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.placement import on

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from benchmarks.wire import Message

SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk measured."""

    calls: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


class NoLoadError(Exception):
    """wrk said something else."""


def parse_load(text: str) -> Load:
    """The line of JSON that wrk.lua writes last. Raises `NoLoadError`, also where no call was answered."""
    lines = [line for line in text.splitlines() if line.startswith('{"calls":')]
    if not lines:
        raise NoLoadError(text.strip()[-400:] or "wrk said nothing")
    load = Load(**json.loads(lines[-1]))
    if not load.calls:
        raise NoLoadError("no call was answered in time")
    return load


def loaded(message: Message, connections: int, seconds: float, cores: AbstractSet[int]) -> Load:
    """Send a message over so many connections for so long. Raises `NoLoadError`."""
    headers = [part for name, value in message.headers.items() for part in ("-H", f"{name}: {value}")]
    url = f"http://127.0.0.1:{message.port}{message.path}"
    sizes = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s")
    command = ("wrk", *sizes, *headers, "-s", str(SCRIPT), url, "--", message.body)
    with on(cores):
        made = subprocess.run(command, check=False, capture_output=True, text=True)
    return parse_load(made.stdout + ("" if made.returncode == 0 else made.stderr))
