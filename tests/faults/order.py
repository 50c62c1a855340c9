"""Reads a trace of the system calls of a gateway, and says of each call whether it was on the disk before it was sent.

The trace is strace's, of all threads in one file (`-f -y -o`, strings whole). A call is on the disk when a sync of the
write-ahead log has succeeded that began after the write of the frame which commits its intent. What is sent before that
is a finding. Nothing is believed that the gateway says of itself: only what it asked of the system, and when.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

TRACED = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg"
LONGEST = 70_000  # bytes of one write
FRAME_HEADER = 24  # bytes; the database's size after a commit stands in the second four, else 0
WHOLE = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)(?: .*)?", re.DOTALL)
BEGUN = re.compile(r"(\w+)\((.*) <unfinished \.\.\.>", re.DOTALL)
RESUMED = re.compile(r"<\.\.\. \w+ resumed>.*\)\s+= (-?\d+|\?)(?: .*)?", re.DOTALL)
LOG = re.compile(r"\d+<[^>]*-wal>")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
INTENT = re.compile(rb'"correlation_id":"(\w+)"[^{}]*?"event":"intent"')
SENT = re.compile(rb"POST /mcp HTTP/1\.1\r\n.*?\r\nx-correlation-id: (\w+)\r\n", re.DOTALL | re.IGNORECASE)


class Step(NamedTuple):
    """The beginning of a system call, or its end (`result`)."""

    thread: str
    name: str
    arguments: str
    result: int | None


@dataclass
class Order:
    """What was found: the calls sent, why if too early, and how many syncs of the log worked."""

    sent: Counter[str] = field(default_factory=Counter[str])
    findings: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    syncs: int = 0


@dataclass
class Disk:
    """What the log holds, as far as the trace says."""

    frames: dict[int, set[str]] = field(default_factory=dict[int, set[str]])  # by offset, not committed yet
    commits: bool = False
    written: set[str] = field(default_factory=set[str])
    committed: set[str] = field(default_factory=set[str])
    synced: set[str] = field(default_factory=set[str])

    def write(self, content: bytes, offset: int) -> None:
        """A write into the log that succeeded: the header of a frame, or its page."""
        if len(content) == FRAME_HEADER:
            self.commits = any(content[4:8])
            self.frames = {at: calls for at, calls in self.frames.items() if at < offset}
            return
        self.frames[offset] = {call.decode() for call in INTENT.findall(content)}
        self.written |= self.frames[offset]
        if self.commits:
            self.committed.update(*self.frames.values())
            self.frames, self.commits = {}, False

    def lacks(self, call: str) -> str:
        """Why a call is not on the disk; the empty string if it is."""
        if call in self.synced:
            return ""
        return "not-synced" if call in self.committed else "not-committed" if call in self.written else "not-written"


def steps(lines: Iterable[str]) -> Iterator[Step]:
    """The beginnings and ends in a trace, in their order."""
    open_calls: dict[str, tuple[str, str]] = {}
    for line in lines:
        thread, _, rest = line.rstrip("\n").partition(" ")
        rest = rest.lstrip()
        if begun := BEGUN.fullmatch(rest):
            open_calls[thread] = (begun[1], begun[2])
            yield Step(thread, begun[1], begun[2], None)
        elif resumed := RESUMED.fullmatch(rest):
            yield Step(thread, *open_calls.pop(thread, ("", "")), number(resumed[1]))
        elif whole := WHOLE.fullmatch(rest):
            yield Step(thread, whole[1], whole[2], None)
            yield Step(thread, whole[1], whole[2], number(whole[3]))


def number(result: str) -> int:
    """What a system call gave back; -1 where it never returned."""
    return -1 if result == "?" else int(result)


def text(arguments: str) -> bytes:
    """The bytes that a system call was given."""
    return b"".join(ast.literal_eval(f'b"{part}"') for part in STRING.findall(arguments))


class Walk:
    """Goes through a trace."""

    def __init__(self) -> None:
        self.found = Order()
        self._disk = Disk()
        self._covered: dict[str, set[str]] = {}  # by a sync that has not returned, by thread

    def take(self, step: Step) -> None:
        """Go on to the next step."""
        if step.name in {"fsync", "fdatasync"} and LOG.match(step.arguments):
            self._sync(step)
        elif step.name == "pwrite64" and step.result is not None and LOG.match(step.arguments):
            content = text(step.arguments)
            if step.result == len(content):
                self._disk.write(content, int(step.arguments.rpartition(",")[2]))
        elif step.result is None and "POST /mcp" in step.arguments:
            self._send(text(step.arguments))

    def _sync(self, step: Step) -> None:
        if step.result is None:
            self._covered[step.thread] = set(self._disk.committed)
        elif step.result == 0:
            self._disk.synced |= self._covered[step.thread]
            self.found.syncs += 1

    def _send(self, content: bytes) -> None:
        for call in map(bytes.decode, SENT.findall(content)):
            self.found.sent[call] += 1
            if why := self._disk.lacks(call):
                self.found.findings.append((why, call))


def order(lines: Iterable[str]) -> Order:
    """What a trace says."""
    walk = Walk()
    for step in steps(lines):
        walk.take(step)
    return walk.found
