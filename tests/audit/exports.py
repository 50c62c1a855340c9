"""Records on their way, and places that take them, refuse them or are down when a test says so."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from mcpgov.audit.exported import Exported, Payload
from mcpgov.audit.exporting import TargetRefused, TargetUnavailable
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, Latency, OutcomeRecord, Row
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from tests.audit.calls import AGENT, NOW, facts

LOG = "8a3f21c09b7d4e65"
WRITER = "1a1fccfe290-893aec4d"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
BIDI, LINES = "\u202e\u2066", "a\r\nb\u2028c\x85d"
HOSTILE = (
    *("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *(
        '"],"x":"',
        'quote " back \\ bracket ]',
        "nul \0 bell \a escape \x1b[31m",
        BIDI,
        LINES,
        "\ufeffbom",
        "😀\ud7ff\ue000",
    ),
    *("<script>", "a,b;c", "x" * 65_536),
)


def rows(traceparent: str = TRACE) -> list[Row]:
    """A record of every kind."""
    seconds = [NOW + timedelta(seconds=number) for number in range(5)]
    agent = facts("2", seconds[2], principal=AGENT, traceparent=traceparent)._replace(arguments=None)
    return [
        ControlRecord(ControlEvent.START, seconds[0], {"version": "1.0", "heads": ["a:1:b", "c:2:d"]}).row(),
        IntentRecord(facts("1", seconds[1], traceparent=traceparent)).row(),
        OutcomeRecord("1", seconds[2], OutcomeStatus.OK, correlation_id="c", latency=Latency(1, 2, 3, 4)).row(),
        DeniedRecord(agent, Reason.TOOL_DENIED, detail="not for you", total=12).row(),
        OutcomeRecord("3", seconds[4], OutcomeStatus.FAILED, Reason.UPSTREAM_TIMEOUT).row(),
    ]


def exported(made: Sequence[Row], first: int = 1) -> list[Exported]:
    """Rows as they are exported."""
    return [
        Exported(number, LOG, WRITER, number, row.at, json.loads(row.record)) for number, row in enumerate(made, first)
    ]


def records(count: int, first: int = 1) -> list[Exported]:
    """So many records that are alike."""
    row = ControlRecord(ControlEvent.RELOAD, NOW).row()
    return exported([row] * count, first)


def hostile() -> list[Exported]:
    """A call whose every text is what somebody wishes to be run, each in its turn."""
    return exported([IntentRecord(facts(text, tool=text, connection=text)).row() for text in HOSTILE])


def raw_hostile() -> list[Exported]:
    """The same with nothing cut: as records of another version could be."""
    return [
        replace(one, record={**one.record, "gen_ai.tool.name": text, "mcpgov.detail": text})
        for one, text in zip(hostile(), HOSTILE, strict=True)
    ]


class MemoryRecords:
    """The KeptRecords in memory."""

    def __init__(self, kept: Iterable[Exported] = ()) -> None:
        self.kept = list(kept)
        self.cursors: dict[str, int] = {}
        self.leases: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.failure: Exception | None = None
        self.read: list[int] = []

    def after(self, position: int, limit: int) -> Sequence[Exported]:
        if self.failure is not None:
            raise self.failure
        found = self.kept[position : position + limit]
        self.read.append(len(found))
        return found

    def newest(self) -> Exported | None:
        return self.kept[-1] if self.kept else None

    def position(self, name: str) -> int:
        return self.cursors.get(name, 0)

    def move(self, name: str, position: int) -> None:
        self.cursors[name] = max(position, self.position(name))

    def hold(self, name: str, mine: int, until: int, now: int) -> bool:
        lease = self.leases.get(name, 0)
        if lease not in (0, mine) and lease > now:
            return False
        self.leases[name] = until
        return True

    def release(self, name: str, mine: int) -> None:
        if self.leases.get(name) == mine:
            self.leases[name] = 0

    def failing(self, name: str) -> int:
        if isinstance(self.failure, StoreUnavailable):
            raise self.failure
        return self.failures.get(name, 0)

    def fail(self, name: str, since: int) -> None:
        self.failures[name] = since


class Numbers:
    """A format: the numbers of the records, so many in a payload."""

    def __init__(self, most: int = 100) -> None:
        self.most = most

    def payloads(self, records: Sequence[Exported]) -> Iterable[Payload]:
        for start in range(0, len(records), self.most):
            part = records[start : start + self.most]
            body = " ".join(str(one.seq) for one in part).encode()
            yield Payload(body, len(part), "text/plain", f"{part[0].seq}-{part[-1].seq}")


class Place:
    """A target that takes no payload in which one of the `bad` numbers stands."""

    name = "place"

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.down: TargetUnavailable | None = None
        self.full = 0  # how many more payloads are taken before it goes down, if not 0
        self.got: list[int] = []
        self.puts = 0

    async def put(self, payload: Payload) -> None:
        self.puts += 1
        if self.down is not None:
            raise self.down
        numbers = [int(number) for number in payload.body.split()]
        if self.bad.intersection(numbers):
            raise TargetRefused("place: answered 400")
        self.got += numbers
        if self.full:
            self.full -= 1
            if not self.full:
                self.down = TargetUnavailable("place: is full")


class Notes:
    """What was written down; what is written down becomes a record too."""

    def __init__(self, kept: MemoryRecords) -> None:
        self.kept = kept
        self.events: list[tuple[ControlEvent, dict[str, str | int | list[str]]]] = []
        self.failure: StoreUnavailable | None = None

    async def __call__(self, event: ControlEvent, **details: str | int | list[str]) -> None:
        if self.failure is not None:
            raise self.failure
        self.events.append((event, details))
        self.kept.kept += exported([ControlRecord(event, NOW, details).row()], len(self.kept.kept) + 1)


def documented() -> set[str]:
    """The names of all fields of records, from the pages that explain them."""
    pages = (Path(__file__).parents[2] / "docs" / name for name in ("audit.md", "exports.md"))
    names = {f"mcpgov.{name}" for name in ("log_id", "writer", "seq")}  # what an exported record has before its fields
    return names | {name for page in pages for name in re.findall(r"[A-Za-z_][\w.]*", page.read_text("utf-8"))}
