"""The upstream of the benchmarks, compiled where it runs: a server in C that is never the limit (upstream.c)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.processes import DidNotStartError, Start, free_port, running, until_listening

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Set as AbstractSet

SOURCE: Final = Path(__file__).with_name("upstream.c")
PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running upstream."""

    port: int
    pid: int


def cache() -> Path:
    """Where what is made once is kept: compiled programs, the environments of peers."""
    folder = Path(os.environ.get("MCPGOV_BENCH_CACHE", Path(__file__).parents[1] / ".cache" / "benchmarks"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def compiled() -> Path:
    """The program, made anew when its source has changed. Raises `DidNotStartError` where there is no compiler."""
    program = cache() / f"upstream-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        if (compiler := shutil.which("cc")) is None:
            raise DidNotStartError("no C compiler (cc), and no upstream without one")
        made = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-o", str(made), str(SOURCE)], check=True)
        made.rename(program)
    return program


@contextmanager
def upstream(cores: AbstractSet[int], folder: Path, tools: int = 10) -> Generator[Upstream]:
    """An upstream on these cores while the block runs."""
    port, log = free_port(), folder / f"upstream-{tools}.log"
    command = (str(compiled()), str(port), str(tools))
    with running(Start(command, cores, log)) as pid:
        until_listening(pid, port, log, PATIENCE)
        yield Upstream(port, pid)
