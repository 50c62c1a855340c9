"""What the two records of a call cost: steps of the interpreter in the event loop, CPU in the thread that writes.

python -m benchmarks.record_cost [--calls 200] [--rows 6400] [--stored 0] [--folder .]. Three tables:

- steps (bytecodes) that one call takes in the loop, from recording() over intent(), heard() and watch() to its end, by
  the file that they are in: a count, and so the same on every run;
- CPU of the writer's thread in microseconds a row, by the rows in a commit, durable and os-cache, and what part of it
  are the hashes, the rows, the indexes, and the commit with all the rest;
- the same thread behind a loop that makes calls one and sixteen at a time, each of which is a millisecond at its
  upstream, and one between two calls of a client, and how many rows came in a commit.

`--stored` rows are in the file before; `--folder` is where the file is made, for the disk counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from mcpgov.audit.chain import Chain
from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import Durability
from mcpgov.audit.redact import Digester
from mcpgov.decision import Decision, Reason, Spent
from mcpgov.endpoint.correlation import CorrelationIds
from mcpgov.models import (
    Answer,
    Connection,
    Credential,
    Era,
    Event,
    Headers,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
    Secret,
)
from mcpgov.store.database import connect
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from types import FrameType

    from _typeshed import TraceFunction

    from mcpgov.audit.record import Row
    from mcpgov.models import Json

BATCHES: Final = (1, 16, 64)
ROUNDS: Final = 5
CONCURRENCIES: Final = (1, 16)
UPSTREAM: Final = 0.001  # seconds
CLIENT: Final = 0.001  # seconds from an answer to the next call
IDS: Final = CorrelationIds()
NUMBERS: Final = itertools.count(1)
NAMED: Final = "19a3b2c4d5e-0a1b2c3d"  # a writer
DIGESTER: Final = Digester(b"k" * 32)
PRINCIPAL: Final = Principal("key:3fGh81Kx", PrincipalKind.KEY, "orders-agent", "payments", "mcpgov_3fGh81Kx…")
CITY: Final = Connection("city", "dev.mcpgov/city", RemoteUpstream("https://city.example/mcp"))
DECISION: Final = Decision(
    Reason.ALLOWED,
    "company#5",
    "sha256:" + "a" * 64,
    limits=(Spent(allowed=True, limit=60, remaining=59, reset=60),),
)
CREDENTIAL: Final = Credential("CustomKeys", "city: X-Key", (("X-Key", Secret("value")),))
HEADERS: Final = Headers((("host", "127.0.0.1"), ("user-agent", "agent/1.0"), ("content-type", "application/json")))
BODY: Final = (
    b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_forecast","arguments":{"city":"Paris"}}}'
)
RESULT: Final = b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"sunny"}],"isError":false}}'
MESSAGE: Final[Mapping[str, Json]] = {
    "jsonrpc": "2.0",
    "id": 7,
    "result": {"content": [{"type": "text", "text": "sunny"}], "isError": False},
}
PARAMS: Final[Mapping[str, Json]] = {"name": "get_forecast", "arguments": {"city": "Paris"}}


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


async def events() -> AsyncIterator[tuple[Event, ...]]:
    """An answer of one message, which was read where it came in."""
    yield (Event(RESULT, RESULT, MESSAGE),)


def request() -> MCPRequest:
    """A tools/call with ids of its own."""
    head = RequestHead("POST", "city", HEADERS, "127.0.0.1", "127.0.0.1", now(), IDS.next())
    return MCPRequest(head, Era.STATELESS, Kind.REQUEST, "2026-07-28", BODY, 7, "tools/call", "get_forecast", PARAMS)


async def call(ledger: AuditLedger, asked: MCPRequest, upstream: float = 0) -> None:
    """One call that is allowed and answered, as govern() makes it; so many seconds at its upstream."""
    async with ledger.recording(asked.head, "stamp") as record:
        record.principal, record.request, record.connection = PRINCIPAL, asked, CITY
        record.decision, record.credential = DECISION, CREDENTIAL
        await record.intent()
        if upstream:
            await asyncio.sleep(upstream)
        answer = record.heard(Answer(200, HEADERS, streaming=False, events=events()))
        async for _ in record.watch(answer).events:
            pass


async def steps(calls: int) -> Counter[str]:
    """Steps of the interpreter in the loop for so many calls, by file; the writer's thread is not counted."""
    ledger = AuditLedger((MemoryLedgerStore(),), DIGESTER, now)
    await ledger.start()
    asked = [request() for _ in range(calls + 2)]
    for one in asked[calls:]:
        await call(ledger, one)
    counted: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counted["/".join(Path(frame.f_code.co_filename).parts[-2:])] += 1
        return trace

    sys.settrace(trace)
    for one in asked[:calls]:
        await call(ledger, one)
    sys.settrace(None)
    await ledger.close()
    return counted


