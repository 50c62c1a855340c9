"""One target under coverage-guided fuzzing, in a process of its own: `python -m tests.fuzz.engine TARGET [options]`.

The only file that names atheris, which has no types and is made for CPython 3.11 on Linux; options are libFuzzer's.
A case that takes a second of the processor is a finding, as is whatever the judge raises.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from dataclasses import dataclass
from typing import Any

from tests.fuzz.target import Target, load

ENGINE = "atheris"
LONGEST = 1.0  # seconds of the processor


def is_installed() -> bool:
    """Whether there is an engine on this machine."""
    return importlib.util.find_spec(ENGINE) is not None


class TooSlow(AssertionError):
    """A case that keeps the processor busy: a few bytes of a stranger must not."""


@dataclass(slots=True)
class Timed:
    """A judge, and how long its slowest case took; told when it grows, for the process ends without a last word."""

    target: Target
    slowest: float = 0.001

    def __call__(self, data: bytes) -> None:
        """Judge one case. Raises what the judge raises, and TooSlow."""
        began = time.process_time()
        self.target.judge(data)
        taken = time.process_time() - began
        if taken > 1.2 * self.slowest:
            self.slowest = taken
            sys.stderr.write(f"slowest: {taken * 1000:.1f} ms\n")
        if taken > LONGEST:
            raise TooSlow(f"{len(data)} bytes took {taken:.1f} seconds")


def main(name: str, *options: str) -> None:
    """Fuzz one target, mcpgov instrumented."""
    atheris: Any = importlib.import_module(ENGINE)
    with atheris.instrument_imports(include=["mcpgov"]):
        target = load(name)
    atheris.Setup([ENGINE, *options], Timed(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
