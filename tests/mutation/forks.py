"""Work done in a child of this process: it pays for no import again, and may hang, crash or eat the processor."""

import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RAISED: Final = 70  # the exit code of a child whose work raised
MEMORY: Final = 6 * 1024**3  # of address space: a loop that gathers ends before the machine does


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a child may take: seconds on the clock, and of the processor, which a busy machine does not use up."""

    clock: float
    processor: float


class TimedOut(Exception):
    """The child took longer than it may, and was ended with all that it had started."""


class Crashed(Exception):
    """The interpreter of the child broke down, as by a stack too deep."""


class Broken(Exception):
    """The work itself raised an error: the experiment is wrong, not what is tried."""


def in_child(work: Callable[[Path], object], patience: Patience, scratch: Path) -> Any:
    """What `work` gives back, through JSON. It is given a folder of its own, and says nothing.

    Raises TimedOut, Crashed, Broken.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    result = scratch / "result.json"
    result.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _work(work, result, patience)
    code = _wait(child, patience)
    if code != 0:
        raise (Broken if code == RAISED else Crashed)((scratch / "said").read_text("utf-8", "replace")[-3000:])
    return json.loads(result.read_text("utf-8"))


def _work(work: Callable[[Path], object], result: Path, patience: Patience) -> None:
    os.setsid()
    said = os.open(result.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", encoding="utf-8", closefd=False) for stream in (1, 2))
    seconds = int(patience.processor) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        result.write_text(json.dumps(work(result.parent)), "utf-8")
    finally:  # nothing of the parent's is ended by the child: no fixture, no file, no thread
        raised = sys.exc_info()[0] is not None
        if raised:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(RAISED if raised else 0)


def _wait(child: int, patience: Patience) -> int:
    """The exit code of a child, or minus the signal that ended it."""
    handle = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([handle], [], [], patience.clock)
    finally:
        os.close(handle)
    with suppress(ProcessLookupError):  # what it had started ends with it
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if not ended or code in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise TimedOut
    return code