class Kept(MemoryLedgerStore):
    """A store that remembers the rows that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []

    def append(self, rows: Sequence[Row]) -> None:
        """Remember them, and no more."""
        self.rows += rows


async def made(rows: int) -> list[Row]:
    """The records of so many calls, as the loop hands them over."""
    store = Kept()
    ledger = AuditLedger((store,), DIGESTER, now)
    await ledger.start()
    for _ in range(rows // 2):
        await call(ledger, request())
    await ledger.close()
    return [row for row in store.rows if row.call_id][:rows]


def anew(rows: Sequence[Row]) -> list[Row]:
    """The same records for other calls, each with ids of its own."""
    found: list[Row] = []
    for number in range(0, len(rows), 2):
        ids = {"call_id": f"{NAMED}-{next(NUMBERS)}", "correlation_id": IDS.next()}
        found += [row._replace(**ids, trace_id=ids["correlation_id"]) for row in rows[number : number + 2]]
    return found


def spent(work: Callable[[], object]) -> float:
    """CPU of this thread in seconds."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def appended(store: SqliteLedgerStore, rows: Sequence[Row], batch: int) -> float:
    """CPU in microseconds a row to keep these rows, so many in a commit."""
    return spent(lambda: [store.append(rows[at : at + batch]) for at in range(0, len(rows), batch)]) / len(rows) * 1e6


def parts(path: Path, rows: Sequence[Row], batch: int) -> tuple[float, float, float]:
    """CPU in microseconds a row: of its hash, of the row in a table without any index, and what the indexes add."""
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    chain = Chain("w")
    hashed = spent(lambda: [chain.extended([row.record for row in each]) for each in batches])
    kept: list[float] = []
    with closing(connect(path)) as database:
        database.execute("BEGIN")
        database.execute("CREATE TABLE bare AS SELECT * FROM records WHERE 0")
        for into in ("INSERT INTO bare ", "INSERT INTO records "):
            statement = f"{into}VALUES (NULL, 'w', {', '.join('?' * (len(rows[0]) + 2))})"
            kept.append(spent(lambda statement=statement: keep(database, statement, batches)))
        database.execute("ROLLBACK")
    return hashed / len(rows) * 1e6, kept[0] / len(rows) * 1e6, (kept[1] - kept[0]) / len(rows) * 1e6


def keep(database: sqlite3.Connection, statement: str, batches: Sequence[Sequence[Row]]) -> None:
    """Insert rows as the store does, batch by batch, in the transaction of whoever calls."""
    seq = 0
    for each in batches:
        database.executemany(statement, [(seq + at, *row, b"h" * 32) for at, row in enumerate(each)])
        seq += len(each)


async def under_load(store: SqliteLedgerStore, calls: int, concurrency: int) -> tuple[float, float, float]:
    """CPU of the writer's thread in microseconds a call, that of everything, and rows in a commit."""
    ledger, commits = AuditLedger((store,), DIGESTER, now), Commits(store)
    await ledger.start()
    asked = iter([request() for _ in range(calls)])
    clock = time.pthread_getcpuclockid(next(one.ident or 0 for one in threading.enumerate() if "audit" in one.name))

    async def make() -> None:
        for one in asked:
            await call(ledger, one, UPSTREAM)
            await asyncio.sleep(CLIENT)

    commits.rows = commits.count = 0
    began = (time.clock_gettime(clock), time.process_time())
    await asyncio.gather(*(make() for _ in range(concurrency)))
    spent = (time.clock_gettime(clock) - began[0], time.process_time() - began[1])
    shared = commits.rows / max(commits.count, 1)
    await ledger.close()
    return spent[0] / calls * 1e6, spent[1] / calls * 1e6, shared


class Commits:
    """Counts the commits of a store, and the rows in them."""

    def __init__(self, store: SqliteLedgerStore) -> None:
        self.rows = self.count = 0
        self._append = store.append
        store.append = self._counted

    def _counted(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        self.count += 1
        self._append(rows)


def opened(folder: Path, name: str, durability: Durability, stored: Sequence[Row]) -> SqliteLedgerStore:
    """A store in a file of its own, with so much in it already."""
    store = SqliteLedgerStore(folder / f"{name}.db", durability)
    store.open()
    for at in range(0, len(stored), 1000):
        store.append(stored[at : at + 1000])
    return store


def main() -> None:
    """Count, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rows", type=int, default=6400)
    parser.add_argument("--stored", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    counted = uvloop.run(steps(options.calls))
    print(f"{counted.total() / options.calls:,.0f} steps a call in the loop")
    for name, count in counted.most_common(12):
        print(f"{count / options.calls:10,.0f}  {name}")
    rows = uvloop.run(made(2000))
    stored = [row for _ in range(0, options.stored, len(rows)) for row in anew(rows)][: options.stored]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for durability in Durability:
            print(f"\n{durability}, CPU us a row:  rows a commit  whole  hash  row  indexes  commit")
            store = opened(Path(name).resolve(), durability, durability, stored)
            for batch in BATCHES:
                sample = [row for _ in range(0, options.rows, len(rows)) for row in anew(rows)][: options.rows]
                whole = min(appended(store, part, batch) for part in in_rounds(sample))
                hashed, row, indexes = parts(Path(name) / f"{durability}.db", anew(rows), batch)
                rest = whole - hashed - row - indexes
                print(f"{batch:28}{whole:15.1f}{hashed:6.1f}{row:6.1f}{indexes:8.1f}{rest:8.1f}")
            store.close(finished=False)
            print(f"\n{durability}, calls at a time:  thread us a call  everything us a call  rows a commit")
            for concurrency in CONCURRENCIES:
                store = opened(Path(name), f"{durability}-{concurrency}", durability, stored)
                thread, everything, shared = uvloop.run(under_load(store, options.rows // 2, concurrency))
                print(f"{concurrency:28}{thread:18.1f}{everything:18.1f}{shared:18.1f}")


def in_rounds(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """The rows in as many parts as there are rounds."""
    size = len(rows) // ROUNDS
    return [rows[number * size : (number + 1) * size] for number in range(ROUNDS)]


if __name__ == "__main__":
    main()
