"""How much of a disk a call takes: its two records, and the index that the console reads, in SQLite and in PostgreSQL.

    python -m benchmarks.store_size [--calls 20000] [--postgres URL] [--folder .] [--json]

Calls are made through the ledger itself, sixty-four at a time, each with ids of its own; then they are indexed as the
gateway does. Sizes are of the whole store less those of an empty one, once what was logged ahead is in its place: of a
file what it holds of the disk, of a server its tables with their indexes. `--postgres` names an empty database, which
is filled and left so: the first for the first level, the second for the second.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop
from sqlalchemy import Engine, text

from benchmarks.figures import table
from benchmarks.machine import machine, versions
from benchmarks.record_cost import DIGESTER, call, now, request
from mcpgov import app
from mcpgov.audit.ledger import AuditLedger
from mcpgov.settings import parse_settings
from mcpgov.storage import Storage
from mcpgov.store.audit_index import catch_up

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE: Final = 64
RULES: Final = {
    "metadata": "[]",
    "request-response": '[ { level: request-response, fields: { "**": clear } } ]',
}
SIZES: Final = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": "SELECT sum(pg_total_relation_size(relid)) FROM pg_catalog.pg_statio_user_tables",
}
SETTLED: Final = {"sqlite": "PRAGMA wal_checkpoint (TRUNCATE)", "postgresql": "CHECKPOINT"}
RECORDS: Final = "SELECT avg(length(CAST(record AS TEXT))) FROM records WHERE call_id <> ''"


@dataclass(frozen=True, slots=True)
class Taken:
    """What calls took: bytes of one in the ledger and in its index, and of a record as JSON."""

    store: str
    level: str
    calls: int
    ledger: float
    index: float
    record: float


def storage(store: str, level: str) -> Storage:
    """A store whose ledger writes so much down."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    written = f"audit: {{ store: '{store}', rules: {RULES[level]} }}\nsecrets: {{ key: '{key}' }}\n"
    settings = parse_settings(written, "mcpgov.yaml")
    return Storage(settings, app.load)


async def written(place: Storage, calls: int) -> None:
    """Make so many calls, none of which goes anywhere."""
    opened = place.open()
    ledger = AuditLedger(opened.ledgers, DIGESTER, now, opened.tuning, rules=place.settings.audit.levels())
    await ledger.start()
    left = iter(range(calls))

    async def make() -> None:
        for _ in left:
            await call(ledger, request())

    await asyncio.gather(*(make() for _ in range(AT_ONCE)))
    await ledger.close()
    opened.keys.close()
    opened.vault.close()


def figure(engine: Engine, query: str) -> float:
    """The one number that a query gives."""
    with engine.connect() as connection:
        return float(connection.execute(text(query)).scalar() or 0)


def size(engine: Engine) -> float:
    """How many bytes the store holds, what is logged ahead left out."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(SETTLED[engine.dialect.name]))
    return figure(engine, SIZES[engine.dialect.name])


def measured(store: str, level: str, calls: int) -> Taken:
    """What so many calls take in one store."""
    place = storage(store, level)
    uvloop.run(written(place, 0))
    engine = place.index_place().engine
    empty = size(engine)
    uvloop.run(written(place, calls))
    full = size(engine)
    last = int(figure(engine, "SELECT max(id) FROM records"))
    for _ in catch_up(place.index_place(), last, lambda _: None):
        pass
    ledger, index = (full - empty) / calls, (size(engine) - full) / calls
    taken = Taken(engine.dialect.name, level, calls, ledger, index, figure(engine, RECORDS))
    engine.dispose()
    return taken


def rows(found: Sequence[Taken]) -> list[list[str]]:
    """The table of a run."""
    head = ["store", "level", "calls", "ledger, bytes a call", "index, bytes a call", "bytes of a record as JSON"]
    taken = (
        [one.store, one.level, f"{one.calls:,}", *(f"{value:,.0f}" for value in (one.ledger, one.index, one.record))]
        for one in found
    )
    return [head, *taken]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--postgres", action="append", default=[], help="an empty database, one for each level")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        stores = [(f"sqlite:///{folder}/{level}.db", level) for level in RULES]
        stores += list(zip(options.postgres, RULES, strict=False))
        found = [measured(store, level, options.calls) for store, level in stores]
    if options.json:
        print(
            json.dumps(
                {"machine": machine(), "versions": versions(), "taken": [asdict(one) for one in found]}, indent=1
            )
        )
    else:
        print(table(rows(found)))


if __name__ == "__main__":
    main()
